# SPDX-License-Identifier: GPL-2.0-or-later
"""The network's state; changes are seen in tests/netns/test_routes.py."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import Any

from openswan.host.netlink import _defaults, _source, _usable, matters, network_state


class Fake(dict[str, Any]):
    """A message: fields by index, attributes by get, as pyroute2 has them."""


def address(text: str, scope: int = 0, flags: int = 0) -> Fake:
    return Fake(IFA_ADDRESS=text, scope=scope, flags=flags, prefixlen=24, index=2)


def test_only_addresses_one_can_talk_from() -> None:
    assert _usable(address("192.0.2.1")) == (ip_address("192.0.2.1"), 24)
    assert _usable(address("fe80::1", scope=253)) is None and _usable(address("127.0.0.1", scope=254)) is None
    for flag in (0x08, 0x20, 0x40):
        assert _usable(address("2001:db8::1", flags=flag)) is None


def default(index: int, gateway: str | None = None, metric: int = 0, family: int = 2, **more: Any) -> Fake:
    return Fake(dst_len=0, type=1, family=family, RTA_OIF=index, RTA_GATEWAY=gateway, RTA_PRIORITY=metric, **more)


def test_the_lowest_metric_wins_and_ipsec_is_no_way_out() -> None:
    names = {2: "eth0", 3: "eth1", 4: "ipsec0"}
    addresses = {n: [(ip_address(f"192.0.{n}.1"), 24)] for n in names}
    routes = [default(2, "192.0.2.9", 200), default(3, "192.0.3.9", 100), default(4, None, 1)]
    (found,) = _defaults(routes, names, addresses, lambda name: name.startswith("ipsec"))
    assert (found.interface, found.source, found.nexthop) == ("eth1", ip_address("192.0.3.1"), ip_address("192.0.3.9"))
    (found,) = _defaults([default(2)], names, addresses, lambda name: False)
    assert found.nexthop is None
    multipath = default(0, None, RTA_MULTIPATH=[Fake(oif=3, RTA_GATEWAY="192.0.3.9")])
    (found,) = _defaults([multipath], names, addresses, lambda name: False)
    assert found.interface == "eth1"


def test_the_source_is_the_one_beside_the_gateway() -> None:
    mine = [(ip_address("198.51.100.1"), 24), (ip_address("192.0.2.1"), 24), (ip_address("2001:db8::1"), 64)]
    assert _source(default(2), "192.0.2.9", 4, mine) == ip_address("192.0.2.1")
    assert _source(default(2), "fe80::9", 6, mine) == ip_address("2001:db8::1")
    assert _source(default(2, RTA_PREFSRC="192.0.2.77"), "192.0.2.9", 4, mine) == ip_address("192.0.2.77")
    assert _source(default(2), None, 4, []) is None


def test_this_machine_has_a_state() -> None:
    state = asyncio.run(network_state(lambda name: name.startswith("ipsec")))
    assert all(each.name != "lo" for each in state.interfaces)


def test_only_default_routes_of_the_main_table_are_worth_a_look() -> None:
    def route(length: int, table: int) -> memoryview:
        return memoryview(bytes([2, length, 0, 0, table, 0, 0, 0]))

    assert matters(24, route(0, 254)) and matters(25, route(0, 254))
    assert not matters(24, route(24, 254)) and not matters(24, route(0, 50))
    assert not matters(24, memoryview(b"")) and not matters(28, memoryview(bytes(16)))
    assert all(matters(kind, memoryview(b"")) for kind in (16, 17, 20, 21))
