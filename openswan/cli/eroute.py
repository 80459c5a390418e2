# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec eroute`: the eroute table, changing it, and --match: what one packet would meet, and why."""

from __future__ import annotations

import sys
from argparse import Namespace

from openswan.base.address import Subnet, parse_address, parse_classic_subnet
from openswan.base.errors import ConfigError, HostError
from openswan.base.protoport import parse_protocol
from openswan.base.said import Said, Shunt, parse_said
from openswan.cli.keyoptions import Usage
from openswan.cli.tableoptions import (
    EVERYWHERE,
    add_sa_options,
    complain,
    expand,
    family,
    give,
    number,
    parser,
    said_of,
)
from openswan.cli.talk import request, show, table
from openswan.plane.orders import Change, ClearEroutes, ErouteOrder, Order
from openswan.policy.selector import FlowKey

USAGE = f"""\
ipsec eroute [--json]
       ipsec eroute --add|--replace|--addin|--replacein --eraf inet|inet6 --src NET --dst NET [PORTS] --said SAID
       ipsec eroute --del|--delin --eraf inet|inet6 --src NET --dst NET [PORTS]
       ipsec eroute --clear
       ipsec eroute --match SRC DST [PROTO [PORT]] [--json]
SAID may also be %pass, %drop, %reject, %trap, %hold, or --af inet|inet6 --edst ADDRESS --spi SPI --proto PROTO.
PORTS is --transport-proto PROTO [--src-port N] [--dst-port N]; --outif ipsecN: of that interface.
PROTO is a number or tcp, udp, icmp, icmp6; PORT the destination port.
{EVERYWHERE}"""

PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "ipv6-icmp": 58, "esp": 50, "ah": 51, "sctp": 132, "any": 0}
PASSTHROUGH = {"%passthrough": Shunt.PASS, "%passthrough4": Shunt.PASS, "%passthrough6": Shunt.PASS}
"""Older spellings."""


def _number(text: str, limit: int, what: str) -> int:
    if what == "protocol" and text.lower() in PROTOCOLS:
        return PROTOCOLS[text.lower()]
    if not (text.isascii() and text.isdecimal()) or int(text) > limit:
        raise ConfigError(f"'{text}' is not a {what}: 0 to {limit} is")
    return int(text)


def main(argv: list[str]) -> int:
    """Print the table or the explanation, or change the table; exit 1 when refused or with options without sense."""
    if not set(argv) - {"--json"} or "--help" in argv:
        return table("eroute", argv, f"Usage: {USAGE}")
    if "--match" in argv:
        return _match(argv)
    try:
        given = _options(expand(argv))
    except Usage as why:
        print(why, file=sys.stderr)
        return 1
    except ConfigError as why:
        return complain("eroute", why)
    try:
        return give("eroute", _order(given), given.label)
    except ConfigError as why:
        return complain("eroute", why, given.label)


def _options(argv: list[str]) -> Namespace:
    options = parser("eroute", USAGE, 1)
    add_sa_options(options)
    for name in ("eraf", "src", "dst", "transport-proto", "src-port", "dst-port", "outif"):
        options.add_argument(f"--{name}", default="")
    for change in Change:
        options.add_argument(f"--{change.value}", action="store_true")
    options.add_argument("--clear", action="store_true")
    return options.parse_args(argv)


def _order(given: Namespace) -> Order:
    wanted = [change for change in Change if getattr(given, change.value)]
    if len(wanted) + given.clear != 1:
        raise ConfigError(
            "one of --add, --replace, --del, --addin, --replacein, --delin, --clear is wanted (try --help)"
        )
    if given.clear:
        return ClearEroutes()
    for name in ("src", "dst"):
        if not getattr(given, name):
            raise ConfigError(f"--{name} is missing")
    version = family(given.eraf) if given.eraf else 0
    nets = [_net(getattr(given, name), version, name) for name in ("src", "dst")]
    ports = [
        number(text, f"--{name}", 65535) if text else 0
        for name, text in (("src-port", given.src_port), ("dst-port", given.dst_port))
    ]
    transport = parse_protocol(given.transport_proto) if given.transport_proto else 0
    flow = FlowKey(nets[0], nets[1], transport, *ports)
    return ErouteOrder(wanted[0], flow, None if wanted[0].deletes else _target(given), given.outif)


def _net(text: str, version: int, name: str) -> Subnet:
    try:
        if "/" not in text and text != "%default":
            return parse_classic_subnet(f"{parse_address(text)}/{128 if ':' in text else 32}", version)[0]
        return parse_classic_subnet(text, version)[0]
    except ConfigError as why:
        raise ConfigError(f"--{name}: {why.reason}") from None


def _target(given: Namespace) -> Said | Shunt:
    if given.said:
        return PASSTHROUGH.get(given.said) or parse_said(given.said)
    return said_of(given.af, given.edst, given.spi, given.proto)


def _match(argv: list[str]) -> int:
    words = [word for word in argv if word not in ("--match", "--json")]
    if not 2 <= len(words) <= 4:
        print(f"Usage: {USAGE}", file=sys.stderr)
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
