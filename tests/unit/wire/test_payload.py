# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.payload promises."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.errors import WireError
from openswan.wire.header import Flags, Header
from openswan.wire.payload import MAX_PAYLOADS, REGISTRY, emit_chain, parse_chain
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ident import IdI, IdR
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import (
    AuthMethod,
    DhId,
    ExchangeType,
    IdType,
    NotifyType,
    PayloadType,
    ProtocolId,
    TransformType,
)
from openswan.wire.v2.sa import Proposal, Sa, Transform
from openswan.wire.v2.sk import Sk
from openswan.wire.v2.ts import TrafficSelector, TsI
from openswan.wire.v2.unknown import Unknown
from openswan.wire.v2.vendor import VendorId


def test_a_chain_round_trips() -> None:
    payloads = [Nonce(bytes(16)), VendorId(b"v"), Notify(NotifyType.COOKIE, b"c"), Unknown(PayloadType(200), b"?")]
    first, data = emit_chain(payloads)
    assert first == PayloadType.NONCE
    assert parse_chain(first, data) == payloads


def test_no_payloads_at_all() -> None:
    assert emit_chain([]) == (PayloadType.NONE, b"")
    assert parse_chain(PayloadType.NONE, b"") == []
    with pytest.raises(WireError, match="too many"):
        parse_chain(PayloadType.NONE, b"\0")


def test_encrypted_ends_the_chain_and_names_what_is_inside() -> None:
    first, data = emit_chain([VendorId(b"v"), Sk(PayloadType.ID_I, b"sealed")])
    assert parse_chain(first, data)[-1] == Sk(PayloadType.ID_I, b"sealed")
    with pytest.raises(WireError, match="too many"):
        parse_chain(first, data + b"\0")
    with pytest.raises(WireError, match="must be the last"):
        emit_chain([Sk(PayloadType.ID_I, b""), VendorId(b"v")])


def test_truncated_at_each_octet() -> None:
    first, data = emit_chain([Nonce(bytes(20)), VendorId(b"vendor")])
    for end in range(len(data)):
        with pytest.raises(WireError):
            parse_chain(first, data[:end])


@pytest.mark.parametrize("length", [0, 1, 2, 3, 6, 65535])
def test_wrong_payload_length(length: int) -> None:
    with pytest.raises(WireError):
        parse_chain(PayloadType.VENDOR, b"\0\0" + length.to_bytes(2, "big") + b"v")


def test_an_unknown_payload_is_kept_unless_critical() -> None:
    """RFC 7296 2.5."""
    assert parse_chain(99, bytes.fromhex("00000005ee")) == [Unknown(PayloadType(99), b"\xee")]
    with pytest.raises(WireError) as caught:
        parse_chain(99, bytes.fromhex("00800005ee"))
    assert (caught.value.notify, caught.value.data) == (NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, b"\x63")


@pytest.mark.parametrize("kind", [*range(1, 33), 49, 52, 54, 127, 128, 255])
def test_payload_types_of_ikev1_and_of_nobody(kind: int) -> None:
    """CVE-2014-2037, CVE-2015-3991, CVE-2015-3204: other versions' numbers are unknown payloads, nothing more."""
    assert parse_chain(kind, bytes.fromhex("0000000401"[:8])) == [Unknown(PayloadType(kind), b"")]


def test_the_critical_bit_of_a_known_payload_is_ignored() -> None:
    assert parse_chain(PayloadType.VENDOR, bytes.fromhex("0080000576")) == [VendorId(b"v")]


@pytest.mark.parametrize("count", [MAX_PAYLOADS - 1, MAX_PAYLOADS, 200, 16000])
def test_very_many_payloads(count: int) -> None:
    """CVE-2026-12413: unknown payloads in front of SK."""
    many: list[Unknown | Sk] = [Unknown(PayloadType(200), b"")] * count
    first, data = emit_chain([*many, Sk(PayloadType.NONE, b"sealed")])
    if count < MAX_PAYLOADS:
        assert len(parse_chain(first, data)) == count + 1
        return
    with pytest.raises(WireError, match="more than"):
        parse_chain(first, data)


def test_an_error_names_the_payload() -> None:
    with pytest.raises(WireError, match="NONCE payload: nonce of 1 octets") as caught:
        parse_chain(PayloadType.NONCE, bytes.fromhex("0000000500"))
    assert caught.value.notify == NotifyType.INVALID_SYNTAX


def test_each_payload_type_has_its_class() -> None:
    wanted = set(PayloadType) - {PayloadType.NONE, PayloadType.EAP}
    assert {kind for kind in REGISTRY if kind in PayloadType._value2member_map_} >= wanted
    assert all(kind == cls.TYPE for kind, cls in REGISTRY.items())


# A body, and where its reserved octets are: (offset, mask of the reserved bits).
RESERVED = [
    (IdI(IdType.FQDN, b"a"), [(n, 0xFF) for n in (1, 2, 3)]),
    (IdR(IdType.FQDN, b"a"), [(n, 0xFF) for n in (1, 2, 3)]),
    (Auth(AuthMethod.SHARED_KEY, b"proof"), [(n, 0xFF) for n in (1, 2, 3)]),
    (Ke(DhId(31), bytes(32)), [(2, 0xFF), (3, 0xFF)]),
    (
        Sa((Proposal(1, ProtocolId.IKE, b"", (Transform(TransformType.ENCR, 20, 128),)),)),
        [(1, 0xFF), (9, 0xFF), (13, 0xFF)],
    ),
    (
        TsI((TrafficSelector.of(ip_address("10.0.0.0"), ip_address("10.0.0.9"), 0, 0, 65535),)),
        [(1, 0xFF), (2, 0xFF), (3, 0xFF)],
    ),
]


@pytest.mark.parametrize(("payload", "places"), RESERVED, ids=lambda v: getattr(getattr(v, "type", None), "name", ""))
def test_reserved_bits_are_ignored_and_sent_as_zero(payload: Payload, places: list[tuple[int, int]]) -> None:
    first, data = emit_chain([payload])
    assert data[1] == 0, "neither critical nor reserved bits"
    for bit in range(8):
        odd = bytearray(data)
        odd[1] |= 1 << bit
        for offset, mask in places:
            assert data[4 + offset] & mask == 0
            odd[4 + offset] |= (1 << bit) & mask
        assert parse_chain(first, bytes(odd)) == [payload]


def test_flags_that_are_reserved_are_ignored() -> None:
    header = Header(b"initiatr", b"responde", ExchangeType.INFORMATIONAL, Flags.INITIATOR, 1)
    data = bytearray(header.emit())
    data[17] |= 0x0F
    data[19] |= 0xD7
    odd = Header.parse(bytes(data))
    odd.require_v2()
    assert odd.from_initiator and not odd.is_response and odd.minor == 15
    assert header.emit()[19] == 0x08
