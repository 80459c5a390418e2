# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec tncfg`: which ipsecN stands on which physical interface, shown and changed."""

from __future__ import annotations

import sys

from openswan.base.errors import ConfigError
from openswan.cli.keyoptions import Usage
from openswan.cli.tableoptions import EVERYWHERE, complain, expand, give, parser
from openswan.cli.talk import table
from openswan.plane.orders import Wire, Wiring

USAGE = f"""\
ipsec tncfg [--json]
       ipsec tncfg --attach --virtual ipsecN --physical DEVICE
       ipsec tncfg --detach --virtual ipsecN
       ipsec tncfg --create ipsecN | --delete ipsecN
       ipsec tncfg --clear
{EVERYWHERE}"""


def main(argv: list[str]) -> int:
    """Print the table or carry out one order; exit 1 when refused or with options that make no sense."""
    if not set(argv) - {"--json"} or "--help" in argv:
        return table("tncfg", argv, f"Usage: {USAGE}")
    try:
        options = parser("tncfg", USAGE, 1)
        for name in ("--attach", "--detach", "--clear"):
            options.add_argument(name, action="store_true")
        for name in ("--create", "--delete"):
            options.add_argument(name, nargs="?", const="", default=None)
        options.add_argument("--virtual", "-V", default="")
        options.add_argument("--physical", "-P", default="")
        given = options.parse_args(expand(argv))
    except Usage as why:
        print(why, file=sys.stderr)
        return 1
    except ConfigError as why:
        return complain("tncfg", why)
    chosen = [one for one in Wiring if getattr(given, one.value) not in (False, None)]
    if len(chosen) != 1:
        return complain(
            "tncfg",
            ConfigError("one of --attach, --detach, --create, --delete, --clear is wanted (try --help)"),
            given.label,
        )
    named = getattr(given, chosen[0].value)
    virtual = given.virtual or (named if isinstance(named, str) else "")
    if virtual and chosen[0] is Wiring.CLEAR:
        return complain("tncfg", ConfigError("--clear is for all: it names no interface"), given.label)
    return give("tncfg", Wire(chosen[0], virtual, given.physical), given.label)
