# SPDX-License-Identifier: GPL-2.0-or-later
"""Sealing, opening, fragments in any order, and what an attacker may try with them (RFC 7383)."""

from __future__ import annotations

import itertools

import pytest

from openswan.base.entropy import SeededRng
from openswan.base.errors import CryptoError, WireError
from openswan.crypto import keymat
from openswan.crypto.prf import Prf
from openswan.ike.policy import ChosenIke
from openswan.ike.v2.protect import Assembler, Channel
from openswan.ike.v2.tasks.opening import NONCE_OCTETS
from openswan.policy.proposal import Transform
from openswan.wire.header import Flags, Header
from openswan.wire.message import Message
from openswan.wire.payload import parse_chain
from openswan.wire.v2.body import Payload
from openswan.wire.v2.fragment import Skf
from openswan.wire.v2.numbers import ExchangeType, PayloadType
from openswan.wire.v2.vendor import VendorId
from tests.unit.ike.pair import CBC, GCM, PRF, SHA2, X25519

RNG = SeededRng("protect")
HEADER = Header(b"initiate", b"responds", ExchangeType.IKE_AUTH, Flags.INITIATOR, 1)
CHOSEN = [
    ChosenIke(GCM, None, PRF, X25519),
    ChosenIke(CBC, SHA2, PRF, X25519),
    ChosenIke(Transform("chacha20_poly1305"), None, PRF, X25519),
]


def channels(chosen: ChosenIke) -> tuple[Channel, Channel]:
    integ = chosen.integ.name if chosen.integ else ""
    prf = Prf(chosen.prf.name)
    ni, nr = b"i" * NONCE_OCTETS, b"r" * NONCE_OCTETS
    keys = keymat.ike_keys(
        prf, b"seed" * 8, ni, nr, HEADER.spi_i, HEADER.spi_r, chosen.encr.name, chosen.encr.key_bits, integ
    )
    return Channel(keys, chosen, True), Channel(keys, chosen, False)


def payloads(octets: int) -> tuple[Payload, ...]:
    return (VendorId(bytes(i % 251 for i in range(octets))), VendorId(b"end"))


def read(channel: Channel, data: bytes) -> tuple[Payload, ...] | None:
    content = channel.open(Message.parse(data), data)
    return None if content is None else tuple(parse_chain(content.first, content.content))


@pytest.mark.parametrize("chosen", CHOSEN, ids=str)
@pytest.mark.parametrize("octets", [0, 1, 15, 16, 17, 1000])
def test_round_trip_both_ways(chosen: ChosenIke, octets: int) -> None:
    ours, theirs = channels(chosen)
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        (data,) = sender.seal(HEADER, payloads(octets), RNG)
        assert read(receiver, data) == payloads(octets)
    (empty,) = ours.seal(HEADER, (), RNG)
    assert read(theirs, empty) == ()


@pytest.mark.parametrize("chosen", CHOSEN, ids=str)
def test_nothing_opens_after_a_single_bit(chosen: ChosenIke) -> None:
    ours, theirs = channels(chosen)
    (data,) = ours.seal(HEADER, payloads(8), RNG)
    for at in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises((WireError, CryptoError)):
            read(theirs, bytes(flipped))
    with pytest.raises(CryptoError):
        read(ours, data)


@pytest.mark.parametrize("chosen", CHOSEN, ids=str)
@pytest.mark.parametrize("most", [400, 576, 1220])
def test_fragments_keep_the_limit_and_come_together_in_any_order(chosen: ChosenIke, most: int) -> None:
    ours, theirs = channels(chosen)
    parts = ours.seal(HEADER, payloads(3 * most), RNG, most)
    assert len(parts) > 2
    assert all(len(part) <= most for part in parts)
    for order in itertools.islice(itertools.permutations(parts), 24):
        results = [read(theirs, part) for part in order]
        assert results[:-1] == [None] * (len(parts) - 1)
        assert results[-1] == payloads(3 * most)


def test_a_message_that_fits_is_not_cut() -> None:
    ours, _ = channels(CHOSEN[0])
    assert len(ours.seal(HEADER, payloads(100), RNG, 1220)) == 1


def test_repeated_fragments_count_once() -> None:
    ours, theirs = channels(CHOSEN[0])
    parts = ours.seal(HEADER, payloads(1000), RNG, 500)
    assert [read(theirs, parts[0]) for _ in range(5)] == [None] * 5
    results = [read(theirs, part) for part in parts[1:]]
    assert results[-1] == payloads(1000)


def test_smaller_pieces_replace_larger_ones_and_not_the_reverse() -> None:
    ours, theirs = channels(CHOSEN[0])
    large, small = ours.seal(HEADER, payloads(1500), RNG, 800), ours.seal(HEADER, payloads(1500), RNG, 400)
    assert len(small) > len(large) > 1
    assert read(theirs, large[0]) is None
    assert read(theirs, small[0]) is None
    assert read(theirs, large[1]) is None
    assert [read(theirs, part) for part in small[1:]][-1] == payloads(1500)


def test_messages_may_be_mixed() -> None:
    ours, theirs = channels(CHOSEN[0])
    old = ours.seal(HEADER, payloads(1000), RNG, 500)
    new = ours.seal(Header(*(HEADER.spi_i, HEADER.spi_r, HEADER.exchange, HEADER.flags, 2)), payloads(999), RNG, 500)
    assert read(theirs, old[0]) is None
    assert [read(theirs, part) for part in new][-1] == payloads(999)
    assert [read(theirs, part) for part in old[1:]][-1] == payloads(1000)


def test_forged_fragments_never_reach_the_assembler() -> None:
    ours, theirs = channels(CHOSEN[0])
    parts = ours.seal(HEADER, payloads(1000), RNG, 500)
    for part in parts:
        with pytest.raises(CryptoError):
            read(theirs, part[:-1] + bytes([part[-1] ^ 1]))
    assert not theirs.assembler._partial


def test_too_much_for_any_number_of_fragments() -> None:
    ours, theirs = channels(CHOSEN[0])
    with pytest.raises(WireError):
        ours.seal(HEADER, [VendorId(bytes(60000)), VendorId(bytes(60000))], RNG, 300)
    assert not theirs.assembler._partial


def test_assembled_size_is_bounded() -> None:
    # A peer gone mad: authentic fragments that add up to more than any message.
    assembler = Assembler()
    for number in (1, 2):
        assert assembler.add(HEADER, Skf(PayloadType.VENDOR, number, 5, b""), bytes(30000), b"x") is None
    with pytest.raises(WireError, match="fragments of more than"):
        assembler.add(HEADER, Skf(PayloadType.NONE, 3, 5, b""), bytes(30000), b"x")
    assert not assembler._partial


def test_authentic_without_keeping_anything() -> None:
    ours, theirs = channels(CHOSEN[0])
    (whole,) = ours.seal(HEADER, payloads(10), RNG)
    parts = ours.seal(HEADER, payloads(1000), RNG, 500)
    assert theirs.is_authentic(whole) and theirs.is_authentic(parts[0])
    assert not theirs.is_authentic(parts[1])
    assert not theirs.is_authentic(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert not theirs.is_authentic(b"") and not theirs.is_authentic(Message(HEADER).emit())
    assert not theirs.assembler._partial


def test_wiped_channels_open_nothing() -> None:
    ours, theirs = channels(CHOSEN[0])
    (data,) = ours.seal(HEADER, payloads(10), RNG)
    theirs.wipe()
    with pytest.raises(CryptoError):
        read(theirs, data)


def test_clear_messages_are_refused() -> None:
    _, theirs = channels(CHOSEN[0])
    data = Message(HEADER, payloads(3)).emit()
    with pytest.raises(WireError, match="in clear"):
        theirs.open(Message.parse(data), data)
