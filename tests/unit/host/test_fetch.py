# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching by HTTP from servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import pytest

from openswan.base.address import Address
from openswan.base.errors import AnsweredError, HostError
from openswan.host.fetch import Fetcher, Target, parse_target

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def resolve(name: str, version: int) -> tuple[tuple[Address, ...], str, float]:
    return ((ip_address("127.0.0.1"),), "", 60.0) if name == "crl.example" else ((), f"{name} does not exist", 0.0)


def fetch(
    answer: bytes,
    *,
    path: str = "/a?b=c",
    limit: int = 1000,
    timeout: float = 2.0,
    body: bytes = b"",
    hang: bool = False,
) -> tuple[bytes, bytes]:
    """(what the server was sent, what came of it)."""
    asked = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked = await reader.readuntil(b"\r\n\r\n")
        if body:
            asked += await reader.readexactly(len(body))
        writer.write(answer)
        await writer.drain()
        if hang:
            await asyncio.sleep(60)
        writer.close()

    async def both() -> bytes:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            uri = f"http://crl.example:{port}{path}"
            return await Fetcher(resolve).fetch(uri, limit, timeout, body, "application/x" if body else "")
        finally:
            server.close()

    got = asyncio.run(both())
    return asked, got


OK = b"HTTP/1.1 200 OK\r\n"


def test_a_plain_answer() -> None:
    asked, got = fetch(OK + b"Content-Length: 5\r\n\r\nhello, and more")
    assert got == b"hello"
    assert asked.startswith(b"GET /a?b=c HTTP/1.1\r\n") and b"\r\nHost: crl.example:" in asked
    assert b"\r\nConnection: close\r\n" in asked


def test_other_framings() -> None:
    assert fetch(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")[1] == b"abcde"
    assert fetch(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")[1] == b"until the end"


def test_posting() -> None:
    asked, got = fetch(OK + b"Content-Length: 0\r\n\r\n", body=b"\0\1question")
    assert got == b"" and asked.startswith(b"POST ") and asked.endswith(b"\r\n\r\n\0\1question")
    assert b"Content-Type: application/x\r\n" in asked


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "the server says 404 'Not Found'"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "redirections are not followed"),
        (OK + b"Content-Length: 2000\r\n\r\n", "2000 octets, more than 1000"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + bytes(2000) + b"\r\n0\r\n\r\n", "longer than 1000"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + bytes(2000), "longer than 1000"),
        (OK + b"Content-Length: 50\r\n\r\nshort", "."),
        (OK + b"Content-Length: -5\r\n\r\n", "."),
        (b"junk\r\n\r\n", "."),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 200000, "."),
        (b"", "."),
    ],
)
def test_answers_that_are_of_no_use(answer: bytes, reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        fetch(answer)


def test_a_server_that_refuses_has_answered() -> None:
    with pytest.raises(AnsweredError, match="404"):
        fetch(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    for answer in (b"junk\r\n\r\n", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"):
        with pytest.raises(HostError) as why:
            fetch(answer)
        assert not isinstance(why.value, AnsweredError)


def test_patience_has_an_end() -> None:
    with pytest.raises(HostError, match=r"no answer within 0\.2 s"):
        fetch(OK, timeout=0.2, hang=True)


def test_servers_that_are_not_there() -> None:
    async def one(uri: str) -> None:
        await Fetcher(resolve).fetch(uri, 10, 2.0)

    with pytest.raises(HostError, match=r"nobody\.example does not exist"):
        asyncio.run(one("http://nobody.example/"))
    with pytest.raises(HostError, match=r"refused|127\.0\.0\.1"):
        asyncio.run(one("http://127.0.0.1:1/"))


def test_targets() -> None:
    assert parse_target("http://a.example") == Target("a.example", 80, "/")
    assert parse_target("HTTP://a.example:8080/x?y") == Target("a.example", 8080, "/x?y")
    assert parse_target("http://[2001:db8::1]/").authority == "[2001:db8::1]"
    assert parse_target("http://a:81/").authority == "a:81"
    for uri, reason in (
        ("https://a/", "https: is not fetched, only http: is"),
        ("ldap://a/cn=x", "ldap: is not fetched"),
        ("file:///etc/passwd", "file: is not fetched"),
        ("http:///x", "names no server"),
        ("http://u:p@a/", "or a user"),
        ("http://a b/", "no URI"),
        ("http://a/\r\nX: y", "no URI"),
        ("http://a:99999/", "no URI"),
        ("http://[::1/", "no URI"),
        ("http://a/" + "x" * 3000, "no URI"),
        ("", "that: is not fetched"),
    ):
        with pytest.raises(HostError, match=reason):
            parse_target(uri)
