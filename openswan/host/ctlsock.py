# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket pluto.ctl, both ends: whack's connection in the daemon, and `ask` for the commands.

One request line per connection (openswan.wire.whack), reply lines until the daemon closes. Only its owner, root,
may connect; clients, request length, time to send it, and unread replies are all bounded.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from openswan.base.errors import HostError, WireError
from openswan.base.log import Rc
from openswan.wire import whack

if TYPE_CHECKING:
    import asyncio

MAX_CLIENTS = 256
REQUEST_SECONDS = 10.0
"""How long a client may take to send its request line."""
MAX_UNREAD = 64 << 20
"""Octets of replies a client may leave unread before it is cut off."""


class ControlServer:
    """The daemon's end: calls `on_request(client, line)` for each request, `on_gone(client)` when one hangs up."""

    def __init__(self, path: Path, on_request: Callable[[int, bytes], None], on_gone: Callable[[int], None]) -> None:
        self.path = path
        self._on_request = on_request
        self._on_gone = on_gone
        self._clients: dict[int, asyncio.StreamWriter] = {}
        self._last = 0
        self._server: asyncio.Server | None = None
        self._listening: socket.socket | None = None

    def bind(self) -> None:
        """Create the socket with mode 0600; HostError when that fails. A stale one of a dead daemon is replaced."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        mask = os.umask(0o177)
        try:
            self.path.unlink(missing_ok=True)
            listening.bind(str(self.path))
            listening.listen(64)
        except OSError as why:
            listening.close()
            raise HostError(f'pluto: cannot create control socket "{self.path}": {why.strerror or why}') from None
        finally:
            os.umask(mask)
        listening.setblocking(False)
        self._listening = listening

    async def serve(self) -> None:
        """Start answering."""
        import asyncio  # here, because the commands that only ask should start fast

        self._server = await asyncio.start_unix_server(self._client, sock=self._listening, limit=whack.MAX_REQUEST + 1)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import asyncio

        if len(self._clients) >= MAX_CLIENTS:
            writer.write(whack.encode_reply(Rc.WHACK_PROBLEM, f"pluto serves {MAX_CLIENTS} whacks already: try later"))
            writer.close()
            return
        self._last += 1
        number = self._last
        self._clients[number] = writer
        try:
            try:
                line = await asyncio.wait_for(reader.readline(), REQUEST_SECONDS)
            except (TimeoutError, ValueError, ConnectionError):
                self.reply(number, Rc.WHACK_PROBLEM, "ignoring message from whack: too long, or not ended in time")
                self.finish(number)
                return
            if not line.endswith(b"\n"):
                return
            self._on_request(number, line)
            while number in self._clients and await reader.read(4096):
                pass  # a client has nothing more to say; end of file means it hung up
        except ConnectionError:
            pass
        finally:
            if self._clients.pop(number, None):
                self._on_gone(number)
                writer.close()

    def reply(self, client: int, code: int, text: str) -> None:
        """One `NNN text` line; a client that is gone or does not read is dropped."""
        writer = self._clients.get(client)
        if writer is None:
            return
        if writer.transport.get_write_buffer_size() > MAX_UNREAD:
            del self._clients[client]
            writer.transport.abort()
            self._on_gone(client)
            return
        writer.write(whack.encode_reply(code, text))

    def finish(self, client: int) -> None:
        """No more lines for that client: what is written still arrives, then the connection closes."""
        if writer := self._clients.pop(client, None):
            writer.close()

    async def close(self) -> None:
        """Stop listening, let the last replies out, remove the socket."""
        import asyncio

        writers = list(self._clients.values())
        self._clients.clear()
        for writer in writers:
            writer.close()
        if self._server:
            self._server.close()
        elif self._listening:
            self._listening.close()
        self.path.unlink(missing_ok=True)
        for writer in writers:
            try:
                await asyncio.wait_for(writer.wait_closed(), 1.0)
            except (TimeoutError, ConnectionError):
                pass


def ask(request: bytes, path: Path, timeout: float | None = None) -> Iterator[tuple[int, str]]:
    """Send one request line, yield (code, text) of each reply line until the daemon closes.

    HostError carries whack's own words when there is nobody to ask; `timeout` bounds each wait, in seconds.
    """
    with _connected(path, timeout) as connection:
        try:
            connection.sendall(request)
            with connection.makefile("rb") as lines:
                for line in lines:
                    yield whack.decode_reply(line.decode(errors="replace"))
        except TimeoutError:
            raise HostError(f"whack: no answer from pluto within {timeout:g} s") from None
        except OSError as why:
            raise HostError(f"whack: lost the connection to pluto: {why.strerror}") from None
        except WireError as why:
            raise HostError(f"whack: {why}") from None


def _connected(path: Path, timeout: float | None) -> socket.socket:
    if not path.exists():
        try:
            path.parent.stat()
        except PermissionError:
            raise HostError(f'whack: no right to communicate with pluto (access("{path}"))') from None
        except OSError:
            pass
        raise HostError(f'whack: Pluto is not running (no "{path}")')
    if not os.access(path, os.R_OK | os.W_OK):
        raise HostError(f'whack: no right to communicate with pluto (access("{path}"))')
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connection.settimeout(timeout)
    try:
        connection.connect(str(path))
    except OSError as why:
        connection.close()
        raise HostError(
            f'whack:  is Pluto running?  connect() for "{path}" failed ({why.errno} {why.strerror})'
        ) from None
    return connection
