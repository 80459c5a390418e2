# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec showdefaults`: what %defaultroute comes to on this host."""

from __future__ import annotations

from openswan.base.errors import HostError
from openswan.cli.ourmarks import configured
from openswan.cli.syntax import Given, Syntax, run
from openswan.cli.talk import request
from openswan.host.machine import Machine

SYNTAX = Syntax(
    "showdefaults",
    "show what %defaultroute stands for",
    details=(
        "Lines that a shell can read: the interface the default route leaves by, the virtual interface on it (none "
        "when no daemon runs), our address there and the next hop (%direct on a link without gateway). They are "
        "found out now, as the daemon does whenever routes change. Without an IPv4 default route that of IPv6 is "
        "shown.",
    ),
    statuses={0: "printed", 1: "there is no default route", 2: "usage error"},
    see=("ipsec_showroute(8)", "ipsec.conf(5)"),
)


def _virtual(physical: str) -> str:
    """The ipsecN on an interface, none without a daemon."""
    try:
        rows = [text.split() for _, text in request("tncfg", timeout=10.0)]
    except HostError:
        return "none"
    return next((words[0] for words in rows if len(words) > 2 and words[2] == physical), "none")


def _act(given: Given) -> int:
    routes = Machine().default_routes(configured())
    if not routes:
        print("# no default route")
        return 1
    first = routes[0]
    print(f"routephys={first.device}")
    print(f"routevirt={_virtual(first.device)}")
    print(f"routeaddr={first.address or ''}")
    print(f"routenexthop={first.gateway or '%direct'}")
    return 0


def main(argv: list[str]) -> int:
    """Print them; 1 when there is no default route."""
    return run(SYNTAX, argv, _act)
