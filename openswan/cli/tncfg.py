# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec tncfg`: the packet engine's virtual interface table."""

from __future__ import annotations

from openswan.cli.talk import table

USAGE = "Usage: ipsec tncfg [--json]"


def main(argv: list[str]) -> int:
    """Print the table; exit 1 when there is no daemon."""
    return table("tncfg", argv, USAGE)
