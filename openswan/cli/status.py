# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec status [CONN]`: what `whack --status` prints, or just the lines that name one connection."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from openswan.base.errors import HostError
from openswan.base.log import Rc
from openswan.cli.talk import request, show

USAGE = "Usage: ipsec status [--json] [CONN]"


def main(argv: list[str]) -> int:
    """Print the status; exit 1 without a daemon, 21 when there is no such connection."""
    if "--help" in argv:
        print(USAGE)
        return 0
    names = [word for word in argv if word != "--json"]
    if wrong := [name for name in names if name.startswith("-")] or names[1:]:
        print(f"ipsec status: `{wrong[0]}' not understood\n{USAGE}", file=sys.stderr)
        return 2
    try:
        replies: Iterable[tuple[int, str]] = request("status", timeout=30.0, json="--json" in argv)
        if "--json" in argv:
            return show(replies, plain=True)
        if names:
            replies = [(code, text) for code, text in replies if _names(text, names[0])]
            replies = replies or [(Rc.UNKNOWN_NAME, f'no connection named "{names[0]}"')]
        return show(replies)
    except HostError as why:
        print(why, file=sys.stderr)
        return 1


def _names(line: str, conn: str) -> bool:
    """Does a status line speak of the conn, or of one of the pairs its subnets were expanded to?"""
    return f'"{conn}"' in line or f'"{conn}/' in line
