# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP connections for IKE and ESP (RFC 9329): opened and accepted here, read and written by the packet engine.

Nothing a peer sends is read here. Connections are bounded in all and for each source; what the engine knows to be
silent or nonsense it closes itself.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

from openswan.base.address import Address, Endpoint
from openswan.base.errors import HostError, KlipsError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import SO_MARK
from openswan.engine.effects import OpenStream
from openswan.engine.events import EngineEvent, StreamOpened, StreamRefused
from openswan.host.ikesock import PortInUseError
from openswan.plane.commands import AttachStream

CONNECT = 10.0
"""Seconds in which a peer has to take a connection."""
BACKLOG = 64
AT_ONCE = 16
"""Connections accepted before other descriptors have their turn."""
MOST_ACCEPTED = 384
"""Of the engine's 512 streams: the rest are for connections of ours."""
MOST_PER_SOURCE = 32
"""Peers behind one NAT; IPv6: a /64."""
UNSENT = 131072
"""Octets that wait in the kernel before it takes no more: what is there cannot be dropped and only grows old."""
UNACKNOWLEDGED = 30000
"""Milliseconds after which a peer that acknowledges nothing is gone."""
IDLE, INTERVAL, PROBES = 60, 10, 3
"""Seconds of silence before the kernel asks whether the other end is there, between questions, and how many."""
TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT, TCP_NOTSENT_LOWAT = 1, 4, 5, 6, 18, 25

Source = Address | int


def source_of(address: Address) -> Source:
    """Whom a connection is counted for."""
    return address if address.version == 4 else int(address) >> 64


def _socket(version: int, marks: Marks) -> socket.socket:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, marks.own)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # What is accepted has these too.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            (TCP_NODELAY, 1), (TCP_KEEPIDLE, IDLE), (TCP_KEEPINTVL, INTERVAL), (TCP_KEEPCNT, PROBES),
            (TCP_USER_TIMEOUT, UNACKNOWLEDGED), (TCP_NOTSENT_LOWAT, UNSENT),
        ):  # fmt: skip
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    except OSError:
        sock.close()
        raise
    return sock


def _endpoint(name: tuple[Any, ...]) -> Endpoint:
    return Endpoint(ip_address(name[0].partition("%")[0]), name[1], stream=True)


class StreamSockets:
    """Those of one gateway.

    `attach(command)` gives the packet engine a connection, KlipsError when it takes no more; `post` hears how an
    OpenStream ended. With a `port` peers may connect to it; 0: nobody may.
    """

    def __init__(
        self,
        attach: Callable[[AttachStream], None],
        post: Callable[[EngineEvent], None],
        log: Callable[[str, bool], None],
        port: int = 0,
        marks: Marks = DEFAULT_MARKS,
    ) -> None:
        self._marks = marks
        self._attach = attach
        self._post = post
        self._log = log
        self._port = port
        self._listeners: dict[Address, socket.socket] = {}
        self._accepted: dict[tuple[Endpoint, Endpoint], Source] = {}
        self._sources: Counter[Source] = Counter()
        self._opening: set[asyncio.Task[None]] = set()
        self._complained: set[Source] = set()

    # -- peers that connect -------------------------------------------------------------------------------------------

    def follow(self, addresses: Iterable[Address]) -> list[HostError]:
        """Listen on these addresses and no others; what could not be, and why."""
        wanted = set(addresses) if self._port else set()
        for address in self._listeners.keys() - wanted:
            self._stop(address)
        complaints: list[HostError] = []
        for address in sorted(wanted - self._listeners.keys(), key=lambda each: (each.version, int(each))):
            try:
                self._listen(address)
            except OSError as why:
                in_use = why.errno == errno.EADDRINUSE
                hint = "port in use by another program (ss -tlpn shows it)" if in_use else os.strerror(why.errno or 0)
                error = PortInUseError if in_use else HostError
                complaints.append(error(f"cannot listen on TCP {Endpoint(address, self._port)}: {hint}"))
        return complaints

    def _listen(self, address: Address) -> None:
        sock = _socket(address.version, self._marks)
        try:
            sock.bind((str(address), self._port))
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
        self._listeners[address] = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self._acceptable, sock)

    def _stop(self, address: Address) -> None:
        sock = self._listeners.pop(address)
        asyncio.get_running_loop().remove_reader(sock.fileno())
        sock.close()

    def _acceptable(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                self._take(sock)

    def _take(self, sock: socket.socket) -> None:
        try:
            local, remote = _endpoint(sock.getsockname()), _endpoint(sock.getpeername())
        except OSError:
            return  # gone already
        source = source_of(remote.address)
        if len(self._accepted) >= MOST_ACCEPTED or self._sources[source] >= MOST_PER_SOURCE:
            if source not in self._complained and len(self._complained) < MOST_ACCEPTED:
                self._complained.add(source)
                self._log(f"TCP connection from {remote} refused: there are too many", True)
            return
        try:
            self._attach(AttachStream(local, remote, sock.fileno(), originator=False))
        except KlipsError as why:
            self._log(f"TCP connection from {remote} refused: {why}", True)
            return
        self._accepted[local, remote] = source
        self._sources[source] += 1

    def ended(self, local: Endpoint, remote: Endpoint) -> None:
        """The engine has closed a connection, or will (DetachStream): it counts no more."""
        source = self._accepted.pop((local, remote), None)
        if source is None:
            return
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
            self._complained.discard(source)

    # -- connections of ours ------------------------------------------------------------------------------------------

    def open(self, effect: OpenStream) -> None:
        """Connect, without waiting for it."""
        task = asyncio.get_running_loop().create_task(self._open(effect))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, effect: OpenStream) -> None:
        try:
            self._post(await self._connected(effect))
        except TimeoutError:
            self._post(StreamRefused(effect.token, f"no answer within {CONNECT:g} seconds"))
        except OSError as why:
            self._post(StreamRefused(effect.token, os.strerror(why.errno) if why.errno else str(why)))
        except KlipsError as why:
            self._post(StreamRefused(effect.token, str(why)))

    async def _connected(self, effect: OpenStream) -> StreamOpened:
        with _socket(effect.local.version, self._marks) as sock:
            sock.bind((str(effect.local), 0))
            where = (str(effect.remote.address), effect.remote.port)
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, where), CONNECT)
            local = _endpoint(sock.getsockname())
            self._attach(AttachStream(local, effect.remote, sock.fileno(), originator=True))
            return StreamOpened(effect.token, local, effect.remote)

    def close(self) -> None:
        """Listen no more, open no more."""
        for address in list(self._listeners):
            self._stop(address)
        for task in tuple(self._opening):
            task.cancel()
