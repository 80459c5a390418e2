# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec spigrp`: groups (bundles) of SAs, shown, made and taken apart."""

from __future__ import annotations

import sys

from openswan.base.errors import ConfigError
from openswan.base.said import Said, Shunt, parse_said
from openswan.cli.keyoptions import Usage
from openswan.cli.tableoptions import EVERYWHERE, complain, expand, give, parser, said_of
from openswan.cli.talk import table
from openswan.plane.orders import Group

USAGE = f"""\
ipsec spigrp [--json]
       ipsec spigrp --said SAID [SAID [SAID [SAID]]]
       ipsec spigrp inet|inet6 ADDRESS SPI ah|esp|comp|tun ...   (the same, up to four times four words)
SAs stand innermost first. One alone leaves its group.
{EVERYWHERE}"""
WORDS = 4
"""Words that name one SA without --said: family, destination, SPI, protocol."""


def main(argv: list[str]) -> int:
    """Print the groups or make one; exit 1 when refused or with options that make no sense."""
    if not set(argv) - {"--json"} or "--help" in argv:
        return table("spigrp", argv, f"Usage: {USAGE}")
    try:
        options = parser("spigrp", USAGE, 1)
        options.add_argument("--said", nargs="+", default=[])
        options.add_argument("words", nargs="*")
        given = options.parse_args(expand(argv))
    except Usage as why:
        print(why, file=sys.stderr)
        return 1
    except ConfigError as why:
        return complain("spigrp", why)
    try:
        saids = tuple(map(_said, given.said)) if given.said else _four_by_four(given.words)
    except ConfigError as why:
        return complain("spigrp", why, given.label)
    return give("spigrp", Group(saids), given.label)


def _said(text: str) -> Said:
    found = parse_said(text)
    if isinstance(found, Shunt):
        raise ConfigError(f"{found} is not an SA")
    return found


def _four_by_four(words: list[str]) -> tuple[Said, ...]:
    if not words or len(words) % WORDS:
        raise ConfigError("each SA is four words, family, destination, SPI and protocol; or use --said")
    return tuple(
        said_of(family, address, spi, protocol)
        for family, address, spi, protocol in zip(*(words[at::WORDS] for at in range(WORDS)), strict=True)
    )
