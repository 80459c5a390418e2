# SPDX-License-Identifier: GPL-2.0-or-later
"""Fragments through the engine: transport mode, eroutes and selectors with ports, and where neither matters."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from _fast.fragment import cut
from _fast.join import Joiner
from openswan.base.drops import Drop
from openswan.base.said import Shunt
from openswan.plane.commands import Direction
from openswan.policy.selector import Selector
from tests.fast.rig import HERE, THERE, Rig, eventually, udp
from tests.fast.test_bundle_out import SHAPES, ends, in_namespace

Namespace = Callable[[Callable[[], Any]], Any]
HERE6, THERE6 = "fd01::5", "fd02::7"
ENDS = {4: (HERE, THERE), 6: (HERE6, THERE6)}
NETS = {4: ("10.1.0.0/16", "10.2.0.0/16"), 6: ("fd01::/16", "fd02::/16")}


def pieces(packet: bytes, mtu: int = 1500, ident: int = 77) -> list[bytes]:
    why, made = cut(packet, mtu, ident)
    assert why == 0 and len(made) > 1
    return list(made)


def joined(parts: list[bytes]) -> bytes:
    joiner = Joiner()
    answers = [joiner.put(part) for part in parts]
    assert answers[-1][0] == 0, answers
    return answers[-1][1]


def datagram(version: int, size: int, *, back: bool = False, dport: int = 2000) -> bytes:
    a, b = ENDS[version][:: -1 if back else 1]
    return udp(a, b, 1000, dport, random.Random(size).randbytes(size), df=False)


@pytest.mark.parametrize("shape", ["esp", "ah", "comp-esp", "esp-ah"])
@pytest.mark.parametrize("version", [4, 6])
def test_transport_mode_carries_whole_datagrams(namespace: Namespace, shape: str, version: int) -> None:
    def work(rig: Any) -> None:
        rig.bundle(SHAPES[shape], version, version)
        src, dst = ends(shape, version, version)
        for size in (1473, 3000, 30000, 60000):
            packet = udp(src, dst, 1000, 2000, random.Random(size).randbytes(size), df=False)
            parts = pieces(packet)
            for part in parts[:-1]:
                rig.west.host.send(bytes(10) + part)
            assert rig.through(parts[-1]) == packet
        parts = pieces(udp(src, dst, 1000, 2000, bytes(3000), df=False))
        rig.west.host.send(bytes(10) + parts[0])
        rig.west.host.send(bytes(10) + parts[0][:-16] + b"x" * 16)
        eventually(lambda: rig.west.klips.drops()[Drop.FRAGMENT_OVERLAP] == 2, 3, rig.told)

    in_namespace(namespace, work)


@pytest.mark.parametrize("version", [4, 6])
def test_what_goes_by_an_eroute_without_ports_goes_as_it_is(tunnel: Rig, version: int) -> None:
    for part in pieces(datagram(version, 3000), 1280):
        tunnel.send(part)
        assert tunnel.opened() == part


def narrow(rig: Rig, version: int) -> None:
    """Tunnels for UDP to port 2000 alone; the rest of UDP is refused, anything else has none."""
    here, there = NETS[version]
    pair = (Selector.of(ip_network(there), 17), Selector.of(ip_network(here), 17, 2000))
    rig.do(rig.sa(Direction.IN, selectors=(pair,)))
    rig.do(rig.sa(Direction.OUT))
    rig.eroute(src=here, dst=there, protocol=17, dport=2000)
    rig.eroute(Shunt.DROP, src=here, dst=there)


def test_an_eroute_with_ports_takes_whole_ipv4_datagrams(rig: Rig) -> None:
    narrow(rig, 4)
    packet = datagram(4, 3000)
    for part in reversed(pieces(packet)):
        rig.send(part)
    assert rig.opened() == packet
    for part in pieces(datagram(4, 3000, dport=2001), ident=78):
        rig.send(part)
    rig.dropped(Drop.SHUNT_DROP)
    # Larger than the path, though no fragment: few could judge its pieces, so it is the outer packet that is cut.
    packet = datagram(4, 1452)
    rig.send(packet)
    assert rig.opened() == packet
    assert rig.silent()


def test_an_eroute_with_ports_takes_ipv6_datagrams_in_pieces_as_they_came(rig: Rig) -> None:
    narrow(rig, 6)
    packet = datagram(6, 3000)
    parts = pieces(packet, 1280)
    for part in parts:
        rig.send(part)
    assert [rig.opened() for _ in parts] == parts
    for part in pieces(datagram(6, 3000, dport=2001)):
        rig.send(part)
    rig.dropped(Drop.SHUNT_DROP)
    assert rig.silent()


def test_fragments_wait_with_their_first_for_policy(rig: Rig) -> None:
    here, there = NETS[4]
    rig.do(rig.sa(Direction.OUT))
    key = rig.eroute(Shunt.TRAP, src=here, dst=there, protocol=17, dport=2000)
    packet = datagram(4, 3000)
    for part in pieces(packet):
        rig.send(part)
    (event,) = rig.events()
    assert event.flow.dst_port == 2000  # type: ignore[union-attr]
    rig.eroute(src=here, dst=there, protocol=17, dport=2000)
    assert rig.opened() == packet and key.dst_port == 2000


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("order", [1, -1])
def test_selectors_with_ports_are_asked_about_the_whole(rig: Rig, version: int, order: int) -> None:
    narrow(rig, version)
    packet = datagram(version, 3000, back=True)
    parts = pieces(packet, 1280)
    for part in parts[::order]:
        rig.arrive(rig.seal(part))
    if version == 4:
        assert rig.received() == packet
    else:
        got = [rig.received() for _ in parts]
        assert joined(got) == packet and max(map(len, got)) <= 1280
    view = rig.klips.sa(rig.in_said)
    assert view is not None and view.selector_failures == 0
    assert rig.silent()


@pytest.mark.parametrize("version", [4, 6])
def test_the_wrong_ports_do_not_pass_in_pieces(rig: Rig, version: int) -> None:
    narrow(rig, version)
    parts = pieces(datagram(version, 3000, back=True, dport=2001), 1280)
    for part in parts:
        rig.arrive(rig.seal(part))
    rig.dropped(Drop.SELECTOR_MISMATCH, len(parts))
    # Nor by a second piece that lies over the ports of the first.
    good, bad = (pieces(datagram(version, 3000, back=True, dport=port), 1280, 79) for port in (2000, 2001))
    rig.arrive(rig.seal(good[0]))
    rig.arrive(rig.seal(bad[0]))
    for part in good[1:]:
        rig.arrive(rig.seal(part))
    rig.dropped(Drop.FRAGMENT_OVERLAP, len(good) + 1)
    assert rig.silent()


def test_pieces_of_addresses_not_allowed_take_no_place(rig: Rig) -> None:
    narrow(rig, 4)
    for part in pieces(udp("10.9.0.1", HERE, 1000, 2000, bytes(3000), df=False)):
        rig.arrive(rig.seal(part))
    rig.dropped(Drop.SELECTOR_MISMATCH, 3)
    assert rig.silent()
