# SPDX-License-Identifier: GPL-2.0-or-later
"""One question to one DNS server: by UDP, and by TCP when the answer does not fit; never blocks, ends in time.

A record that is malformed does not spoil the message it is in: the others count, and what was wrong is in the message's
`errors`. Datagrams that do not answer the question are ignored, so a forger has to guess port and ID.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

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


class _Waiting:
    """Waits for the datagram that answers one query; inside a running event loop."""

    def __init__(self, query: dns.message.Message, sock: socket.socket) -> None:
        self._query, self._sock = query, sock
        self._wire = query.to_wire()
        self._strays = 0
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        self.answer: asyncio.Future[dns.message.Message] = self._loop.create_future()
        self._loop.add_reader(sock.fileno(), self._readable)
        self._send(FIRST_PAUSE)

    def close(self) -> None:
        """Wait no longer."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._sock.fileno())

    def _send(self, pause: float) -> None:
        self._again = self._loop.call_later(pause, self._send, 2 * pause)
        try:
            self._sock.send(self._wire)
        except BlockingIOError:
            pass  # it is sent again
        except OSError as why:
            self._fail(why)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as why:
            # ICMP says so; anybody can, but there is another server or another try.
            self._fail(why)
            return
        if self.answer.done():
            return
        message = read_message(self._query, data)
        if message is not None:
            self.answer.set_result(message)
            return
        self._strays += 1
        if self._strays >= MOST_STRAYS:
            self._fail(HostError(f"{self._strays} datagrams that answer something else"))

    def _fail(self, why: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(HostError(_why(why)))


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


def _socket(server: str, port: int, kind: socket.SocketKind, mark: int) -> tuple[socket.socket, Any]:
    """A socket, and where it is to connect to; OSError when there is none."""
    family, _, _, _, there = socket.getaddrinfo(server, port, type=kind, flags=socket.AI_NUMERICHOST)[0]
    sock = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if mark:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
    except OSError:
        sock.close()
        raise
    return sock, there


async def _udp(query: dns.message.Message, server: str, port: int, mark: int) -> dns.message.Message:
    # Connected: the kernel lets in what comes from that server alone, and gives each query a port of its own.
    sock, there = _socket(server, port, socket.SOCK_DGRAM, mark)
    with sock:
        sock.connect(there)
        waiting = _Waiting(query, sock)
        try:
            return await waiting.answer
        finally:
            waiting.close()


async def _tcp(query: dns.message.Message, server: str, port: int, mark: int) -> dns.message.Message:
    sock, there = _socket(server, port, socket.SOCK_STREAM, mark)
    try:
        await asyncio.get_running_loop().sock_connect(sock, there)
    except BaseException:
        sock.close()
        raise
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
