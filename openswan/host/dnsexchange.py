# SPDX-License-Identifier: GPL-2.0-or-later
"""One question to one DNS server: by UDP, and by TCP when the answer does not fit; never blocks, ends in time.

A record that is malformed does not spoil the message it is in: the others count, and what was wrong is in the message's
`errors`. Datagrams that do not answer the question are ignored, so a forger has to guess port and ID.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from openswan.base.errors import HostError
from openswan.base.numbers import SO_MARK

if TYPE_CHECKING:
    import dns.message

PAYLOAD = 1232
"""Octets of a UDP answer at most, which pass everywhere unfragmented (RFC 9715)."""
FIRST_PAUSE = 0.5
"""Seconds after which a question is asked again, by the same port and ID; then twice as many."""
MOST_STRAYS = 64
"""Datagrams that answer something else, after which a server is given up: somebody is guessing."""


class _Waiting(asyncio.DatagramProtocol):
    """Waits for the datagram that answers one query."""

    def __init__(self, query: dns.message.Message) -> None:
        self._query = query
        self._strays = 0
        self.answer: asyncio.Future[dns.message.Message] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take it if it is the answer."""
        if self.answer.done():
            return
        message = read_message(self._query, data)
        if message is not None:
            self.answer.set_result(message)
            return
        self._strays += 1
        if self._strays >= MOST_STRAYS:
            self.answer.set_exception(HostError(f"{self._strays} datagrams that answer something else"))

    def error_received(self, exc: Exception) -> None:
        """ICMP says so; anybody can, but there is another server or another try."""
        if not self.answer.done():
            self.answer.set_exception(HostError(_why(exc)))


def read_message(query: dns.message.Message, data: bytes) -> dns.message.Message | None:
    """A message that answers `query`, as far as it can be read, or None."""
    import dns.exception
    import dns.message

    try:
        message = dns.message.from_wire(data, continue_on_error=True, ignore_trailing=True)
        return message if query.is_response(message) else None
    except (dns.exception.DNSException, ValueError, IndexError):
        return None


async def exchange(
    query: dns.message.Message, server: str, port: int = 53, timeout: float = 5.0, mark: int = 0
) -> dns.message.Message:
    """The answer of `server`; HostError says why there is none. `mark`: of the socket by which it is asked, 0: none."""
    import dns.flags

    try:
        async with asyncio.timeout(timeout):
            message = await _udp(query, server, port, mark)
            if message.flags & dns.flags.TC:
                message = await _tcp(query, server, port, mark)
            return message
    except TimeoutError:
        raise HostError(f"no answer from {server} within {timeout:g} s") from None
    except (HostError, OSError, EOFError) as why:
        raise HostError(f"{server}: {_why(why)}") from None


def _why(error: Exception) -> str:
    return (error.strerror or "" if isinstance(error, OSError) else str(error)) or type(error).__name__


async def _connected(server: str, port: int, kind: socket.SocketKind, mark: int) -> socket.socket:
    """A connected socket; OSError when there is none."""
    loop = asyncio.get_running_loop()
    family, _, _, _, there = socket.getaddrinfo(server, port, type=kind, flags=socket.AI_NUMERICHOST)[0]
    sock = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if mark:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        await loop.sock_connect(sock, there)
    except BaseException:
        sock.close()
        raise
    return sock


async def _udp(query: dns.message.Message, server: str, port: int, mark: int) -> dns.message.Message:
    # Connected: the kernel lets in what comes from that server alone, and gives each query a port of its own.
    sock = await _connected(server, port, socket.SOCK_DGRAM, mark)
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Waiting(query), sock=sock)
    try:
        wire, pause = query.to_wire(), FIRST_PAUSE
        while True:
            transport.sendto(wire)
            await asyncio.wait((protocol.answer,), timeout=pause)
            if protocol.answer.done():
                return protocol.answer.result()
            pause *= 2
    finally:
        transport.close()


async def _tcp(query: dns.message.Message, server: str, port: int, mark: int) -> dns.message.Message:
    sock = await _connected(server, port, socket.SOCK_STREAM, mark)
    reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 17)
    try:
        wire = query.to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)
        data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()
    message = read_message(query, data)
    if message is None:
        raise HostError("what came by TCP answers something else")
    return message
