# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching revocation lists and OCSP answers by HTTP: one request, one answer, bounded in size and time (RFC 9112).

The messages are h11's business. Redirections are not followed, nothing is cached, no proxy is asked, and the traffic
goes the way any other of this machine goes, through a tunnel if its server is behind one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import h11

from openswan import __version__
from openswan.base.address import Address
from openswan.base.errors import AnsweredError, HostError

CONCURRENT = 16
"""Requests on their way at once."""
PIECE = 65536
LONGEST_URI = 2048
MOST_ADDRESSES = 4
"""Addresses of a server that are tried."""

Resolve = Callable[[str, int], Awaitable[tuple[tuple[Address, ...], str, float]]]
"""(name, version) -> (addresses, reason, seconds they hold)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    host: str
    port: int
    path: str
    """With the query."""

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 80 else f"{host}:{self.port}"


def parse_target(uri: str) -> Target:
    """The target of an http URI; HostError when it is none that is fetched."""
    if len(uri) > LONGEST_URI or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise HostError("that is no URI")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise HostError("that is no URI") from None
    if parts.scheme.lower() != "http":
        raise HostError(f"{parts.scheme or 'that'}: is not fetched, only http: is")
    if not parts.hostname or "@" in parts.netloc:
        raise HostError("the URI names no server, or a user")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.hostname, port or 80, path)


class Fetcher:
    """An HTTP client; one for the daemon's life."""

    def __init__(self, resolve: Resolve, interface: str = "") -> None:
        """`interface`: only through that device (curl-iface=)."""
        self._resolve = resolve
        self._interface = interface
        self._slots = asyncio.Semaphore(CONCURRENT)

    async def fetch(self, uri: str, limit: int, timeout: float, body: bytes = b"", content_type: str = "") -> bytes:
        """What the server sends, at most `limit` octets, within `timeout` seconds; HostError when that fails."""
        target = parse_target(uri)
        async with self._slots:
            try:
                async with asyncio.timeout(timeout):
                    return await self._exchange(target, limit, body, content_type)
            except TimeoutError:
                raise HostError(f"no answer within {timeout:g} s") from None
            except (OSError, h11.RemoteProtocolError, h11.LocalProtocolError, EOFError) as why:
                text = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
                raise HostError(f"{target.authority}: {text or type(why).__name__}") from None

    async def _exchange(self, target: Target, limit: int, body: bytes, content_type: str) -> bytes:
        reader, writer = await self._connect(target)
        try:
            writer.write(_request(target, body, content_type))
            await writer.drain()
            return await _answer(reader, limit)
        finally:
            writer.close()

    async def _connect(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        last: OSError | None = None
        for address in await self._addresses(target.host):
            sock = socket.socket(
                socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC
            )
            try:
                sock.setblocking(False)
                if self._interface:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode())
                await asyncio.get_running_loop().sock_connect(sock, (str(address), target.port))
                return await asyncio.open_connection(sock=sock)
            except OSError as why:
                sock.close()
                last = why
            except BaseException:
                sock.close()
                raise
        raise last or OSError(f"{target.host} has no address")

    async def _addresses(self, host: str) -> tuple[Address, ...]:
        try:
            return (ip_address(host),)
        except ValueError:
            pass
        addresses, reason, _ = await self._resolve(host, 0)
        if not addresses:
            raise HostError(reason)
        return addresses[:MOST_ADDRESSES]


def _request(target: Target, body: bytes, content_type: str) -> bytes:
    connection = h11.Connection(h11.CLIENT)
    headers = [
        ("Host", target.authority),
        ("User-Agent", f"openswan/{__version__}"),
        ("Accept", "*/*"),
        ("Connection", "close"),
    ]
    if body:
        headers += [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    head = connection.send(h11.Request(method="POST" if body else "GET", target=target.path, headers=headers))
    data = connection.send(h11.Data(data=body)) if body else b""
    end = connection.send(h11.EndOfMessage())
    return b"".join(part for part in (head, data, end) if part)


async def _answer(reader: asyncio.StreamReader, limit: int) -> bytes:
    """The body of a 200 answer."""
    connection = h11.Connection(h11.CLIENT)
    # The request was written by a connection of its own; this one only has to know that there was one.
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "-")]))
    connection.send(h11.EndOfMessage())
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(PIECE))
        elif isinstance(event, h11.Response):
            if event.status_code != 200:
                moved = "; redirections are not followed" if 300 <= event.status_code < 400 else ""
                said = f"{event.status_code} {event.reason.decode('latin-1')[:60]!r}"
                # 5xx: it is the server that is unwell.
                kind = AnsweredError if event.status_code < 500 else HostError
                raise kind(f"the server says {said}{moved}")
            _check_length(event, limit)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > limit:
                raise HostError(f"the answer is longer than {limit} octets")
        elif isinstance(event, h11.EndOfMessage):
            return bytes(body)
        elif isinstance(event, h11.ConnectionClosed):
            raise HostError("the server hung up before it had answered")


def _check_length(response: h11.Response, limit: int) -> None:
    for name, value in response.headers:
        if name == b"content-length" and int(value) > limit:
            raise HostError(f"the answer has {int(value)} octets, more than {limit}")
