# SPDX-License-Identifier: GPL-2.0-or-later
"""ESP that does not pass is noticed by its silence, and goes into UDP when that may be."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.plane.commands import Direction
from tests.sim.pair import EAST_NET, WEST_NET, Esp, Inner, Pair, make_pair, tunnel
from tests.sim.v1 import v1_tunnel

HERE, THERE = ip_address("10.1.0.5"), ip_address("10.2.0.6")


def raw_pair(encapsulation: str = "auto", block: bool = True, **more: object) -> Pair:
    """Two that do not know each other as the same kind: ESP is protocol 50 unless a NAT is found."""
    pair = make_pair(1)
    if block:
        pair.net.blocks = lambda packet: isinstance(packet.body, Esp) and packet.src.port == 0
    west, east = tunnel(encapsulation=encapsulation, **more)
    for host, policy in ((pair.west, west), (pair.east, east)):
        keyring = host.pluto.brain.keyring
        ike = keyring._ike
        keyring._ike = lambda *args, ike=ike: replace(ike(*args), own_vendor=False)  # type: ignore[method-assign,misc]
        host.load(policy)
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, lambda: pair.up() and pair.agreed())
    assert not any(sa.encap for sa in pair.west.klips.sas.values())
    return pair


def talk(pair: Pair, seconds: float) -> None:
    for number in range(int(seconds)):
        pair.west.klips.send(Inner(HERE, THERE, number))
        pair.east.klips.send(Inner(THERE, HERE, number))
        pair.run(1.0)


def in_udp(pair: Pair) -> bool:
    return all(sa.encap for host in (pair.west, pair.east) for sa in host.klips.sas.values())


def test_blocked_esp_goes_into_udp_and_the_log_says_why() -> None:
    pair = raw_pair()
    talk(pair, 20)
    assert in_udp(pair) and pair.up() and pair.agreed()
    assert any(
        "IKE up, ESP blocked by something on the way" in line and "trying UDP" in line for line in pair.west.lines
    )
    inner = Inner(HERE, THERE, 1000)
    pair.west.klips.send(inner)
    pair.run(1.0)
    assert inner in pair.east.klips.delivered
    pair.sane()


def v1_pair(ready: float) -> Pair:
    """Two that speak IKEv1; nothing that is not in UDP gets anywhere for so many seconds."""
    pair = make_pair(1)
    pair.net.blocks = lambda packet: isinstance(packet.body, Esp) and packet.src.port == 0 and pair.net.now < ready
    for host, policy in zip((pair.west, pair.east), v1_tunnel(encapsulation="auto"), strict=True):
        host.load(policy)
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, lambda: pair.up() and pair.agreed())
    return pair


def test_blocked_esp_of_ikev1_goes_into_udp() -> None:
    pair = v1_pair(ready=1e9)
    talk(pair, 30)
    assert in_udp(pair) and pair.up() and pair.agreed()
    assert any("IKE up, ESP blocked" in line and "trying UDP" in line for line in pair.west.lines + pair.east.lines)


@pytest.mark.parametrize("ready", [6.0, 7.0, 7.9])
def test_a_slow_peer_is_no_firewall(ready: float) -> None:
    """It answers IKE, but was not ready for the first packets: those that follow count."""
    pair = v1_pair(ready)
    talk(pair, 60)
    assert not in_udp(pair) and not any("blocked" in line for line in pair.west.lines + pair.east.lines)


@pytest.mark.parametrize("slow", ["east", "west"])
@pytest.mark.parametrize("seconds", [1.0, 4.5, 9.0])
def test_a_peer_whose_updown_commands_are_slow_is_no_firewall(slow: str, seconds: float) -> None:
    """Nothing that arrives there can be answered before its route is there; it says itself that ESP has come."""
    pair = make_pair(1)
    late, early = (pair.east, pair.west) if slow == "east" else (pair.west, pair.east)
    late.updown_delay = seconds
    for host, policy in zip((pair.west, pair.east), v1_tunnel(encapsulation="auto"), strict=True):
        host.load(policy)
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, lambda: "child-established" in early.events)
    asked = 0
    for number in range(60):
        pair.send(early, *(("10.1.0.5", "10.2.0.6") if early is pair.west else ("10.2.0.6", "10.1.0.5")))
        pair.run(1.0)
        if "child-established" in late.events and len(late.klips.delivered) > asked:
            asked = len(late.klips.delivered)
            late.klips.send(Inner(HERE, THERE, 100 + number) if late is pair.west else Inner(THERE, HERE, 100 + number))
    assert "child-established" in late.events and not pair.missing()
    assert not in_udp(pair) and not any("blocked" in line for line in pair.west.lines + pair.east.lines)
    pair.sane()


@pytest.mark.parametrize("lost", ["west", "east"])
def test_esp_that_is_blocked_is_found_as_soon_where_updown_commands_are_slow(lost: str) -> None:
    pair = make_pair(1)
    deaf = (pair.west if lost == "west" else pair.east).address
    pair.net.blocks = lambda packet: isinstance(packet.body, Esp) and packet.dst.address == deaf and not packet.src.port
    pair.east.updown_delay = 9.0
    for host, policy in zip((pair.west, pair.east), v1_tunnel(encapsulation="auto"), strict=True):
        host.load(policy)
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, lambda: "child-established" in pair.west.events)
    for number in range(10):
        pair.west.klips.send(Inner(HERE, THERE, number))
        pair.run(1.0)
    assert "esp-blocked" in pair.west.events


@pytest.mark.parametrize("slow", ["west", "east"])
def test_the_six_dummies_of_our_own_kind_are_enough_where_updown_commands_are_slow(slow: str) -> None:
    pair = make_pair(1)
    (pair.west if slow == "west" else pair.east).updown_delay = 20.0
    for host, policy in zip((pair.west, pair.east), tunnel(encapsulation="no"), strict=True):
        host.load(policy)
    pair.west.request("initiate", name="net-net")
    pair.run(100.0)
    for host in (pair.west, pair.east):
        assert "child-established" in host.events and "esp-blocked" not in host.events
        assert host.klips.history.count("SendDummy") == 6


def test_what_may_not_use_udp_is_only_told() -> None:
    pair = raw_pair("no")
    spis = set(pair.west.klips.by_spi)
    talk(pair, 20)
    assert set(pair.west.klips.by_spi) == spis
    assert any("a firewall has to let protocol ESP pass" in line for line in pair.west.lines)


@pytest.mark.parametrize("busy", (True, False))
def test_esp_that_passes_and_esp_that_was_not_needed_are_left_alone(busy: bool) -> None:
    pair = raw_pair(block=False)
    spis = set(pair.west.klips.by_spi)
    talk(pair, 20) if busy else pair.run(1000.0)
    assert set(pair.west.klips.by_spi) == spis and WEST_NET != EAST_NET
    assert not any("blocked" in line for line in pair.west.lines + pair.east.lines)


def test_a_dead_peer_is_no_firewall() -> None:
    pair = raw_pair(retransmit_timeout=10.0)
    pair.net.cut.add(pair.east.address)
    talk(pair, 30)
    assert not any("blocked" in line for line in pair.west.lines)


def kindred_pair(lost: str, encapsulation: str = "no", **more: object) -> Pair:
    """Two of our own kind, between whom ESP is lost on its way to one of them."""
    pair = make_pair(1)
    blocked = {"west": pair.west.address, "east": pair.east.address}.get(lost)
    pair.net.blocks = lambda packet: isinstance(packet.body, Esp) and packet.dst.address == blocked
    for host, policy in zip((pair.west, pair.east), tunnel(encapsulation=encapsulation, **more), strict=True):
        host.load(policy)
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, lambda: pair.up() and pair.agreed())
    return pair


@pytest.mark.parametrize("lost", ("west", "east"))
def test_between_our_own_kind_an_idle_tunnel_tells_which_way_is_blocked(lost: str) -> None:
    pair = kindred_pair(lost)
    pair.run(20.0)
    deaf, other = (pair.west, pair.east) if lost == "west" else (pair.east, pair.west)
    assert any("IKE up, ESP blocked" in line and "let protocol ESP pass" in line for line in deaf.lines)
    assert not any("blocked" in line for line in other.lines), "its own way in is open"


def test_an_idle_tunnel_that_works_is_proven_and_left_alone() -> None:
    pair = kindred_pair("nowhere", "auto")
    pair.run(100.0)
    for host in (pair.west, pair.east):
        (incoming,) = (said for said, sa in host.klips.sas.items() if sa.direction is Direction.IN)
        assert incoming in host.klips.heard and host.klips.history.count("SendDummy") == 6
        assert not host.klips.delivered and not any("blocked" in line for line in host.lines)


def test_a_bundle_is_sent_no_dummies() -> None:
    pair = kindred_pair("nowhere", compress=True)
    pair.run(20.0)
    assert "SendDummy" not in pair.west.klips.history + pair.east.klips.history


def test_a_peer_that_is_gone_is_none_the_worse_for_it_while_nobody_needs_it() -> None:
    pair = kindred_pair("nowhere", retransmit_timeout=10.0)
    pair.net.cut.add(pair.east.address)
    pair.run(300.0)
    assert pair.west.klips.sas and pair.east.klips.sas, "whether a silent peer is given up is dpddelay='s matter"
    pair.net.cut.clear()
    pair.run(70.0)
    assert not any("blocked" in line or "DPD:" in line for line in pair.west.lines + pair.east.lines)


def test_a_silent_peer_is_given_up_when_dpd_says_so_and_not_before() -> None:
    pair = kindred_pair("nowhere", dpd_delay=30.0, retransmit_timeout=20.0)
    pair.net.cut.add(pair.east.address)
    began = pair.net.now
    assert pair.run(100.0, lambda: not pair.west.klips.sas)
    assert pair.net.now - began > 49.0
