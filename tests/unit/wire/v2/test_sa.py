# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.sa promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.attribute import Attribute
from openswan.wire.v2.numbers import DhId, EncrId, EsnId, IntegId, PrfId, ProtocolId, TransformType
from openswan.wire.v2.sa import MAX_PROPOSALS, Proposal, Sa, Transform
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives, whole

IKE = Proposal(
    1,
    ProtocolId.IKE,
    b"",
    (
        Transform(TransformType.ENCR, EncrId.AES_CBC, 256),
        Transform(TransformType.INTEG, IntegId.HMAC_SHA2_256_128),
        Transform(TransformType.PRF, PrfId.HMAC_SHA2_256),
        Transform(TransformType.DH, DhId.X25519),
    ),
)
ESP = Proposal(
    2,
    ProtocolId.ESP,
    b"\1\2\3\4",
    (Transform(TransformType.ENCR, EncrId.AES_GCM_16, 128), Transform(TransformType.ESN, EsnId.NO_ESN)),
)


def test_the_octets_are_where_the_drawing_says() -> None:
    esp = "00000020 02030402 01020304 0300000c 01000014 800e0080 00000008 05000000"
    assert round_trip(Sa((ESP,))) == bytes.fromhex(esp)


def test_several_proposals_and_looking_into_one() -> None:
    data = round_trip(Sa((IKE, ESP)))
    assert data[0] == 2
    assert IKE.of(TransformType.PRF) == (Transform(TransformType.PRF, PrfId.HMAC_SHA2_256),)
    assert ESP.of(TransformType.DH) == ()
    assert [str(t) for t in ESP.transforms] == ["AES_GCM_16_128", "NO_ESN"]
    assert str(Transform(TransformType(77), 3)) == "TransformType(77):3"


def test_smallest_and_largest() -> None:
    round_trip(Sa((Proposal(1, ProtocolId.IKE, b"", ()),)))
    many = tuple(Transform(TransformType.DH, number) for number in range(255))
    round_trip(Sa(tuple(Proposal(n % 256, ProtocolId.ESP, bytes(255), many) for n in range(MAX_PROPOSALS))))
    assert not survives(Sa, Sa((IKE,) * (MAX_PROPOSALS + 1)).emit())


def test_truncated_at_each_octet() -> None:
    refuses_every_cut(Sa((IKE, ESP)))
    assert not survives(Sa, Sa((IKE,)).emit() + b"\0")


@pytest.mark.parametrize("at", [0, 2, 3, 6, 7, 12, 14, 15])
def test_every_length_count_and_marker_octet_must_be_right(at: int) -> None:
    good = Sa((ESP,)).emit()
    for value in range(256):
        if value != good[at]:
            assert not survives(Sa, good[:at] + bytes([value]) + good[at + 1 :]), (at, value)


def test_attributes_nobody_knows_make_a_transform_unacceptable_not_the_message() -> None:
    """RFC 7296 3.3.6; CVE-2005-3671, CVE-2011-3380: any key length travels as a number."""
    for bits in (0, 1, 7, 127, 129, 65535):
        odd = Transform(TransformType.ENCR, EncrId.DES3, bits)
        assert whole(Sa, Sa((Proposal(1, ProtocolId.IKE, b"", (odd,)),)).emit()) == Sa(
            (Proposal(1, ProtocolId.IKE, b"", (odd,)),)
        )
    others = (Attribute(14, b"\1\0"), Attribute(99, 1))
    strange = Transform(TransformType.ENCR, EncrId.AES_CBC, 128, others)
    round_trip(Sa((Proposal(1, ProtocolId.IKE, b"", (strange,)),)))


def test_a_second_key_length_is_not_silently_taken() -> None:
    twice = bytes.fromhex("00000018 01010001 00000010 0100000c 800e0080 800e0100")
    (proposal,) = whole(Sa, twice).proposals  # type: ignore[attr-defined]
    assert proposal.transforms == (Transform(TransformType.ENCR, EncrId.AES_CBC, 128, (Attribute(14, 256),)),)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 99, 255])
def test_every_transform_id_is_read(kind: int) -> None:
    """CVE-2016-3071, CVE-2024-3652."""
    for number in (*range(256), 1024, 65535):
        round_trip(Sa((Proposal(1, ProtocolId.ESP, b"", (Transform(TransformType(kind), number),)),)))


def test_no_proposal_at_all() -> None:
    with pytest.raises(WireError, match="without a proposal"):
        whole(Sa, b"")
