# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages cut and joined: in any order, lost, repeated, forged; how much a stranger can have us keep."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from openswan.base.errors import WireError
from openswan.ike.effects import Send
from openswan.ike.v1.pieces import MOST_PARTIAL, PATIENCE, PIECE_HEADER, SMALLEST, Assembler, cut
from openswan.ike.v1.states import State
from openswan.wire.v1.auth import Sig
from openswan.wire.v1.fragment import MAX_FRAGMENTS, Fragment
from openswan.wire.v1.header import Flags, Header
from openswan.wire.v1.message import Message
from openswan.wire.v1.numbers import ExchangeType
from openswan.wire.v1.vendor import FRAGMENTATION, VendorId
from tests.unit.ike.v1.pair import ADDRESS_A, ADDRESS_B, Pair, by_rsa, policy

HEADER = Header(b"initiatr", b"responde", ExchangeType.MAIN, Flags.ENCRYPTION, 0)


def message(octets: int = 3000, seed: int = 1) -> bytes:
    return Message.encrypted(HEADER, Sig.TYPE, random.Random(seed).randbytes(octets)).emit()


def pieces(data: bytes, most: int = 600) -> list[Fragment]:
    return [Message.parse(one).content.all(Fragment)[0] for one in cut(data, most)]


def join(assembler: Assembler, parts: list[Fragment], now: float = 0.0) -> list[bytes]:
    return [whole for part in parts if (whole := assembler.add(part, now)) is not None]


def test_short_messages_stay_whole() -> None:
    data = message(500)
    assert cut(data, len(data)) == cut(data, 0) == [data]
    assert len(cut(data, len(data) - 1)) == 2


@pytest.mark.parametrize("most", [0, 1, 300, 576, 1280])
def test_what_is_cut_is_joined_in_any_order(most: int) -> None:
    data = message()
    if not most:
        assert cut(data, most) == [data]
        return
    parts = pieces(data, most)
    for one in cut(data, most):
        piece = Message.parse(one)
        assert piece.header.cookies == HEADER.cookies and piece.header.exchange is ExchangeType.MAIN
        assert not piece.header.is_encrypted and len(one) <= max(most, SMALLEST + PIECE_HEADER)
    for seed in range(20):
        shuffled = random.Random(seed).sample(parts, len(parts))
        assert join(Assembler(), [one for part in shuffled for one in (part, part)][:-1]) == [data]


def test_the_longest_message_has_no_more_than_the_most_pieces() -> None:
    data = message(65000)
    parts = pieces(data, 576)
    assert len(parts) == MAX_FRAGMENTS and join(Assembler(), parts) == [data]


def test_pieces_of_two_sendings_complete_each_other() -> None:
    data, assembler = message(), Assembler()
    parts = pieces(data)
    assert join(assembler, parts[::2] + parts[1::2]) == [data]


def test_a_forged_piece_holds_up_one_sending_only() -> None:
    data, assembler = message(), Assembler()
    parts = pieces(data)
    for number, last in ((1, False), (2, True), (60, False), (60, True), (len(parts), False), (1, True)):
        forged = replace(parts[0], number=number, last=last, data=b"forged")
        join(assembler, [forged])
        assert join(assembler, parts + parts)[-1] == data
        join(assembler, [*parts[:2], forged])
        assert join(assembler, parts + parts)[-1] == data


def test_two_messages_under_one_id() -> None:
    one, other, assembler = pieces(message(seed=1)), pieces(message(seed=2)), Assembler()
    same = [replace(piece, id=one[0].id) for piece in other]
    assert join(assembler, one[:2] + same) == [message(seed=2)]


def test_what_is_kept_is_bounded() -> None:
    assembler = Assembler()
    for identifier in range(1000):
        join(assembler, [Fragment(identifier, number, False, bytes(60)) for number in range(1, 10)])
        assert len(assembler) <= MOST_PARTIAL
    assembler = Assembler()
    with pytest.raises(WireError, match="more than 65535"):
        join(assembler, [Fragment(1, number, False, bytes(2000)) for number in range(1, MAX_FRAGMENTS + 1)])
    assert not len(assembler)
    parts = pieces(message())
    join(assembler, parts[:-1])
    assert join(assembler, parts[-1:], PATIENCE) == []


def test_a_negotiation_in_pieces() -> None:
    more = {"fragment_size": 300, "ike": "aes128-sha1-modp2048"}
    pair = Pair(policy(**more, **by_rsa(1, 2)), policy("@b", "@a", **more, **by_rsa(2, 1))).up()
    for end in (pair.a, pair.b):
        cuts = [one for one in end.sent() if Message.parse(one).content.first(Fragment)]
        assert len(cuts) >= 2 and max(map(len, cuts)) <= 300
    assert "received Vendor ID payload [FRAGMENTATION]" in pair.a.lines()


@pytest.mark.parametrize("seed", range(20))
def test_a_negotiation_in_pieces_over_a_bad_path(seed: int) -> None:
    dice = random.Random(seed)
    more = {"fragment_size": 300, "ike": "aes128-sha1-modp2048"}
    pair = Pair(policy(**more), policy("@b", "@a", **more))
    pair.bend = lambda sent: [sent] * dice.choice((0, 1, 1, 1, 2))
    pair.start().run()
    while State.GONE not in (pair.a.sa.state, pair.b.sa.state) and not pair.a.sa.is_established:
        pair.tick().run()
    assert pair.a.sa.is_established


def test_a_peer_that_takes_no_pieces_gets_none() -> None:
    more = {"fragment_size": 300, "ike": "aes128-sha1-modp2048"}
    pair = Pair(policy(**more), policy("@b", "@a", fragmentation=False, **more)).up()
    assert max(map(len, pair.a.sent())) > 300
    assert not any(VendorId(FRAGMENTATION) in Message.parse(one).content.payloads for one in pair.b.sent()[:1])


def test_pieces_of_strangers() -> None:
    """CVE-2013-6076: they are answered by nothing, change nothing, and nothing is begun by them."""
    pair = Pair().up()
    sa = pair.b.sa
    before, state = len(pair.b.sent()), sa.need_keys().last_block
    inner = pair.a.sent()[-1]
    for cookies in ((sa.cookie_i, sa.cookie_r), (sa.cookie_i, bytes(8)), (b"x" * 8, b"y" * 8)):
        for exchange in (ExchangeType.MAIN, ExchangeType.QUICK, ExchangeType.INFORMATIONAL):
            header = Header(*cookies, exchange)
            nested = Message.clear(header, [Fragment(9, 1, True, inner)]).emit()
            for piece in (
                Fragment(1, 1, True, b"x"),
                Fragment(1, 1, True, bytes(28)),
                Fragment(2, 3, True, b"x" * 100),
                Fragment(3, 1, True, nested),
            ):
                data = Message.clear(header, [piece]).emit()
                pair.b.effects += sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
            data = Message.clear(header, [Fragment(1, 1, True, b"x"), Fragment(1, 2, True, b"x")]).emit()
            pair.b.effects += sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
    assert len(pair.b.sent()) == before and sa.is_established and sa.need_keys().last_block == state


def test_a_first_message_in_pieces_is_none() -> None:
    pair = Pair()
    first = pair.a.sa.initiate(0.0)
    data = next(one.data for one in first if isinstance(one, Send))
    header = Header(pair.a.sa.cookie_i, bytes(8), ExchangeType.MAIN)
    piece = Message.clear(header, [Fragment(1, 1, True, data)]).emit()
    pair.b.effects += pair.b.sa.receive(piece, ADDRESS_B, ADDRESS_A, 0.0)
    assert not pair.b.sent() and pair.b.sa.state is State.GONE
