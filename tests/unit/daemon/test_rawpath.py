# SPDX-License-Identifier: GPL-2.0-or-later
"""When raw ESP takes the short ways and when it gives them up, without a kernel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.base.marks import Marks
from openswan.daemon import rawpath
from openswan.daemon.rawpath import RawPath
from openswan.plane.commands import AttachIntake, AttachLink, Command, DetachIntake, NextHop, SetNextHop
from openswan.plane.events import EspLoad, NextHopWanted, SaFirstUse

HERE, HERE6, PEER = (ip_address(each) for each in ("192.0.2.1", "2001:db8::1", "198.51.100.9"))
HOP = NextHop(1, bytes.fromhex("020000000001"))


class World:
    """A gateway's other parts, and what they were told."""

    workers = 2

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[Command] = []
        self.lines: list[str] = []
        self.carried = 0
        self.dropping: list[Address] = []
        self.closed = 0
        self.no_ring = ""
        self.no_hook = ""
        monkeypatch.setattr(rawpath.packetsock, "open_link", self.link)
        monkeypatch.setattr(rawpath.packetsock, "open_rings", self.rings)
        monkeypatch.setattr(rawpath, "Ingress", self.ingress)
        monkeypatch.setattr(rawpath, "LOOK", 0.005)
        monkeypatch.setattr(rawpath, "SETTLED", 0.005)
        monkeypatch.setattr(rawpath.NextHops, "open", lambda _: None)
        monkeypatch.setattr(rawpath.NextHops, "close", lambda _: None)
        monkeypatch.setattr(rawpath.NextHops, "want", lambda hops, a, b: hops._tell(a, b, HOP))
        self.path = RawPath(self, lambda: [(HERE, "wan"), (HERE6, "wan")], lambda _: 1500, self.log)

    def log(self, text: str, serious: bool) -> None:
        self.lines.append(("! " if serious else "") + text)

    def execute(self, command: Command) -> None:
        self.commands.append(command)

    def intake_packets(self, interface: str) -> int:
        assert interface == "wan"
        return self.carried

    def link(self, marks: Marks) -> socket.socket:
        return socket.socket()

    def rings(self, interface: str, addresses: list[Address], count: int) -> tuple[socket.socket, ...]:
        assert (interface, addresses, count) == ("wan", [HERE, HERE6], 2)
        if self.no_ring:
            raise HostError(self.no_ring)
        return socket.socket(), socket.socket()

    def ingress(self, interface: str) -> World:
        assert interface == "wan"
        return self

    def drop(self, addresses: list[Address]) -> None:
        if self.no_hook:
            raise HostError(self.no_hook)
        self.dropping = addresses

    def let_pass(self) -> None:
        self.dropping = []

    def close(self) -> None:
        self.dropping = []
        self.closed += 1

    def kinds(self) -> list[str]:
        kinds, self.commands = [type(each).__name__ for each in self.commands], []
        return kinds


def told(monkeypatch: pytest.MonkeyPatch, story: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    """Run a story in a loop."""

    async def run() -> None:
        world = World(monkeypatch)
        await story(world)
        world.path.stop()
        assert not world.dropping and world.closed <= 1

    asyncio.run(run())


def test_next_hops_are_looked_for_when_the_engine_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        assert world.path.take(NextHopWanted(HERE, PEER)) and not world.commands  # not begun
        world.path.start()
        assert isinstance(world.commands.pop(), AttachLink)
        assert world.path.take(NextHopWanted(HERE, PEER))
        assert world.commands == [SetNextHop(HERE, PEER, HOP)]
        assert "by packet socket to 02:00:00:00:00:01 on lo" in world.lines[-1]
        assert not world.path.take(SaFirstUse(None))  # type: ignore[arg-type]

    told(monkeypatch, story)


def test_without_packet_sockets_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        def refuse(marks: Marks) -> socket.socket:
            raise HostError("no packet socket: Operation not permitted")

        monkeypatch.setattr(rawpath.packetsock, "open_link", refuse)
        world.path.start()
        assert world.path.take(NextHopWanted(HERE, PEER)) and world.path.take(EspLoad(HERE))
        assert not world.commands
        assert world.lines == [
            "! raw ESP goes by the kernel's raw sockets alone: no packet socket: Operation not permitted"
        ]

    told(monkeypatch, story)


def test_a_ring_stays_while_there_is_load(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.path.start()
        world.kinds()
        world.path.take(EspLoad(HERE))
        world.path.take(EspLoad(HERE6))
        (attached,) = world.commands
        assert isinstance(attached, AttachIntake) and attached.interface == "wan" and len(attached.fds) == 2
        world.kinds()
        for _ in range(20):
            world.carried += 100 * rawpath.LIGHT
            await asyncio.sleep(0.005)
        assert world.dropping == [HERE, HERE6] and not world.commands
        await asyncio.sleep(0.15)
        assert not world.dropping and world.commands == [DetachIntake("wan")]
        assert "by the raw sockets again" in world.lines[-1]
        world.kinds()
        world.path.take(EspLoad(HERE))
        assert world.kinds() == ["AttachIntake"] and world.dropping
        assert world.closed == 0, "a hook that goes takes with it what waits elsewhere"
        world.path.stop()
        assert world.closed == 1

    told(monkeypatch, story)


def test_what_cannot_be_had_is_told_once_and_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.path.start()
        world.kinds()
        world.no_ring = "no packet ring on wan: Cannot allocate memory"
        for _ in range(3):
            world.path.take(EspLoad(HERE))
        assert not world.commands
        assert [line for line in world.lines if "wan" in line] == [
            "! raw ESP on wan comes by the kernel's raw sockets alone: no packet ring on wan: Cannot allocate memory"
        ]
        monkeypatch.setattr(rawpath, "AGAIN", 0.0)
        world.path._refused.clear()
        world.no_ring, world.no_hook = "", "nftables refused"
        world.path.take(EspLoad(HERE))
        assert world.kinds() == ["AttachIntake", "DetachIntake"]
        world.no_hook = ""
        await asyncio.sleep(0.001)
        world.path.take(EspLoad(HERE))
        assert world.kinds() == ["AttachIntake"]

    told(monkeypatch, story)


def test_addresses_that_change_end_the_ring_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.path.start()
        world.path.take(EspLoad(HERE))
        world.kinds()
        world.path.forget("wan")
        world.path.forget("lan")
        assert world.kinds() == ["DetachIntake"] and not world.dropping
        world.path.take(EspLoad(PEER))  # not ours any more
        assert not world.commands
        await asyncio.sleep(0.02)

    told(monkeypatch, story)
