# SPDX-License-Identifier: GPL-2.0-or-later
"""Next hops from netlink's answers and events; with a real kernel in tests/netns/test_rawpath.py."""

from __future__ import annotations

import asyncio
import os
import struct
from ipaddress import ip_address
from typing import cast

import pytest

from openswan.base.address import Address
from openswan.base.numbers import ROUTE_TABLE
from openswan.host import nexthop as nh
from openswan.host.nlmsg import Message, NetlinkSocket, attr
from openswan.plane.commands import NextHop

HERE, PEER, ROUTER = (ip_address(each) for each in ("192.0.2.1", "198.51.100.9", "192.0.2.254"))
MAC, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def neighbour(
    address: Address = ROUTER, mac: bytes = MAC, state: int = nh.REACHABLE, index: int = 3, family: int = 2
) -> bytes:
    """A neighbour message."""
    lladdr = attr(nh.NDA_LLADDR, mac) if mac else b""
    return nh.NEIGHBOUR.pack(family, index, state, 0, 1) + attr(nh.NDA_DST, address.packed) + lladdr


def route(kind: int = 1, gateway: Address | None = ROUTER, more: bytes = b"", index: int = 3) -> bytes:
    """The answer to a route request."""
    head = struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 0, 0, kind, 0)
    return head + attr(4, struct.pack("=I", index)) + (attr(5, gateway.packed) if gateway else b"") + more


def link(kind: int = 1, flags: int = 0x11043, mtu: int = 1500) -> bytes:
    """A link message."""
    return nh.LINK.pack(0, kind, 3, flags, 0) + attr(nh.IFLA_MTU, struct.pack("=I", mtu))


def test_neighbours_the_kernel_would_send_to_are_used() -> None:
    for state in (nh.REACHABLE, nh.STALE, nh.DELAY, nh.PROBE, nh.PERMANENT):
        assert nh.parse_neighbour(nh.NEWNEIGH, neighbour(state=state)) == nh.Neighbour(3, ROUTER.packed, MAC)
    for state in (0x00, 0x01, 0x20, 0x40):  # none, incomplete, failed, noarp
        assert nh.parse_neighbour(nh.NEWNEIGH, neighbour(state=state)) == nh.Neighbour(3, ROUTER.packed, b"")
    assert nh.parse_neighbour(nh.DELNEIGH, neighbour()) == nh.Neighbour(3, ROUTER.packed, b"")
    assert nh.parse_neighbour(nh.NEWNEIGH, neighbour(mac=bytes(8))) == nh.Neighbour(3, ROUTER.packed, b"")
    assert nh.parse_neighbour(nh.NEWNEIGH, neighbour(family=7)) is None
    assert nh.parse_neighbour(nh.NEWNEIGH, neighbour()[:11]) is None
    assert nh.parse_neighbour(nh.NEWNEIGH, neighbour()[:12]) is None


def test_only_plain_routes_are_taken() -> None:
    assert nh.parse_route(route(), PEER) == (3, ROUTER.packed)
    assert nh.parse_route(route(gateway=None), PEER) == (3, PEER.packed)
    for kind in (2, 3, 5, 6, 7):
        assert nh.parse_route(route(kind), PEER) is None
    for more in (nh.RTA_VIA, nh.RTA_ENCAP, nh.RTA_MULTIPATH):
        assert nh.parse_route(route(more=attr(more, bytes(8))), PEER) is None
    assert nh.parse_route(route()[:12], PEER) is None and nh.parse_route(b"", PEER) is None


def test_only_plain_ethernet_is_taken() -> None:
    assert nh.plain_ethernet(link(), 1500) and nh.plain_ethernet(link(mtu=9000), 1500)
    assert not nh.plain_ethernet(link(mtu=1499), 1500)
    assert not nh.plain_ethernet(link(kind=65534), 1500)  # TUN
    assert not nh.plain_ethernet(link(kind=772, flags=0x49), 1500)  # loopback
    for flags in (0x11042, 0x110C3, 0x1104B):  # down, no neighbours to ask for, loopback
        assert not nh.plain_ethernet(link(flags=flags), 1500)
    assert not nh.plain_ethernet(link()[:15], 1500) and not nh.plain_ethernet(link()[:16], 1500)


class Kernel:
    """Answers of a kernel that knows one way."""

    def __init__(self) -> None:
        self.answers: dict[int, tuple[int, bytes]] = {26: (24, route()), 18: (16, link()), 30: (28, neighbour())}
        self.asked = 0

    def ask(self, message: Message) -> list[tuple[int, bytes]]:
        self.asked += 1
        if message.kind not in self.answers:
            raise OSError(2, os.strerror(2))
        return [self.answers[message.kind]]


class World:
    """Next hops over that kernel, and what they told."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.told: list[tuple[Address, Address, NextHop | None]] = []
        self.hops = nh.NextHops(lambda *what: self.told.append(what), lambda _: 1500)
        self.hops._asking = cast(NetlinkSocket, self.kernel)

    def hear(self, kind: int, body: bytes) -> None:
        self.hops.heard(kind, memoryview(body))

    def take(self) -> list[NextHop | None]:
        told, self.told = self.told, []
        return [hop for _, _, hop in told]


def test_a_next_hop_is_told_to_who_asks_and_when_it_changes() -> None:
    world = World()
    world.hops.want(HERE, PEER)
    assert world.told == [(HERE, PEER, NextHop(3, MAC))]
    world.take()
    world.hops.want(HERE, PEER)  # whoever asks does not have it
    assert world.told == [(HERE, PEER, NextHop(3, MAC))]
    world.take()
    world.hear(nh.NEWNEIGH, neighbour(state=nh.STALE))
    world.hear(nh.NEWNEIGH, neighbour(PEER, OTHER))  # another entry
    world.hear(nh.NEWNEIGH, neighbour(mac=OTHER, index=4))  # another interface
    assert world.take() == []
    world.hear(nh.NEWNEIGH, neighbour(mac=OTHER))
    world.hear(nh.NEWNEIGH, neighbour(mac=OTHER, state=0x20))
    assert world.take() == [NextHop(3, OTHER), None]
    world.hear(nh.NEWNEIGH, neighbour(mac=OTHER))  # nobody wants it any more
    assert world.take() == [] and len(world.hops) == 0


@pytest.mark.parametrize("missing", [26, 18, 30])
def test_what_the_kernel_cannot_say_it_has_to_do(missing: int) -> None:
    world = World()
    del world.kernel.answers[missing]
    world.hops.want(HERE, PEER)
    assert world.take() == [] and len(world.hops) == 0


def test_no_group_address_is_a_next_hop() -> None:
    world = World()
    world.kernel.answers[30] = (28, neighbour(mac=b"\xff" * 6))
    world.hops.want(HERE, PEER)
    assert world.take() == []
    world.kernel.answers[30] = (28, neighbour())
    world.hops.want(HERE, PEER)
    world.hear(nh.NEWNEIGH, neighbour(mac=b"\x01\0\x5e\0\0\1"))
    assert world.take() == [NextHop(3, MAC), None]


def test_after_a_change_of_routes_all_are_looked_up_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nh, "SETTLE", 0.01)

    async def story() -> None:
        world = World()
        world.hear(24, route())  # nothing is known: nothing to look up
        assert world.kernel.asked == 0
        world.hops.want(HERE, PEER)
        world.kernel.answers[26] = (24, route(kind=6))
        ours = bytearray(route())
        ours[4] = ROUTE_TABLE
        world.hear(24, bytes(ours))
        assert world.hops._again is None  # of no concern to what carries our mark
        for _ in range(1000):
            world.hear(24, route())
        asked = world.kernel.asked
        await asyncio.sleep(0.05)
        assert world.take() == [NextHop(3, MAC), None] and world.kernel.asked == asked + 1

    asyncio.run(story())


def test_the_oldest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nh, "MOST", 2)
    world = World()
    peers = [ip_address(f"198.51.100.{n}") for n in range(3)]
    for each in peers:
        world.hops.want(HERE, each)
    assert [(far, bool(hop)) for _, far, hop in world.told] == [
        (peers[0], True),
        (peers[1], True),
        (peers[0], False),
        (peers[2], True),
    ]


def test_it_listens_and_stops() -> None:
    async def story() -> None:
        hops = nh.NextHops(lambda *_: None, lambda _: 1500)
        assert hops.find(HERE, PEER) is None
        hops.open()
        hops.want(HERE, ip_address("127.0.0.1"))
        assert len(hops) == 0  # loopback is no ethernet
        hops.close()
        hops.close()

    asyncio.run(story())


def test_a_next_hop_is_named_for_the_log() -> None:
    assert nh.describe(NextHop(1, MAC)) == "02:00:00:00:00:01 on lo"
    assert nh.describe(NextHop(1 << 20, MAC)) == "02:00:00:00:00:01 on interface 1048576"
