# SPDX-License-Identifier: GPL-2.0-or-later
"""Route and rule messages; what the kernel makes of them is seen in tests/netns/test_routes.py."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from openswan.base.errors import HostError
from openswan.host.nlmsg import parse_attrs
from openswan.host.rtnetlink import BLACKHOLE, DELROUTE, NEWROUTE, Route, Rtnetlink, Rule, route_message, rule_message


def test_a_route_and_its_deletion() -> None:
    route = Route(ip_network("10.2.0.0/24"), 50, "lo", source=ip_address("127.0.0.1"), metric=7, mtu=1400)
    message, deletion = route_message(route), route_message(route, delete=True)
    assert (message.kind, deletion.kind) == (NEWROUTE, DELROUTE)
    attrs = dict(parse_attrs(message.body[12:]))
    assert bytes(attrs[1]) == b"\x0a\x02\0\0" and bytes(attrs[7]) == b"\x7f\0\0\x01" and 8 in attrs
    assert not {7, 8} & dict(parse_attrs(deletion.body[12:])).keys()


def test_keys_know_the_kernels_default_metric() -> None:
    assert Route(ip_network("fd00::/64"), 50, "lo").key[3] == 1024
    assert Route(ip_network("10.0.0.0/8"), 50, kind=BLACKHOLE).key[3] == 0


def test_an_unknown_device_has_a_name_in_the_error() -> None:
    with pytest.raises(HostError, match="ipsec77"):
        route_message(Route(ip_network("10.2.0.0/24"), 50, "ipsec77"))


def test_a_rule() -> None:
    attrs = dict(parse_attrs(rule_message(Rule(6, 5000, 50, 0x1000, 0x1000)).body[12:]))
    assert attrs.keys() == {6, 10, 15, 16}


def test_neighbours_that_are_fine_or_unknown_have_no_state() -> None:
    netlink = Rtnetlink()
    assert netlink.neighbour(ip_address("127.0.0.1")) == "" and netlink.neighbour(ip_address("2001:db8::99")) == ""
    netlink.close()


def test_the_kernel_tells_its_way_to_ourselves() -> None:
    netlink = Rtnetlink()
    way = netlink.way(ip_address("127.0.0.1"))
    assert way.kind == "local" and way.device == "lo"
    assert ip_address("127.0.0.1") in [address for address, _ in netlink.addresses()]
    netlink.close()
