# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec spigrp`: the packet engine's SA group table."""

from __future__ import annotations

from openswan.cli.talk import table

USAGE = "Usage: ipsec spigrp [--json]"


def main(argv: list[str]) -> int:
    """Print the table; exit 1 when there is no daemon."""
    return table("spigrp", argv, USAGE)
