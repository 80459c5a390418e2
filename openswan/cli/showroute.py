# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec showroute`: from which address, over which gateway IKE and ESP packets to a peer leave this host."""

from __future__ import annotations

import sys

from openswan.base.errors import HostError
from openswan.cli.ourmarks import configured
from openswan.cli.syntax import Given, Misuse, Option, Syntax, run
from openswan.host.naming import addresses_of
from openswan.host.rtnetlink import Rtnetlink

SYNTAX = Syntax(
    "showroute",
    "show from where and over which gateway packets to a peer leave",
    (
        Option("--source", "print the source address"),
        Option("--gateway", "print the gateway, or the destination itself when it is on the link"),
        Option("--destination", "print the destination's address"),
        Option("--ipv4", "take IPv4 addresses of a name"),
        Option("--ipv6", "take IPv6 addresses of a name"),
    ),
    "DESTINATION",
    least=1,
    most=1,
    details=(
        "What left=%defaultroute and leftnexthop=%defaultroute come to for that peer: the way is asked for as the "
        "daemon's own packets go, past the routes into tunnels. Without --source, --gateway or --destination all "
        "three are printed on one line.",
    ),
    statuses={0: "printed", 1: "the name has no address, or there is no route", 2: "usage error"},
    see=("ipsec_showdefaults(8)", "ipsec_eroute(8)"),
)
PARTS = ("source", "gateway", "destination")


def _act(given: Given) -> int:
    if "--ipv4" in given and "--ipv6" in given:
        raise Misuse("`--ipv4' and `--ipv6' together")
    version = 4 if "--ipv4" in given else 6 if "--ipv6" in given else 0
    netlink, marks = Rtnetlink(), configured()
    try:
        destination = addresses_of(given.operands[0], version, marks=marks)[0]
        way = netlink.way(destination, mark=marks.own)
    except HostError as why:
        print(f"ipsec showroute: {why}", file=sys.stderr)
        return 1
    finally:
        netlink.close()
    found = dict(zip(PARTS, (way.source, way.gateway or destination, destination), strict=True))
    wanted = [part for part in PARTS if f"--{part}" in given] or PARTS
    print(" ".join(str(found[part]) for part in wanted))
    return 0


def main(argv: list[str]) -> int:
    """Print them; 0, 1 when there is no way, 2 for a usage error."""
    return run(SYNTAX, argv, _act)
