# SPDX-License-Identifier: GPL-2.0-or-later
"""One question, one server: UDP, TCP, silence, forgeries."""

import asyncio

import dns.flags
import dns.message
import dns.rcode
import pytest

from openswan.base.errors import HostError
from openswan.host.dnsexchange import MOST_STRAYS, exchange, read_message
from tests.unit.host.dnsserver import Say, Server, reply, serving

QUERY = dns.message.make_query("a.example", "TXT", use_edns=0, payload=1232)


def asked(say: Say, timeout: float = 2.0) -> tuple[dns.message.Message | str, Server]:
    async def run() -> tuple[dns.message.Message | str, Server]:
        server = Server(say)
        async with serving(s1=server) as port:
            try:
                return await exchange(QUERY, "127.0.0.1", port, timeout), server
            except HostError as why:
                return str(why), server

    return asyncio.run(run())


def test_an_answer() -> None:
    message, server = asked(lambda query, tcp: reply(query, "a.example. 60 TXT x"))
    assert isinstance(message, dns.message.Message) and len(message.answer) == 1
    assert server.asked == [("a.example.", "TXT", False)]


def test_tcp_when_it_does_not_fit() -> None:
    def say(query: dns.message.Message, tcp: bool) -> dns.message.Message:
        message = reply(query, *(["a.example. 60 TXT x"] if tcp else []))
        message.flags |= 0 if tcp else dns.flags.TC
        return message

    message, server = asked(say)
    assert isinstance(message, dns.message.Message) and len(message.answer) == 1
    assert [tcp for _, _, tcp in server.asked] == [False, True]


def test_tcp_that_ends_early_or_answers_something_else() -> None:
    def truncated(query: dns.message.Message) -> dns.message.Message:
        message = reply(query)
        message.flags |= dns.flags.TC
        return message

    why, _ = asked(lambda query, tcp: None if tcp else truncated(query))
    assert why == "127.0.0.1: 0 bytes read on a total of 2 expected bytes"
    other = dns.message.make_response(dns.message.make_query("b.example", "TXT"))
    why, _ = asked(lambda query, tcp: other if tcp else truncated(query))
    assert why == "127.0.0.1: what came by TCP answers something else"


def test_a_question_that_was_lost_is_asked_again() -> None:
    heard: list[int] = []

    def say(query: dns.message.Message, tcp: bool) -> dns.message.Message | None:
        heard.append(query.id)
        return reply(query, "a.example. 60 TXT x") if len(heard) == 3 else None

    message, _ = asked(say, 4.0)
    assert isinstance(message, dns.message.Message) and heard == [QUERY.id] * 3


def test_silence() -> None:
    why, _ = asked(lambda query, tcp: None, 0.2)
    assert why == "no answer from 127.0.0.1 within 0.2 s"


def test_nobody_there() -> None:
    async def run() -> str:
        with pytest.raises(HostError) as caught:
            await exchange(QUERY, "127.0.0.9", 1, 2.0)
        return str(caught.value)

    assert asyncio.run(run()) == "127.0.0.9: Connection refused"


def test_forged_answers_are_ignored_until_there_are_too_many() -> None:
    async def run(count: int) -> dns.message.Message:
        def say(query: dns.message.Message, tcp: bool) -> dns.message.Message:
            wrong = reply(query, "a.example. 60 TXT forged")
            wrong.id ^= 1
            for _ in range(count):
                server.transport.sendto(wrong.to_wire(), peer[0])
            return reply(query, "a.example. 60 TXT right")

        class Telling(Server):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                peer[:] = [addr]
                super().datagram_received(data, addr)

        peer: list[tuple[str, int]] = []
        server = Telling(say)
        async with serving(s1=server) as port:
            return await exchange(QUERY, "127.0.0.1", port, 2.0)

    message = asyncio.run(run(MOST_STRAYS - 1))
    assert "right" in message.answer[0].to_text()
    with pytest.raises(HostError, match="64 datagrams that answer something else"):
        asyncio.run(run(MOST_STRAYS))


def test_what_is_no_answer() -> None:
    good = reply(QUERY, "a.example. 60 TXT x").to_wire()
    assert read_message(QUERY, good) is not None
    for end in range(len(good)):
        message = read_message(QUERY, good[:end])
        assert message is None or message.errors or end >= len(good) - 11, end
    assert read_message(QUERY, QUERY.to_wire()) is None, "a question is no answer"
    assert read_message(QUERY, reply(dns.message.make_query("a.example", "KEY")).to_wire()) is None
    assert read_message(QUERY, b"") is None and read_message(QUERY, bytes(12)) is None
