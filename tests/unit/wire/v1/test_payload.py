# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.payload promises."""

from __future__ import annotations

from random import Random

import pytest

from openswan.base.errors import WireError
from openswan.wire.v1.body import Payload
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.numbers import NotifyType, PayloadType
from openswan.wire.v1.payload import MAX_PAYLOADS, REGISTRY, emit_chain, parse_chain
from openswan.wire.v1.vendor import VendorId
from tests.unit.wire.v1.samples import PAYLOADS


def refused(first: int, data: bytes) -> WireError:
    with pytest.raises(WireError) as caught:
        parse_chain(first, data)
    return caught.value


def test_every_class_has_a_sample() -> None:
    assert {payload.type for payload in PAYLOADS} == REGISTRY.keys()


def test_the_octets_are_where_the_drawing_says() -> None:
    first, data = emit_chain([VendorId(b"one"), Nonce(b"12345678")])
    assert (first, data) == (PayloadType.VENDOR, bytes.fromhex("0a000007 6f6e65 0000000c") + b"12345678")
    assert parse_chain(first, data + b"pad") == ((VendorId(b"one"), Nonce(b"12345678")), len(data))


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.type.name)
def test_each_alone_whole_cut_and_lengthened(payload: Payload) -> None:
    first, data = emit_chain([payload])
    assert parse_chain(first, data) == ((payload,), len(data))
    for end in range(len(data)):
        assert refused(first, data[:end]).notify in (NotifyType.PAYLOAD_MALFORMED, type(payload).MALFORMED)
    for length in (0, 1, 2, 3, len(data) + 1, 65535):
        assert refused(first, data[:2] + length.to_bytes(2, "big") + data[4:]).notify == NotifyType.PAYLOAD_MALFORMED
    for octet in (1, 0x80, 0xFF):
        assert "reserved" in str(refused(first, data[:1] + bytes([octet]) + data[2:]))


def test_all_together() -> None:
    first, data = emit_chain(PAYLOADS)
    assert parse_chain(first, data) == (PAYLOADS, len(data))
    assert emit_chain(parse_chain(first, data)[0]) == (first, data)
    assert emit_chain([]) == (PayloadType.NONE, b"")
    assert parse_chain(0, b"padding") == ((), 0)


def test_errors_name_the_payload_and_the_place() -> None:
    why = refused(PayloadType.NONCE, bytes.fromhex("00000006 0000"))
    assert str(why) == "NONCE payload: body of 2 octets, 8 to 256 are allowed"
    assert refused(PayloadType.ID, bytes.fromhex("00000008 01000000")).notify == NotifyType.INVALID_ID_INFORMATION
    assert refused(PayloadType.SA, bytes.fromhex("00000008 00000001")).notify == NotifyType.BAD_PROPOSAL_SYNTAX


@pytest.mark.parametrize("kind", [n for n in range(1, 256) if PayloadType(n) not in REGISTRY])
def test_types_of_ikev2_and_of_nobody(kind: int) -> None:
    """CVE-2014-2037, CVE-2015-3991 (33 to 48), CVE-2015-3204 (15); proposals and transforms outside an SA."""
    first, data = emit_chain([VendorId(b"")])
    for why in (refused(kind, data), refused(first, bytes([kind]) + data[1:] + data)):
        assert why.notify == NotifyType.INVALID_PAYLOAD_TYPE
        assert why.data == bytes([kind])


def test_how_many_payloads_a_message_may_have() -> None:
    first, data = emit_chain([VendorId(b"")] * MAX_PAYLOADS)
    assert len(parse_chain(first, data)[0]) == MAX_PAYLOADS
    assert refused(*emit_chain([VendorId(b"")] * (MAX_PAYLOADS + 1))).notify == NotifyType.PAYLOAD_MALFORMED


def test_a_chain_that_names_itself_ends() -> None:
    """isakmp-pointer-loop: lengths always move on, and the octets run out."""
    refused(PayloadType.VENDOR, bytes.fromhex("0d000004") * 20)


@pytest.mark.parametrize("seed", range(300))
def test_what_wrong_keys_make_of_it_is_refused_or_short(seed: int) -> None:
    random = Random(seed)
    try:
        found, used = parse_chain(PayloadType.ID, random.randbytes(96))
    except WireError as why:
        assert why.notify is not None
    else:
        assert found
        assert used <= 96
