# SPDX-License-Identifier: GPL-2.0-or-later
"""Crash detection tokens: who may end an IKE SA in clear, and that nobody else can (RFC 6290)."""

from __future__ import annotations

import pytest

from openswan.ike.effects import Gone, Heard, IkeGone, ProbeAnswered, Silent
from openswan.ike.events import Probe, RekeyIke
from openswan.ike.v2.tasks import crash
from openswan.wire.header import Flags, Header
from openswan.wire.message import Message
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType
from tests.unit.ike.pair import Pair

SECRETS = {"a": b"a" * 32, "b": b"b" * 32}
LOST, PROOF = NotifyType.INVALID_IKE_SPI, NotifyType.QUICK_CRASH_DETECTION


def up() -> Pair:
    pair = Pair()
    for side in (pair.a, pair.b):
        side.ask.crash_token = lambda i, r, name=side.name: crash.token(SECRETS[name], i, r)  # type: ignore[method-assign,misc]
    return pair.up()


def tell(pair: Pair, *notifies: Notify, message_id: int | None = None) -> None:
    """In clear, to a's outstanding request."""
    sa = pair.a.sa
    number = message_id if message_id is not None else next(iter(sa.flights), 0)
    header = Header(sa.spi_i, sa.spi_r, ExchangeType.INFORMATIONAL, Flags.RESPONSE, number)
    pair.arrive(pair.a, Message(header, notifies).emit(), sa.local, sa.remote)


def asked(pair: Pair) -> None:
    pair.a.request(Probe(1))
    pair.wire.clear()


def test_tokens_depend_on_secret_and_both_spis() -> None:
    one = crash.token(b"s" * 32, b"i" * 8, b"r" * 8)
    others = {crash.token(s, i, r) for s, i, r in ((b"t" * 32, b"i" * 8, b"r" * 8), (b"s" * 32, b"j" * 8, b"r" * 8),
                                                   (b"s" * 32, b"i" * 8, b"q" * 8))}  # fmt: skip
    assert len(one) == 32 and one not in others and len(others) == 3
    assert crash.token(b"", b"i" * 8, b"r" * 8) == b""


def test_the_right_token_ends_it_and_the_reason_is_told() -> None:
    pair = up()
    asked(pair)
    tell(pair, Notify(LOST), Notify(PROOF, pair.b.ask.crash_token(pair.a.sa.spi_i, pair.a.sa.spi_r)))
    assert [gone.reason for gone in pair.a.seen(IkeGone)] == [Gone.UNKNOWN_TO_PEER] and not pair.a.installed


@pytest.mark.parametrize("proof", (b"", bytes(15), bytes(32), b"own"))
def test_any_other_token_does_not(proof: bytes) -> None:
    pair = up()
    own = pair.a.ask.crash_token(pair.a.sa.spi_i, pair.a.sa.spi_r)
    asked(pair)
    tell(pair, Notify(LOST), Notify(PROOF, own if proof == b"own" else proof))
    tell(pair, Notify(LOST))
    assert not pair.a.seen(IkeGone) and pair.a.installed


def test_after_a_rekeying_both_have_new_tokens() -> None:
    pair = up()
    old = pair.a.sa.peer_token
    pair.b.request(RekeyIke())
    pair.run()
    assert pair.a.sa.peer_token not in (b"", old)
    assert pair.a.sa.peer_token == pair.b.ask.crash_token(pair.b.sa.spi_i, pair.b.sa.spi_r)
    assert pair.b.sa.peer_token == pair.a.ask.crash_token(pair.a.sa.spi_i, pair.a.sa.spi_r)


def test_doubts_are_asked_once_in_ten_seconds() -> None:
    pair = up()
    for step in range(200):
        pair.now += 0.1
        pair.a.do(pair.a.sa, pair.a.sa.doubt("somebody says", pair.now))
        pair.run()
        assert len([d for d in pair.log if d.sender is pair.a]) <= 3 + step // 100
    assert not pair.a.seen(IkeGone)


def test_silence_is_told_once() -> None:
    pair = up()
    pair.filter = lambda datagram: False
    pair.a.request(Probe(1))
    pair.pass_time(20.0)
    assert len(pair.a.seen(Silent)) == 1 and not pair.a.seen(Heard)


def test_a_silent_peer_that_is_heard_again_is_told_of_once_whatever_it_says() -> None:
    pair = up()
    pair.filter = lambda datagram: datagram.sender is pair.b
    pair.a.request(Probe(1))
    pair.pass_time(8.0)
    assert pair.a.seen(Silent)
    pair.b.request(Probe(2))
    pair.run()
    assert len(pair.a.seen(Heard)) == 1, "a request of its own will do"
    pair.filter = lambda datagram: True
    pair.pass_time(20.0)
    assert pair.a.seen(ProbeAnswered) and len(pair.a.seen(Heard)) == len(pair.a.seen(Silent)) == 1


def test_a_peer_that_was_heard_is_silent_only_after_as_many_repetitions_as_before() -> None:
    pair = up()
    pair.filter = lambda datagram: datagram.sender is pair.b
    pair.a.request(Probe(1))
    pair.pass_time(4.0)
    pair.b.request(Probe(2))
    pair.run()
    assert pair.a.sa.outstanding is not None
    repeats = pair.a.sa.outstanding.repeats
    pair.pass_time(20.0)
    assert pair.a.sa.outstanding.repeats < repeats + 3 and len(pair.a.seen(Silent)) == 1
    pair.pass_time(10.0)
    assert pair.a.sa.outstanding.repeats >= repeats + 3 and len(pair.a.seen(Silent)) == 2
