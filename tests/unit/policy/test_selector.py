# SPDX-License-Identifier: GPL-2.0-or-later
"""Selectors contain, intersect and fall apart into subnets; flow keys turn round."""

from ipaddress import ip_address, ip_network

import pytest

from openswan.policy.selector import FlowKey, Selector, flow_keys


def sel(net, protocol=0, port=0):
    return Selector.of(ip_network(net), protocol, port)


@pytest.mark.parametrize(
    ("outer", "inner", "inside"),
    [
        (sel("10.0.0.0/8"), sel("10.1.0.0/16"), True),
        (sel("10.1.0.0/16"), sel("10.0.0.0/8"), False),
        (sel("10.0.0.0/8"), sel("10.0.0.0/8", 6, 80), True),
        (sel("10.0.0.0/8", 6, 80), sel("10.0.0.0/8"), False),
        (sel("10.0.0.0/8", 6), sel("10.0.0.0/8", 17), False),
        (sel("0.0.0.0/0"), sel("::/0"), False),
        (sel("2001:db8::/32"), sel("2001:db8:1::/48", 6, 443), True),
    ],
)
def test_contains(outer, inner, inside):
    assert outer.contains(inner) is inside


def test_intersection_narrows_addresses_protocol_and_ports():
    got = sel("10.0.0.0/8", 6).intersect(sel("10.1.0.0/16", 0, 80))
    assert got == sel("10.1.0.0/16", 6, 80)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (sel("10.0.0.0/8"), sel("192.0.2.0/24")),
        (sel("10.0.0.0/8", 6), sel("10.0.0.0/8", 17)),
        (sel("10.0.0.0/8", 6, 80), sel("10.0.0.0/8", 6, 81)),
        (sel("0.0.0.0/0"), sel("::/0")),
    ],
)
def test_disjoint_selectors_do_not_intersect(a, b):
    assert a.intersect(b) is None
    assert b.intersect(a) is None


def test_a_range_falls_apart_into_subnets():
    span = Selector(ip_address("10.0.0.1"), ip_address("10.0.0.6"))
    assert [str(net) for net in span.subnets()] == ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]
    assert not span.is_subnet()
    assert str(span) == "10.0.0.1-10.0.0.6"
    assert len(flow_keys(span, sel("10.9.0.0/16"))) == 4


def test_text_names_protocol_and_port_only_when_there_is_one():
    assert str(sel("10.0.0.0/8")) == "10.0.0.0/8"
    assert str(sel("10.0.0.0/8", 6, 80)) == "10.0.0.0/8:6/80"


def test_flow_keys_keep_ports_on_their_side_and_turn_round():
    (key,) = flow_keys(sel("10.1.0.0/16", 6), sel("10.2.0.0/16", 6, 80))
    assert key == FlowKey(ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"), 6, 0, 80)
    assert key.reversed() == FlowKey(ip_network("10.2.0.0/16"), ip_network("10.1.0.0/16"), 6, 80, 0)
    assert key.reversed().reversed() == key
    assert str(key) == "10.1.0.0/16 -> 10.2.0.0/16:80 proto 6"
