# SPDX-License-Identifier: GPL-2.0-or-later
"""What is on a link of ours: the longest prefix decides; what is there is called at itself."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network
from typing import Any

from openswan.policy.gateways import Gateway
from openswan.policy.grade import Grade
from openswan.policy.onlink import Links, OnLink


def made(direct: str, routed: str = "") -> OnLink:
    return OnLink(Links(tuple(map(ip_network, direct.split())), tuple(map(ip_network, routed.split()))))


def test_the_longest_prefix_decides() -> None:
    onlink = made("10.0.0.0/8 10.1.2.0/24 2001:db8::/32", "10.1.0.0/16 10.0.0.7/32 2001:db8:1::/48")
    for address in ("10.0.0.1", "10.1.2.3", "10.255.255.255", "2001:db8::1"):
        assert ip_address(address) in onlink
    for address in ("10.0.0.7", "10.1.3.1", "11.0.0.1", "2001:db8:1::1", "::a00:1"):
        assert ip_address(address) not in onlink
    assert ip_address("10.0.0.1") not in OnLink()


def test_a_net_with_a_second_route_by_a_router_is_on_the_link() -> None:
    """The route by the link is the one of lower metric in any sane table; the other is there should it go away."""
    assert ip_address("10.0.0.1") in made("10.0.0.0/8", "10.0.0.0/8")


def test_race_against_the_definition() -> None:
    rng = random.Random(7)

    def net() -> Any:
        return ip_network((rng.getrandbits(32), rng.randint(1, 32)), strict=False)

    for _ in range(50):
        links = Links(tuple(net() for _ in range(8)), tuple(net() for _ in range(8)))
        onlink = OnLink(links)
        for _ in range(20):
            near = rng.choice(links.direct + links.routed)
            address = near.network_address + rng.randrange(near.num_addresses)
            around = [(one.prefixlen, one in links.direct) for one in links.direct + links.routed if address in one]
            assert (address in onlink) is max(around)[1]


def test_what_is_on_a_link_is_called_at_itself_alone() -> None:
    def gateway(address: str) -> Gateway:
        return Gateway(ip_address(address), None, b"", 10, "IPSECKEY", Grade.DNSSEC)

    near, far = ip_address("192.0.2.7"), ip_address("198.51.100.7")
    itself, other, own = gateway("192.0.2.7"), gateway("203.0.113.1"), gateway("198.51.100.7")
    onlink = made("192.0.2.0/24")
    assert onlink.itself(near, (other, itself)) == (itself,) and onlink.itself(near, (other,)) == ()
    assert onlink.itself(far, (other, own)) == (other, own)
