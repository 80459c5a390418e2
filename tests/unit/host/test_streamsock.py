# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP connections for IKE and ESP: opened, accepted within bounds, handed over unread."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.base.address import Endpoint
from openswan.base.errors import KlipsError
from openswan.engine.effects import OpenStream
from openswan.engine.events import EngineEvent, StreamOpened, StreamRefused
from openswan.host import streamsock
from openswan.host.ikesock import PortInUseError
from openswan.host.streamsock import StreamSockets, source_of
from openswan.plane.commands import AttachStream

HERE = ip_address("127.0.0.1")


@dataclass
class World:
    """What a StreamSockets tells."""

    port: int = 0
    attached: list[AttachStream] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    posted: list[EngineEvent] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    full: bool = False

    def __post_init__(self) -> None:
        self.streams = StreamSockets(
            self.attach, self.posted.append, lambda line, _: self.lines.append(line), self.port
        )

    def attach(self, command: AttachStream) -> None:
        if self.full:
            raise KlipsError("no more than 512 TCP streams at once")
        self.kept.append(os.dup(command.fd))
        self.attached.append(command)

    def close(self) -> None:
        self.streams.close()
        for fd in self.kept:
            os.close(fd)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def until(test: Callable[[], bool]) -> None:
    for _ in range(300):
        if test():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never comes")


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


def test_a_peer_connects() -> None:
    async def work() -> None:
        world = World(free_port())
        assert world.streams.follow([HERE]) == []
        with socket.create_connection(("127.0.0.1", world.port)) as sock:
            await until(lambda: bool(world.attached))
            port = sock.getsockname()[1]
            ends = Endpoint(HERE, world.port, stream=True), Endpoint(HERE, port, stream=True)
            assert world.attached == [AttachStream(*ends, world.attached[0].fd, originator=False)]
        assert world.streams.follow([]) == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", world.port))
        world.close()

    run(work)


def test_nobody_connects_where_nobody_may() -> None:
    async def work() -> None:
        world = World(0)
        assert world.streams.follow([HERE]) == []
        world.close()

    run(work)


def test_a_port_of_somebody_else() -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            world = World(other.getsockname()[1])
            (why,) = world.streams.follow([HERE])
            assert isinstance(why, PortInUseError) and "ss -tlpn" in str(why)
            world.close()

    run(work)


def test_an_address_that_is_not_ours() -> None:
    async def work() -> None:
        world = World(free_port())
        (why,) = world.streams.follow([ip_address("192.0.2.77")])
        assert "192.0.2.77" in str(why)
        world.close()

    run(work)


def test_connections_are_bounded_for_each_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamsock, "MOST_PER_SOURCE", 3)

    async def work() -> None:
        world = World(free_port())
        world.streams.follow([HERE])
        socks = [socket.create_connection(("127.0.0.1", world.port)) for _ in range(5)]
        await until(lambda: len(world.attached) == 3 and bool(world.lines))
        assert len(world.lines) == 1 and "there are too many" in world.lines[0]
        gone = world.attached[0]
        world.streams.ended(gone.local, gone.remote)
        world.streams.ended(gone.local, gone.remote)
        socks.append(socket.create_connection(("127.0.0.1", world.port)))
        await until(lambda: len(world.attached) == 4)
        for sock in socks:
            sock.close()
        world.close()

    run(work)


def test_an_engine_that_takes_no_more() -> None:
    async def work() -> None:
        world = World(free_port(), full=True)
        world.streams.follow([HERE])
        with socket.create_connection(("127.0.0.1", world.port)) as sock:
            await until(lambda: bool(world.lines))
            assert "no more than 512" in world.lines[0] and sock.recv(1) == b""
        world.close()

    run(work)


def test_we_connect() -> None:
    async def work() -> None:
        world = World()
        with socket.create_server(("127.0.0.1", 0)) as server:
            remote = Endpoint(HERE, server.getsockname()[1], stream=True)
            world.streams.open(OpenStream(7, HERE, remote))
            await until(lambda: bool(world.posted))
            event = world.posted[0]
            assert isinstance(event, StreamOpened) and (event.token, event.remote) == (7, remote)
            assert event.local.stream and event.local.port
            assert world.attached[0].originator and world.attached[0].local == event.local
        world.close()

    run(work)


def test_nobody_takes_our_connection() -> None:
    async def work() -> None:
        world = World()
        world.streams.open(OpenStream(7, HERE, Endpoint(HERE, free_port(), stream=True)))
        await until(lambda: bool(world.posted))
        assert world.posted == [StreamRefused(7, "Connection refused")]
        world.close()

    run(work)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamsock, "CONNECT", 0.1)

    async def work() -> None:
        world = World()
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            ends = ("127.0.0.1", server.getsockname()[1])
            fill = [socket.create_connection(ends) for _ in range(1)]
            remote = Endpoint(HERE, ends[1], stream=True)
            world.streams.open(OpenStream(8, HERE, remote))
            await until(lambda: bool(world.posted))
            assert world.posted == [StreamRefused(8, "no answer within 0.1 seconds")]
            for sock in fill:
                sock.close()
        world.close()

    run(work)


def test_sources() -> None:
    assert source_of(ip_address("192.0.2.1")) == ip_address("192.0.2.1")
    assert source_of(ip_address("2001:db8::1")) == source_of(ip_address("2001:db8::ffff"))
    assert source_of(ip_address("2001:db8::1")) != source_of(ip_address("2001:db8:0:1::1"))
