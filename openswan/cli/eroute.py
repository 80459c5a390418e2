# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec eroute`: the eroute table, and --match: which conn, eroute, guard and route one packet would meet, and why."""

from __future__ import annotations

import sys

from openswan.base.address import parse_address
from openswan.base.errors import ConfigError, HostError
from openswan.cli.talk import request, show, table

USAGE = """\
Usage: ipsec eroute [--json]
       ipsec eroute --match SRC DST [PROTO [PORT]] [--json]
PROTO is a number or tcp, udp, icmp, icmp6; PORT the destination port."""

PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "ipv6-icmp": 58, "esp": 50, "ah": 51, "sctp": 132, "any": 0}


def _number(text: str, limit: int, what: str) -> int:
    if what == "protocol" and text.lower() in PROTOCOLS:
        return PROTOCOLS[text.lower()]
    if not (text.isascii() and text.isdecimal()) or int(text) > limit:
        raise ConfigError(f"'{text}' is not a {what}: 0 to {limit} is")
    return int(text)


def main(argv: list[str]) -> int:
    """Print the table or the explanation; exit 1 without a daemon or with words that make no sense."""
    if "--match" not in argv or "--help" in argv:
        return table("eroute", argv, USAGE)
    words = [word for word in argv if word not in ("--match", "--json")]
    if not 2 <= len(words) <= 4:
        print(USAGE, file=sys.stderr)
        return 1
    try:
        src, dst = parse_address(words[0]), parse_address(words[1])
        if src.version != dst.version:
            raise ConfigError(f"{src} and {dst} are of different families")
        protocol = _number(words[2], 255, "protocol") if len(words) > 2 else 0
        port = _number(words[3], 65535, "port") if len(words) > 3 else 0
        replies = request(
            "match",
            timeout=30.0,
            json="--json" in argv,
            src=str(src),
            dst=str(dst),
            protocol=protocol,
            port=port,
        )
        return show(replies, plain=True)
    except (ConfigError, HostError) as why:
        print(f"ipsec eroute: {why}", file=sys.stderr)
        return 1
