# SPDX-License-Identifier: GPL-2.0-or-later
"""The network's state; changes are seen in tests/netns/test_routes.py."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import Any

from openswan.host.netlink import _defaults, _links, _source, _usable, matters, network_state
from openswan.host.nlmsg import attr
from openswan.policy.onlink import Links, OnLink


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


ON_LINK = OnLink(Links((ip_network("192.0.2.0/24"),)))


def test_only_some_routes_of_the_main_table_are_worth_a_look() -> None:
    """Defaults, what is on a link, and what is within that and reached by a router all the same."""

    def route(net: str, table: int = 254, via: str = "") -> memoryview:
        where = ip_network(net)
        head = bytes([2 if where.version == 4 else 10, where.prefixlen, 0, 0, table, 0, 0, 1, 0, 0, 0, 0])
        dst = attr(1, where.network_address.packed) if where.prefixlen else b""
        return memoryview(head + dst + (attr(5, ip_address(via).packed) if via else b""))

    def told(data: memoryview, kind: int = 24) -> bool:
        return matters(kind, data, ON_LINK)

    assert told(route("0.0.0.0/0", via="192.0.2.9")) and told(route("::/0"), 25)
    assert told(route("10.0.0.0/8")) and told(route("2001:db8::/64")) and told(route("192.0.2.64/26", via="192.0.2.9"))
    assert not told(route("10.0.0.0/8", via="192.0.2.9")) and not told(route("0.0.0.0/0", 50))
    assert not told(route("10.0.0.0/8", 50)) and not told(memoryview(b"")) and not told(memoryview(bytes(16)), 28)
    assert all(told(memoryview(b""), kind) for kind in (16, 17, 20, 21))


def test_what_is_on_a_link_is_told_by_routes() -> None:
    """Nets without a router on wires; of the others those within them. Devices: 2 a wire, 5 point to point."""

    def route(net: str, device: int = 2, via: str = "", kind: int = 1, **more: Any) -> Fake:
        where = ip_network(net)
        family = 2 if where.version == 4 else 10
        values = {"dst_len": where.prefixlen, "type": kind, "family": family, "RTA_OIF": device}
        return Fake(**values, RTA_DST=str(where.network_address), RTA_GATEWAY=via or None, **more)

    several = {"RTA_MULTIPATH": [Fake(oif=2, RTA_GATEWAY="192.0.2.8"), Fake(oif=2, RTA_GATEWAY="192.0.2.9")]}
    routes = [
        route("192.0.2.0/24"),
        route("192.0.2.64/26", via="192.0.2.9"),
        route("192.0.2.128/25", 5),
        route("192.0.2.32/27", 0, **several),
        route("192.0.2.0/28", kind=6),
        route("2001:db8::/64"),
        route("10.0.0.0/8", via="192.0.2.9"),
        route("10.1.0.0/16", 5),
        default(2),
        Fake(dst_len=20, type=1, family=28),
    ]
    links = _links(routes, {2})
    assert links.direct == (ip_network("192.0.2.0/24"), ip_network("2001:db8::/64"))
    assert [str(net) for net in links.routed] == ["192.0.2.128/25", "192.0.2.64/26", "192.0.2.32/27", "192.0.2.0/28"]
