# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.message promises."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from openswan.base.errors import WireError
from openswan.wire.v1.auth import Hash
from openswan.wire.v1.header import Flags, Header
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.message import Content, Message, padded
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.numbers import ExchangeType, NotifyType, PayloadType
from openswan.wire.v1.payload import emit_chain
from openswan.wire.v1.vendor import DPD, VendorId
from tests.unit.wire.v1.samples import PAYLOADS

CLEAR = Header(b"initiatr", bytes(8), ExchangeType.MAIN)
SEALED = Header(b"initiatr", b"responde", ExchangeType.QUICK, Flags.ENCRYPTION, 7)


def refused(data: bytes) -> int | None:
    with pytest.raises(WireError) as caught:
        Message.parse(data)
    return caught.value.notify


def with_length(data: bytes) -> bytes:
    """The header's length field mended."""
    return data[:24] + len(data).to_bytes(4, "big") + data[28:]


def test_in_clear() -> None:
    message = Message.clear(CLEAR, PAYLOADS)
    data = message.emit()
    assert Message.parse(data) == message
    assert message.first is PayloadType.SA
    assert message.content.first(Ke) == PAYLOADS[2]
    assert message.content.all(VendorId) == (VendorId(DPD),)
    assert message.content.first(Nonce) is not None
    assert Content().first(Ke) is None


def test_cut_at_each_octet_with_and_without_a_length_that_fits() -> None:
    data = Message.clear(CLEAR, PAYLOADS).emit()
    for end in range(len(data)):
        refused(data[:end])
        if end >= 28:
            refused(with_length(data[:end]))


def test_nothing_behind_the_header_or_something_behind_the_payloads() -> None:
    empty = replace(CLEAR, next_payload=PayloadType.SA)
    assert refused(empty.emit()) == NotifyType.PAYLOAD_MALFORMED
    assert refused(replace(SEALED, next_payload=PayloadType.HASH).emit()) == NotifyType.PAYLOAD_MALFORMED
    assert refused(with_length(CLEAR.emit() + bytes(8))) == NotifyType.PAYLOAD_MALFORMED
    good = Message.clear(CLEAR, PAYLOADS).emit()
    assert refused(with_length(good + b"\0")) == NotifyType.UNEQUAL_PAYLOAD_LENGTHS


def test_encrypted() -> None:
    first, plaintext = padded(PAYLOADS, 16)
    assert len(plaintext) % 16 == 0
    message = Message.encrypted(SEALED, first, plaintext)
    assert Message.parse(message.emit()) == message
    assert Message.parse(message.emit()).sealed == plaintext
    content = Content.parse(message.first, plaintext)
    assert content.payloads == PAYLOADS
    assert content.octets == emit_chain(PAYLOADS)[1]
    with pytest.raises(WireError):
        Message.encrypted(CLEAR, first, plaintext)


@pytest.mark.parametrize("block", [1, 8, 16])
def test_padding_is_zeros_and_no_more_than_needed(block: int) -> None:
    for octets in range(8, 40):
        _, chain = emit_chain([Nonce(bytes(octets))])
        _, plaintext = padded([Nonce(bytes(octets))], block)
        assert plaintext == chain + bytes(len(plaintext) - len(chain))
        assert len(plaintext) % block == 0
        assert len(plaintext) - len(chain) < block


def test_what_a_hash_covers_is_all_behind_it_but_the_padding() -> None:
    first, plaintext = padded([Hash(b"hash"), VendorId(b"x"), Nonce(b"12345678")], 16)
    assert Content.parse(first, plaintext).hashed() == (b"hash", emit_chain([VendorId(b"x"), Nonce(b"12345678")])[1])
    assert Content.parse(*padded([Hash(b"hash")], 16)).hashed() == (b"hash", b"")


@pytest.mark.parametrize("payloads", [(), (VendorId(b"x"),), (VendorId(b"x"), Hash(b"hash"))])
def test_a_hash_that_is_missing_or_not_the_first(payloads: tuple[VendorId | Hash, ...]) -> None:
    """CVE-2019-10155."""
    with pytest.raises(WireError) as caught:
        Content.parse(*padded(payloads, 16)).hashed()
    assert caught.value.notify == NotifyType.INVALID_HASH_INFORMATION


def test_longer_than_any_datagram() -> None:
    with pytest.raises(WireError, match="longer than"):
        Message.clear(CLEAR, [VendorId(bytes(60000)), VendorId(bytes(6000))])


def test_damaged_messages() -> None:
    """Only WireError leaves the parser, and what parses comes out as it went in."""
    random = Random(1)
    good = Message.clear(CLEAR, PAYLOADS).emit()
    parsed = 0
    for _ in range(5000):
        data = bytearray(good)
        for _ in range(random.randrange(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        try:
            message = Message.parse(bytes(data))
        except WireError:
            continue
        assert message.emit() == bytes(data)
        parsed += 1
    assert parsed
