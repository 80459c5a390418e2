# SPDX-License-Identifier: GPL-2.0-or-later
"""Plain data to octets and back."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from openswan.base.address import Endpoint
from openswan.klips.keys import address, endpoint, flow_key, raw_flow, raw_key, raw_selector
from openswan.policy.selector import FlowKey, Selector


def test_eroute_keys() -> None:
    for key in (
        FlowKey(ip_network("10.0.0.0/8"), ip_network("0.0.0.0/0")),
        FlowKey(ip_network("10.0.0.1"), ip_network("10.0.0.2"), 6, 0, 443),
        FlowKey(ip_network("fd00::/8"), ip_network("::/0"), 17, 53, 0),
    ):
        assert flow_key(raw_key(key)) == key
    assert raw_key(FlowKey(ip_network("10.0.0.0/8"), ip_network("1.2.3.4"), 6, 1, 2)) == (
        4, b"\x0a\0\0\0", 8, b"\1\2\3\4", 32, 6, 1, 2,
    )  # fmt: skip
    assert raw_flow(FlowKey(ip_network("1.2.3.4"), ip_network("5.6.7.8"), 6, 1, 2)) == (
        4, b"\1\2\3\4", b"\5\6\7\x08", 6, 1, 2,
    )  # fmt: skip


def test_selectors() -> None:
    src = Selector(ip_address("10.0.0.1"), ip_address("10.0.0.9"), 0, 5, 6)
    dst = Selector(ip_address("10.1.0.0"), ip_address("10.1.0.255"), 17)
    assert raw_selector(src, dst) == (
        4, 17, b"\x0a\0\0\1", b"\x0a\0\0\x09", b"\x0a\1\0\0", b"\x0a\1\0\xff", 5, 6, 0, 65535,
    )  # fmt: skip


def test_addresses() -> None:
    assert endpoint((6, bytes(15) + b"\1", 4500)) == Endpoint(ip_address("::1"), 4500)
    assert address(b"\1\2\3\4") == ip_address("1.2.3.4")
