# SPDX-License-Identifier: GPL-2.0-or-later
"""From protected flows to elements and back, checked packet by packet."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network
from random import Random

import pytest

from openswan.engine.effects import GuardEntry
from openswan.host.guard.model import GuardModel, Held, covers, union
from openswan.host.guard.rules import field_order
from openswan.policy.selector import FlowKey

LAN, FAR, ALL = ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"), ip_network("0.0.0.0/0")


def held(*keys: FlowKey, device: str = "ipsec0", block: tuple[int, ...] = ()) -> Held:
    return Held(tuple(GuardEntry(key, device) for key in keys), block)


def drops(model: GuardModel, src: str, dst: str, protocol: int = 17, sport: int = 1, dport: int = 2) -> bool:
    """What the kernel would do with an outbound packet, by the elements alone."""
    one, other = ip_address(src), ip_address(dst)
    values = {"local": int(one), "remote": int(other), "proto": protocol, "lport": sport, "rport": dport}
    for name, box in model.elements():
        if name.startswith("frag") or not name.endswith(str(one.version)):
            continue
        if all(a <= values[f] <= b for f, (a, b) in zip(field_order(name), box, strict=True)):
            return True
    return False


def test_our_own_client_stays_free_under_a_default_route_but_not_for_a_site_inside_it() -> None:
    model = GuardModel()
    model.replace("world", held(FlowKey(LAN, ALL)))
    assert drops(model, "10.1.0.5", "192.0.2.1") and not drops(model, "10.1.0.5", "10.1.0.6")
    model.replace("wide", held(FlowKey(ip_network("10.0.0.0/8"), ip_network("10.9.0.0/16"))))
    assert drops(model, "10.1.0.5", "10.9.0.1") and drops(model, "10.9.0.1", "10.9.0.2")
    model.replace("hairpin", held(FlowKey(ip_network("10.1.0.0/28"), ip_network("10.1.0.16/28"))))
    assert drops(model, "10.1.0.1", "10.1.0.17") and not drops(model, "10.1.0.17", "10.1.0.1")


def test_a_replaced_connection_changes_only_what_differs() -> None:
    model = GuardModel()
    model.replace("a", held(FlowKey(LAN, FAR)))
    assert not model.replace("a", held(FlowKey(LAN, FAR)))
    change = model.replace("a", held(FlowKey(LAN, FAR), FlowKey(LAN, ip_network("10.3.0.0/24"))))
    assert len(change.add) == 1 and not change.remove
    assert not model.replace("b", held(FlowKey(LAN, FAR))).add
    assert len(model.replace("a", None).remove) == 1
    assert len(model.replace("b", None).remove) == 1 and model.devices() == {"lo"}


def test_devices_come_and_go_with_the_last_connection_on_them() -> None:
    model = GuardModel()
    assert model.replace("a", held(FlowKey(LAN, FAR), device="ipsec1")).devices_add == {"ipsec1"}
    assert not model.replace("b", held(FlowKey(FAR, LAN), device="ipsec1")).devices_add
    assert not model.replace("a", None).devices_remove
    assert model.replace("b", None).devices_remove == {"ipsec1"}


def test_a_blocked_family_blocks_all_of_it_while_anybody_asks() -> None:
    model = GuardModel()
    model.replace("a", held(FlowKey(LAN, ALL), block=(6,)))
    model.replace("b", held(FlowKey(LAN, ALL), block=(6,)))
    assert drops(model, "2001:db8::1", "2001:db8::2")
    model.replace("a", None)
    assert drops(model, "2001:db8::1", "fe80::2")
    model.replace("b", None)
    assert not model.elements()


@pytest.mark.parametrize("seed", range(12))
def test_elements_and_find_agree_with_the_flows(seed: int) -> None:
    random, model = Random(seed), GuardModel()

    def net() -> FlowKey:
        sides = []
        for _ in range(2):
            length = random.choice((0, 26, 28, 29, 30, 32))
            sides.append(ip_network((int(IPv4Address("10.0.0.0")) + random.randrange(64), length), strict=False))
        protocol = random.choice((0, 0, 1, 6, 17))
        ports = [random.choice((0, 5, 6)) if protocol else 0 for _ in range(2)]
        return FlowKey(sides[0], sides[1], protocol, *ports)

    flows: dict[str, list[FlowKey]] = {}
    for step in range(40):
        name = random.choice("abcdefgh")
        if step % 4 == 3 and name in flows:
            del flows[name]
            model.replace(name, None)
        else:
            flows[name] = [net() for _ in range(random.randrange(1, 4))]
            model.replace(name, held(*flows[name]))
    every = [key for keys in flows.values() for key in keys]
    for _ in range(300):
        src, dst = (IPv4Address(int(IPv4Address("10.0.0.0")) + random.randrange(70)) for _ in range(2))
        protocol, sport, dport = random.choice((1, 6, 17)), random.choice((5, 6, 7)), random.choice((5, 6, 7))
        expected = any(covers(key, src, dst, protocol, sport, dport) for key in every)
        assert drops(model, str(src), str(dst), protocol, sport, dport) == expected
        found = model.find(src, dst, protocol, sport, dport)
        assert any(match.outbound for match in found) == expected


def test_find_prefers_the_most_specific() -> None:
    model = GuardModel()
    model.replace("world", held(FlowKey(LAN, ALL), block=(6,)))
    model.replace("site", held(FlowKey(LAN, FAR)))
    found = model.find(ip_address("10.1.0.1"), ip_address("10.2.0.1"))
    assert [match.connection for match in found] == ["site", "world"]
    inbound = model.find(ip_address("10.2.0.1"), ip_address("10.1.0.1"))
    assert inbound and not inbound[0].outbound
    assert model.find(ip_address("fd00::1"), ip_address("fd00::2"))[0].entry is None


def test_homes_are_disjoint_a_device_and_change_by_difference() -> None:
    model = GuardModel()
    wide, half = ip_network("10.1.0.0/24"), ip_network("10.1.0.128/25")
    first = model.settle([(wide, "lan"), (half, "lan"), (half, "dmz"), (ip_network("fd00::/64"), "lan")])
    assert sorted(name for name, _ in first.add) == ["home4", "home4", "home6", "known4", "known6"]
    assert model.elements() == first.add and not model.settle(
        [(wide, "lan"), (half, "dmz"), (ip_network("fd00::/64"), "lan")]
    )
    second = model.settle([(wide, "lan"), (ip_network("fd00::/64"), "lan")])
    assert [name for name, _ in second.remove] == ["home4"] and not second.add


def test_union() -> None:
    assert union([(5, 9), (0, 3), (4, 4), (20, 30), (22, 25)]) == [(0, 9), (20, 30)]


def test_what_is_open_is_asked_from_high_ports_only_and_replaced_as_a_whole() -> None:
    model = GuardModel()
    mine, server = ip_network("192.0.2.1"), ip_network("192.0.2.53")
    query = FlowKey(mine, server, 17, 0, 53)
    change = model.open([query])
    ((name, box),) = change.add
    assert name == "open4" and box[2:] == ((17, 17), (53, 53), (1024, 65535))
    assert model.elements() == change.add and not model.open([query])
    change = model.open([])
    assert len(change.remove) == 1 and not model.elements()
