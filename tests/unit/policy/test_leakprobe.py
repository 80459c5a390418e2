# SPDX-License-Identifier: GPL-2.0-or-later
"""Which packets are to show whether something leaks."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from openswan.policy.leakprobe import Probe, probes
from openswan.policy.selector import FlowKey


def flow(src: str, dst: str, *more: int) -> FlowKey:
    return FlowKey(ip_network(src), ip_network(dst), *more)


def tried(key: FlowKey, own: tuple[str, ...] = (), clear: tuple[str, ...] = ()) -> list[Probe]:
    return list(probes([("net", key)], [ip_address(one) for one in own], [ip_network(one) for one in clear]))


def test_three_protocols_from_an_address_of_ours_where_there_is_one() -> None:
    found = tried(flow("10.1.0.0/24", "10.2.0.0/24"), ("192.0.2.1", "10.1.0.1"))
    assert [(one.protocol, str(one.src), str(one.dst)) for one in found] == [
        (17, "10.1.0.1", "10.2.0.254"), (6, "10.1.0.1", "10.2.0.254"), (1, "10.1.0.1", "10.2.0.254"),
    ]  # fmt: skip
    (first, *_) = tried(flow("2001:db8:1::/64", "2001:db8:2::/64"))
    assert first.src in ip_network("2001:db8:1::/64") and first.ports == (33434, 9)


def test_a_protocol_and_ports_of_the_selector() -> None:
    (one,) = tried(flow("10.1.0.0/24", "10.2.0.0/24", 6, 0, 443))
    assert (one.protocol, one.ports) == (6, (33434, 443))


@pytest.mark.parametrize(
    ("key", "own", "clear", "dst"),
    [
        (flow("10.1.0.1/32", "10.2.0.2/32"), (), (), "10.2.0.2"),
        (flow("10.1.0.0/24", "0.0.0.0/0"), ("10.1.0.1",), (), "198.51.100.1"),
        (flow("10.1.0.0/24", "0.0.0.0/0"), ("10.1.0.1",), ("198.51.100.0/24",), "203.0.113.1"),
        (flow("2001:db8:1::/64", "::/0"), (), (), "2001:db8:ffff::1"),
        (flow("10.1.0.0/24", "10.0.0.0/8"), (), (), "10.255.255.254"),
        (flow("10.1.0.0/24", "10.2.0.0/24"), (), ("10.2.0.128/25",), "10.2.0.1"),
        (flow("10.1.0.0/24", "10.2.0.0/24"), (), ("10.2.0.0/16",), None),
        (flow("10.1.0.0/24", "192.0.2.1/32"), ("192.0.2.1",), (), None),
    ],
)
def test_where_to(key: FlowKey, own: tuple[str, ...], clear: tuple[str, ...], dst: str | None) -> None:
    """Not into nets that may be reached in clear, not to ourselves, and where there is nobody in particular if wide."""
    found = tried(key, own, clear)
    assert {str(one.dst) for one in found} == ({dst} if dst else set())


def test_hosts_behind_this_one_where_a_route_says_that_they_are() -> None:
    homes = [(ip_network(net), device) for net, device in (("10.1.0.0/16", "wan"), ("10.1.0.0/24", "lan"))]

    def sources(key: FlowKey, *own: str) -> list[tuple[str, str]]:
        found = probes([("net", key)], [ip_address(one) for one in own], [], homes)
        return list(dict.fromkeys((str(one.src), one.device) for one in found))

    both = flow("10.1.0.0/24", "10.2.0.0/24")
    assert sources(both, "10.1.0.254") == [("10.1.0.254", ""), ("10.1.0.1", "lan")]
    assert sources(flow("10.1.0.128/25", "10.2.0.0/24"), "10.1.0.1") == [("10.1.0.254", "lan")]
    assert sources(flow("10.1.0.1/32", "10.2.0.0/24"), "10.1.0.1") == [("10.1.0.1", "")]
    assert sources(flow("10.9.0.0/24", "10.2.0.0/24")) == [("10.9.0.254", "")], "nobody knows where they are"
    assert sources(flow("0.0.0.0/0", "0.0.0.0/0"), "192.0.2.1") == [("192.0.2.1", ""), ("10.1.255.254", "wan")]
