# SPDX-License-Identifier: GPL-2.0-or-later
"""Stateless cookies, and the other answers that leave no state."""

from __future__ import annotations

import pytest

from openswan.base.address import Endpoint, parse_address
from openswan.base.entropy import SeededRng
from openswan.base.errors import WireError
from openswan.ike.v2.cookie import PERIOD, CookieJar, refusal
from openswan.wire.header import NO_SPI, Flags, Header
from openswan.wire.message import Message
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import DhId, ExchangeType, NotifyType
from openswan.wire.v2.vendor import VendorId
from tests.unit.ike.pair import Pair

REMOTE = Endpoint(parse_address("192.0.2.7"), 500)
OTHER = Endpoint(parse_address("192.0.2.8"), 500)
SPI, NI = b"12345678", b"n" * 32


def jar() -> CookieJar:
    return CookieJar(SeededRng("cookies"), 0.0)


def test_good_for_whoever_it_was_made_for_and_nobody_else() -> None:
    cookies = jar()
    cookie = cookies.cookie(SPI, NI, REMOTE, 1.0)
    assert 1 <= len(cookie) <= 64
    assert cookies.good(cookie, SPI, NI, REMOTE, 2.0)
    assert not cookies.good(cookie, SPI, NI, OTHER, 2.0)
    assert not cookies.good(cookie, SPI, NI, Endpoint(REMOTE.address, 501), 2.0)
    assert not cookies.good(cookie, b"87654321", NI, REMOTE, 2.0)
    assert not cookies.good(cookie, SPI, b"m" * 32, REMOTE, 2.0)
    for at in range(len(cookie)):
        assert not cookies.good(cookie[:at] + bytes([cookie[at] ^ 1]) + cookie[at + 1 :], SPI, NI, REMOTE, 2.0)
    assert not cookies.good(b"", SPI, NI, REMOTE, 2.0)


def test_good_for_one_period_more_then_never() -> None:
    cookies = jar()
    cookie = cookies.cookie(SPI, NI, REMOTE, 1.0)
    assert cookies.good(cookie, SPI, NI, REMOTE, PERIOD + 1)
    assert not cookies.good(cookie, SPI, NI, REMOTE, 2 * PERIOD + 2)


def test_a_long_silence_forgets_both_secrets() -> None:
    cookies = jar()
    cookie = cookies.cookie(SPI, NI, REMOTE, 1.0)
    assert not cookies.good(cookie, SPI, NI, REMOTE, 5 * PERIOD)


def test_challenge_and_proof_on_the_wire() -> None:
    cookies = jar()
    pair = Pair()
    pair.start()
    first = pair.wire.pop()
    request = Message.parse(first.data)
    assert not cookies.proves(request, first.local, 1.0)
    challenge = cookies.challenge(request, first.local, 1.0)
    answer = Message.parse(challenge)
    assert answer.header.spi_i == request.header.spi_i and answer.header.spi_r == NO_SPI
    assert answer.header.is_response and not answer.header.from_initiator
    assert len(challenge) < len(first.data)
    pair.arrive(pair.a, challenge, first.local, first.remote)
    again = Message.parse(pair.wire[-1].data)
    assert cookies.proves(again, first.local, 2.0)
    assert not cookies.proves(again, OTHER, 2.0)
    # All other payloads are unchanged (RFC 7296 2.6).
    assert again.payloads[1:] == request.payloads


def test_no_nonce_no_challenge() -> None:
    header = Header(SPI, NO_SPI, ExchangeType.IKE_SA_INIT, Flags.INITIATOR)
    assert jar().challenge(Message(header, ()), REMOTE, 1.0) == b""
    assert not jar().proves(Message(header, (Nonce(NI),)), REMOTE, 1.0)


@pytest.mark.parametrize("flags", [Flags.INITIATOR, Flags.NONE])
def test_refusal_outside_any_sa_copies_spis_and_message_id(flags: Flags) -> None:
    request = Header(SPI, b"abcdefgh", ExchangeType.INFORMATIONAL, flags, 7)
    answer = Message.parse(refusal(request, Notify(NotifyType.INVALID_IKE_SPI)))
    assert (answer.header.spi_i, answer.header.spi_r, answer.header.message_id) == (SPI, b"abcdefgh", 7)
    assert answer.header.is_response
    assert answer.header.from_initiator is not bool(flags)
    assert answer.notify(NotifyType.INVALID_IKE_SPI) is not None


def test_octets_are_met_as_parsed_messages_are() -> None:
    """Both ways give the same answer to everything: with and without cookie, and however it was damaged."""
    rng = SeededRng("meet")
    jar = CookieJar(rng, 0.0)
    header = Header(b"initiatr", NO_SPI, ExchangeType.IKE_SA_INIT, Flags.INITIATOR)
    plain = (Ke(DhId(31), bytes(32)), Nonce(b"n" * 32), VendorId(b"v"))
    bare = Message(header, plain)
    challenge = jar.meet(bare.emit(), REMOTE, 1.0)
    assert challenge == jar.challenge(bare, REMOTE, 1.0) and challenge is not None
    cookie = Message.parse(challenge).notify(NotifyType.COOKIE)
    assert cookie is not None
    good = Message(header, (Notify(NotifyType.COOKIE, cookie.data), *plain))
    assert jar.meet(good.emit(), REMOTE, 1.0) is None and jar.proves(good, REMOTE, 1.0)
    late = Message(header, (*plain, Notify(NotifyType.COOKIE, cookie.data)))
    assert jar.meet(late.emit(), REMOTE, 1.0) == challenge
    assert jar.meet(Message(header, (VendorId(b"v"),)).emit(), REMOTE, 1.0) == b""
    data = good.emit()
    for at in range(28, len(data)):
        for value in (0, 1, 255, data[at] ^ 1):
            odd = data[:at] + bytes([value]) + data[at + 1 :]
            met = jar.meet(odd, REMOTE, 1.0)
            try:
                message = Message.parse(odd)
            except WireError:
                continue
            if message.first(Nonce) is not None and message.header.next_payload != 0:
                assert (met is None) == jar.proves(message, REMOTE, 1.0)
    for end in range(28, len(data)):
        jar.meet(data[:end], REMOTE, 1.0)
