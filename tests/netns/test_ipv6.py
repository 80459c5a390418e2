# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways to the IPv6 internet that are none of ethernet: 6to4, and routers that show their link-local address alone.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
                     :...protocol 41...:
"""

from __future__ import annotations

import re

import pytest

from tests.netns.capture import QUIET, Capture, assert_quiet
from tests.netns.conns import INNER, conn
from tests.netns.lab import Lab
from tests.netns.pair import pair
from tests.netns.sixtofour import SixToFour, inside, prefix
from tests.netns.traffic import assert_ping

FOUR = {"leftsubnet": "10.1.0.0/24", "rightsubnet": "10.2.0.0/24", "authby": "secret"}
SIX = {"leftsubnet": "2001:db8:1::/64", "rightsubnet": "2001:db8:2::/64", "authby": "secret"}
WEST, EAST = "192.0.2.1", "192.0.2.2"


@pytest.mark.matrix
@pytest.mark.parametrize("encapsulation", ["auto", "no"])
def test_6to4_as_the_first_hop(lab: Lab, encapsulation: str) -> None:
    """Both gateways have no other IPv6, and name no next hop: ESP and IKE in IPv6 in IPv4."""
    for host, here, there, old in ((lab.west, WEST, EAST, "2001:db8::1"), (lab.east, EAST, WEST, "2001:db8::2")):
        host.ip("addr", "del", f"{old}/64", "dev", "wan")
        SixToFour(host, here, there)
    ends = {"left": f"{prefix(WEST)}::1", "right": f"{prefix(EAST)}::1", "encapsulation": encapsulation}
    text = conn("four", {**ends, **FOUR}, auto="start") + conn("six", {**ends, **SIX}, auto="start")
    both = pair(lab, text, text.replace("auto=start", "auto=add"))
    both.settle(2)
    (four, six) = sorted(both.west.json("status")["connections"], key=lambda each: str(each["name"]))
    assert four["interface"] == six["interface"] == "sixtofour"
    with Capture(lab.west) as wire:
        for target in ("10.2.0.2", "2001:db8:2::2"):
            assert_ping(lab.sunset, target)
            # Larger than what is left of the path; in IPv6 either end is told so once.
            said = lab.sunset.run("ping", "-c", "4", "-i", "0.3", "-s", "3000", "-W", "2", target, check=False).stdout
            assert int(re.findall(r"(\d+) received", said)[0]) >= 2, said
    carried = wire.packets(lambda seen: seen.kind == f"proto-{41}")
    kinds = {inside(seen) for seen in carried}
    assert kinds & {"esp", "esp-udp"} == {"esp" if encapsulation == "no" else "esp-udp"}
    clear = [seen for seen in carried if inside(seen) not in QUIET and not inside(seen).startswith("fragment-")]
    assert not clear, "\n".join(map(str, clear[:5]))
    assert not [seen for seen in wire.packets() if seen.kind not in QUIET and seen.kind != "proto-41"]
    assert "[OK]" in both.west.ipsec("verify", "--leak").stdout


@pytest.mark.matrix
@pytest.mark.parametrize("named", [False, True])
def test_a_router_that_has_a_link_local_address_alone(named: bool) -> None:
    """The way routers are found in IPv6 (RFC 4861); leftnexthop= may be such an address, and need not be there."""
    with Lab("routed") as lab:
        text = lab["r1"].ip("-6", "addr", "show", "dev", "left", "scope", "link")
        found = re.search(r"inet6 (fe80::[0-9a-f:]+)/", text)
        assert found
        lab.west.ip("-6", "route", "replace", "default", "via", found[1], "dev", "wan")
        lab["r1"].ip("addr", "del", "2001:db8::fe/64", "dev", "left")
        lab["r1"].ip("route", "add", "2001:db8::/64", "dev", "left")
        ends = {"left": "2001:db8::1", "right": "2001:db8:9::2"}
        base = conn("six", {**ends, **SIX}, auto="start")
        mine = conn("six", {**ends, **SIX}, auto="start", **({"leftnexthop": found[1]} if named else {}))
        both = pair(lab, mine, base.replace("auto=start", "auto=add"))
        both.settle()
        with Capture(lab.west) as wire:
            assert_ping(lab.sunset, "2001:db8:2::2")
            assert_quiet(wire, INNER)
