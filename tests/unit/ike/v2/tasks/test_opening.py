# SPDX-License-Identifier: GPL-2.0-or-later
"""Cookies, and what else is the same whether an IKE SA is made or resumed."""

from __future__ import annotations

import pytest

from openswan.ike.effects import TicketReceived
from openswan.ike.v2.cookie import refusal
from openswan.ike.v2.states import State
from openswan.ike.v2.tasks.opening import MAX_COOKIES
from openswan.ike.v2.values import Ignored
from openswan.wire.message import Message
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType, PayloadType
from tests.unit.ike.pair import Pair, ike_policy

OPENINGS = pytest.mark.parametrize("exchange", (ExchangeType.IKE_SA_INIT, ExchangeType.IKE_SESSION_RESUME))


def first_request(exchange: ExchangeType) -> tuple[Pair, Message]:
    """An initiator that has just begun, and what it has sent."""
    pair = Pair(ike_policy(resumption=True), ike_policy("@b", "@a", resumption=True))
    if exchange == ExchangeType.IKE_SESSION_RESUME:
        pair.up()
        ticket = pair.a.seen(TicketReceived)[-1].ticket
        for side in (pair.a, pair.b):
            side.machines.clear()
            side.installed.clear()
        pair.start(ticket=ticket)
    else:
        pair.start()
    request = Message.parse(pair.wire.pop().data)
    assert request.header.exchange == exchange
    return pair, request


def ask(pair: Pair, request: Message, cookie: bytes) -> None:
    """The responder wants a cookie first."""
    answer = refusal(request.header, Notify(NotifyType.COOKIE, cookie))
    pair.arrive(pair.a, answer, pair.endpoint_a, pair.endpoint_b)


@OPENINGS
def test_cookies_are_followed_but_not_for_ever(exchange: ExchangeType) -> None:
    pair, request = first_request(exchange)
    for turn in range(MAX_COOKIES + 4):
        ask(pair, request, bytes([turn]) * 8)
    assert len(pair.wire) == MAX_COOKIES
    for datagram in pair.wire:
        message = Message.parse(datagram.data)
        assert message.header.message_id == 0
        assert message.payloads[0].type == PayloadType.NOTIFY
        assert message.payloads[1:] == request.payloads


@OPENINGS
@pytest.mark.parametrize("cookie", [b"", bytes(65)])
def test_cookies_of_impossible_length(exchange: ExchangeType, cookie: bytes) -> None:
    pair, request = first_request(exchange)
    ask(pair, request, cookie)
    assert not pair.wire
    assert pair.a.sa.counters[Ignored.BAD_ANSWER] == 1


@OPENINGS
def test_a_cookie_that_was_brought_already_is_not_brought_at_once_again(exchange: ExchangeType) -> None:
    """It is a repeated datagram: the request with it is under way."""
    pair, request = first_request(exchange)
    for _ in range(3):
        ask(pair, request, b"12345678")
    assert len(pair.wire) == 1 and pair.a.sa.counters[Ignored.BAD_ANSWER] == 2


@OPENINGS
def test_cookies_do_not_make_the_initiator_more_patient(exchange: ExchangeType) -> None:
    pair, request = first_request(exchange)
    assert pair.a.sa.outstanding is not None
    until = pair.a.sa.outstanding.give_up
    pair.now += 2.0
    ask(pair, request, b"12345678")
    assert pair.a.sa.outstanding.give_up == until and pair.a.sa.outstanding.repeats == 0


@OPENINGS
def test_a_responder_keeps_its_answer_and_waits_a_while(exchange: ExchangeType) -> None:
    pair, request = first_request(exchange)
    for _ in range(2):
        pair.arrive(pair.b, request.emit(), pair.endpoint_b, pair.endpoint_a)
    first, second = (datagram.data for datagram in pair.wire)
    assert first == second and len(pair.b.machines) == 1
    assert pair.b.sa.state is State.R1 and pair.b.sa.deadline == pair.now + 60.0
    assert (pair.b.sa.init_i, pair.b.sa.init_r) == (request.emit(), first)
