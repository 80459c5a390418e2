# SPDX-License-Identifier: GPL-2.0-or-later
"""Both ends of the control socket against each other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host import ctlsock
from openswan.host.ctlsock import ControlServer, ask
from openswan.wire.whack import MAX_REQUEST, encode_request


class Recorder:
    """Notes requests and hang-ups; answers `status` with two lines, leaves others open."""

    def __init__(self, path: Path) -> None:
        self.requests: list[bytes] = []
        self.gone: list[int] = []
        self.server = ControlServer(path, self.request, self.gone.append)

    def request(self, client: int, line: bytes) -> None:
        self.requests.append(line)
        if b'"status"' in line:
            self.server.reply(client, 0, "first")
            self.server.reply(client, 4, "second\nand more")
            self.server.finish(client)


def with_server(path: Path, conversation: Callable[[Recorder], Awaitable[None]]) -> Recorder:
    async def run() -> Recorder:
        recorder = Recorder(path)
        recorder.server.bind()
        await recorder.server.serve()
        try:
            await conversation(recorder)
        finally:
            await recorder.server.close()
        return recorder

    return asyncio.run(run())


def in_thread(request: bytes, path: Path, timeout: float = 5.0) -> Awaitable[list[tuple[int, str]]]:
    return asyncio.to_thread(lambda: list(ask(request, path, timeout)))


def test_request_and_reply_lines(tmp_path: Path) -> None:
    path = tmp_path / "pluto.ctl"

    async def conversation(recorder: Recorder) -> None:
        assert path.stat().st_mode & 0o777 == 0o600
        assert await in_thread(encode_request("status"), path) == [(0, "first"), (4, "second and more")]
        assert recorder.gone == []

    recorder = with_server(path, conversation)
    assert recorder.requests == [b'{"verb":"status"}\n']
    assert not path.exists()


def test_a_client_that_hangs_up_is_told_to_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / "pluto.ctl"

    async def conversation(recorder: Recorder) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(encode_request("initiate", name="x"))
        await asyncio.sleep(0.05)
        assert recorder.requests and not recorder.gone
        writer.close()
        await asyncio.sleep(0.05)
        assert recorder.gone == [1]
        recorder.server.reply(1, 0, "to nobody")
        assert await reader.read() == b""

    with_server(path, conversation)


def test_too_long_a_request_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pluto.ctl"

    async def conversation(recorder: Recorder) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            writer.write(b"x" * (MAX_REQUEST * 2))
            answer = await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            answer = b"001 "
        writer.close()
        assert answer.startswith(b"001 ") and not recorder.requests

    with_server(path, conversation)


def test_a_silent_client_is_cut_off_and_a_flood_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pluto.ctl"
    monkeypatch.setattr(ctlsock, "REQUEST_SECONDS", 0.1)
    monkeypatch.setattr(ctlsock, "MAX_CLIENTS", 2)

    async def conversation(recorder: Recorder) -> None:
        silent = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
        await asyncio.sleep(0.02)
        reader, writer = await asyncio.open_unix_connection(str(path))
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"001 pluto serves")
        writer.close()
        for reader, writer in silent:
            assert b"not ended in time" in await asyncio.wait_for(reader.read(), 5)
            writer.close()
        assert await in_thread(encode_request("status"), path)

    with_server(path, conversation)


def test_a_reader_that_does_not_read_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pluto.ctl"
    monkeypatch.setattr(ctlsock, "MAX_UNREAD", 1 << 16)

    async def conversation(recorder: Recorder) -> None:
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(encode_request("listall"))
        await asyncio.sleep(0.05)
        for _ in range(4096):
            recorder.server.reply(1, 0, "x" * 1000)
        assert recorder.gone == [1]
        writer.close()

    with_server(path, conversation)


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pluto.ctl"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()

    async def conversation(recorder: Recorder) -> None:
        assert await in_thread(encode_request("status"), path)

    with_server(path, conversation)


def test_whack_says_when_there_is_nobody(tmp_path: Path) -> None:
    path = tmp_path / "pluto.ctl"
    with pytest.raises(HostError, match=rf'^whack: Pluto is not running \(no "{path}"\)$'):
        list(ask(b"", path))
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    refused = rf'^whack:  is Pluto running\?  connect\(\) for "{path}" failed \(111 Connection refused\)$'
    with pytest.raises(HostError, match=refused):
        list(ask(b"", path))
    dead.close()


def test_no_answer_in_time_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "pluto.ctl"

    async def conversation(recorder: Recorder) -> None:
        with pytest.raises(HostError, match=r"no answer from pluto within 0\.1 s"):
            await in_thread(encode_request("listall"), path, 0.1)

    with_server(path, conversation)


def test_the_directory_must_exist(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot create control socket"):
        ControlServer(tmp_path / "absent" / "pluto.ctl", lambda *_: None, lambda _: None).bind()
