# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.sa promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.attribute import Attribute
from openswan.wire.cursor import Reader
from openswan.wire.v1.numbers import (
    EspId,
    IpsecAttribute,
    IsakmpId,
    NotifyType,
    OakleyAttribute,
    OakleyEncr,
    ProtocolId,
)
from openswan.wire.v1.sa import (
    MAX_ATTRIBUTES,
    MAX_PROPOSALS,
    Proposal,
    Sa,
    Transform,
    emit_attributes,
    parse_attributes,
)
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives

OAKLEY = Transform(
    0,
    IsakmpId.KEY_IKE,
    (
        Attribute(OakleyAttribute.LIFE_TYPE, 1),
        Attribute(OakleyAttribute.LIFE_DURATION, b"\0\1\x51\x80"),
        Attribute(OakleyAttribute.ENCRYPTION_ALGORITHM, 5),
    ),
)
PHASE1 = Proposal(0, ProtocolId.ISAKMP, b"", (OAKLEY, OAKLEY))
ESP = Proposal(1, ProtocolId.ESP, b"\1\2\3\4", (Transform(1, EspId.AES, (Attribute(IpsecAttribute.KEY_LENGTH, 128),)),))
AH = Proposal(1, ProtocolId.AH, b"\5\6\7\x08", (Transform(1, 3, (Attribute(IpsecAttribute.AUTH_ALGORITHM, 2),)),))


def test_the_octets_are_where_the_drawing_says() -> None:
    esp = "00000001 00000001 00000018 01030401 01020304 0000000c 010c0000 80060080"
    assert round_trip(Sa((ESP,))) == bytes.fromhex(esp)


def test_attributes_keep_their_form_and_order() -> None:
    data = round_trip(Sa((PHASE1,)))
    assert data[8:].startswith(bytes.fromhex("00000038 00010002 03000018 00010000 800b0001 000c0004 00015180 80010005"))
    assert parse_attributes(Reader(emit_attributes(OAKLEY.attributes))) == OAKLEY.attributes


def test_proposals_of_one_number_stay_apart() -> None:
    assert round_trip(Sa((ESP, AH)))[8] == 2


def test_smallest_and_largest() -> None:
    round_trip(Sa((Proposal(1, ProtocolId.ISAKMP, b"", (Transform(1, 1),)),)))
    many = tuple(Transform(number, number, (Attribute(99, bytes(8)),)) for number in range(255))
    round_trip(Sa(tuple(Proposal(n, ProtocolId.ESP, bytes(16), many) for n in range(12))))
    round_trip(Sa((ESP,) * MAX_PROPOSALS))
    round_trip(Sa((Proposal(1, ProtocolId.ESP, b"", (Transform(1, 1, (Attribute(9, 9),) * MAX_ATTRIBUTES),)),)))
    assert not survives(Sa, Sa((ESP,) * (MAX_PROPOSALS + 1)).emit())
    crowded = Transform(1, 1, (Attribute(9, 9),) * (MAX_ATTRIBUTES + 1))
    assert not survives(Sa, Sa((Proposal(1, ProtocolId.ESP, b"", (crowded,)),)).emit())


def test_truncated_at_each_octet_and_lengthened() -> None:
    refuses_every_cut(Sa((PHASE1, ESP)))
    assert not survives(Sa, Sa((ESP,)).emit() + b"\0")


@pytest.mark.parametrize("at", [*range(8), 8, 9, 10, 11, 14, 15, 20, 21, 22, 23, 26, 27])
def test_every_length_count_marker_and_reserved_octet_must_be_right(at: int) -> None:
    good = Sa((ESP,)).emit()
    for value in range(256):
        if value != good[at]:
            assert not survives(Sa, good[:at] + bytes([value]) + good[at + 1 :]), (at, value)


@pytest.mark.parametrize(
    ("octets", "notify"),
    [
        ("00000000 00000001", NotifyType.DOI_NOT_SUPPORTED),
        ("00000002 00000001", NotifyType.DOI_NOT_SUPPORTED),
        ("00000001 00000000", NotifyType.SITUATION_NOT_SUPPORTED),
        ("00000001 00000003", NotifyType.SITUATION_NOT_SUPPORTED),
        ("00000001 ffffffff", NotifyType.SITUATION_NOT_SUPPORTED),
    ],
)
def test_other_domains_and_situations(octets: str, notify: NotifyType) -> None:
    """CVE-2015-3204: any bits in the situation."""
    with pytest.raises(WireError) as caught:
        Sa.parse(Reader(bytes.fromhex(octets) + Sa((ESP,)).emit()[8:]))
    assert caught.value.notify == notify


@pytest.mark.parametrize("bits", [0, 1, 7, 64, 127, 129, 65535])
def test_any_key_length_travels_as_a_number(bits: int) -> None:
    """CVE-2005-3671, CVE-2011-3380: 3DES with a key length, AES with a strange one."""
    for cipher in (OakleyEncr.DES3_CBC, OakleyEncr.AES_CBC):
        odd = (Attribute(OakleyAttribute.ENCRYPTION_ALGORITHM, cipher), Attribute(OakleyAttribute.KEY_LENGTH, bits))
        round_trip(Sa((Proposal(0, ProtocolId.ISAKMP, b"", (Transform(0, 1, odd),)),)))
        long = (Attribute(OakleyAttribute.KEY_LENGTH, bytes(bits % 1000)),)
        round_trip(Sa((Proposal(0, ProtocolId.ISAKMP, b"", (Transform(0, 1, long),)),)))


def test_every_transform_id_and_protocol_is_read() -> None:
    """CVE-2024-3652."""
    for number in range(256):
        round_trip(Sa((Proposal(number, ProtocolId(number), b"", (Transform(number, number),)),)))


def test_nothing_to_choose_from() -> None:
    head = bytes.fromhex("00000001 00000001")
    with pytest.raises(WireError, match="without a proposal"):
        Sa.parse(Reader(head))
    with pytest.raises(WireError, match="announces 0 transforms"):
        Sa.parse(Reader(head + bytes.fromhex("00000008 01010000")))
    with pytest.raises(WireError, match="SPI of 17 octets"):
        Sa.parse(Reader(head + Sa((Proposal(1, ProtocolId.ISAKMP, bytes(17), (OAKLEY,)),)).emit()[8:]))
