# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec klipsdebug`: which of the packet engine's doings the daemon writes to its log."""

from __future__ import annotations

import sys

from openswan.base.errors import ConfigError
from openswan.cli.keyoptions import Usage
from openswan.cli.tableoptions import EVERYWHERE, complain, expand, give, parser
from openswan.cli.talk import table
from openswan.plane.orders import FLAGS, Debug

USAGE = f"""\
ipsec klipsdebug [--json]
       ipsec klipsdebug --all | --none
       ipsec klipsdebug --set FLAG | --clear FLAG
FLAG is one of {" ".join(FLAGS)}.
{EVERYWHERE}"""


def main(argv: list[str]) -> int:
    """Print the table or change it; exit 1 when refused or with options that make no sense."""
    if not set(argv) - {"--json"} or "--help" in argv:
        return table("klipsdebug", argv, f"Usage: {USAGE}")
    try:
        options = parser("klipsdebug", USAGE, 1)
        options.add_argument("--all", action="store_true")
        options.add_argument("--none", action="store_true")
        options.add_argument("--set", default="")
        options.add_argument("--clear", default="")
        given = options.parse_args(expand(argv))
    except Usage as why:
        print(why, file=sys.stderr)
        return 1
    except ConfigError as why:
        return complain("klipsdebug", why)
    if sum(map(bool, (given.all, given.none, given.set, given.clear))) != 1:
        return complain(
            "klipsdebug", ConfigError("one of --all, --none, --set, --clear is wanted (try --help)"), given.label
        )
    raised = FLAGS if given.all else (given.set,) if given.set else ()
    lowered = FLAGS if given.none else (given.clear,) if given.clear else ()
    return give("klipsdebug", Debug(raised, lowered), given.label)
