# SPDX-License-Identifier: GPL-2.0-or-later
"""Choosing proposals: preference, key lengths, AEAD and integrity, groups, ESN, unknown things."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.errors import IkeError
from openswan.crypto.registry import Kind
from openswan.ike.v2.negotiate import (
    Dh,
    Match,
    accept,
    choose,
    group_transform,
    keeping_prf,
    number,
    offer,
    with_groups,
)
from openswan.policy.proposal import Proposal, Transform
from openswan.wire.attribute import Attribute
from openswan.wire.v2.numbers import DhId, EncrId, EsnId, IntegId, ProtocolId, TransformType
from openswan.wire.v2.sa import Proposal as WireProposal
from openswan.wire.v2.sa import Sa
from openswan.wire.v2.sa import Transform as WireTransform
from tests.unit.ike.pair import CBC, ECP256, ESP_CBC, ESP_GCM, GCM, IKE_CBC, IKE_GCM, MODP2048, PRF, SHA2, X25519

IKE, ESP = ProtocolId.IKE, ProtocolId.ESP
ENCR = WireTransform(TransformType.ENCR, EncrId.AES_GCM_16, 256)
NO_ESN = WireTransform(TransformType.ESN, EsnId.NO_ESN)


def esp(*transforms: WireTransform, spi: bytes = b"\1\2\3\4") -> Sa:
    return Sa((WireProposal(1, ESP, spi, transforms),))


def test_offer_as_the_rfc_wants_it() -> None:
    first, second = offer((IKE_GCM, IKE_CBC), IKE).proposals
    assert (first.num, second.num) == (1, 2)
    assert first.of(TransformType.INTEG) == ()
    assert first.of(TransformType.ENCR) == (ENCR,)
    assert second.of(TransformType.INTEG) == (WireTransform(TransformType.INTEG, IntegId.HMAC_SHA2_256_128),)
    assert [t.id for t in first.of(TransformType.DH)] == [DhId.X25519, DhId.ECP256, DhId.MODP2048]
    assert not first.of(TransformType.ESN)


def test_esp_always_says_esn() -> None:
    gcm, cbc = offer((ESP_GCM, ESP_CBC), ESP, b"\0\0\1\0").proposals
    assert [t.id for t in gcm.of(TransformType.ESN)] == [EsnId.ESN, EsnId.NO_ESN]
    assert [t.id for t in cbc.of(TransformType.ESN)] == [EsnId.NO_ESN]
    assert gcm.spi == b"\0\0\1\0"


def test_no_key_length_where_there_is_only_one() -> None:
    (proposal,) = offer((Proposal(3, (Transform("chacha20_poly1305"),)),), ESP).proposals
    assert proposal.of(TransformType.ENCR) == (WireTransform(TransformType.ENCR, EncrId.CHACHA20_POLY1305),)


def test_our_order_decides() -> None:
    match = choose(offer((IKE_CBC, IKE_GCM), IKE), (IKE_GCM, IKE_CBC), IKE, Dh.REQUIRED)
    assert match is not None
    assert match.ike().encr == GCM
    assert match.wire.num == 2


def test_keeping_the_prf() -> None:
    sha384 = Transform("prf_hmac_sha2_384")
    both, only = replace(IKE_GCM, prf=(sha384, PRF)), replace(IKE_CBC, prf=(sha384,))
    assert keeping_prf((both, only), PRF) == (replace(both, prf=(PRF,)),)
    assert keeping_prf((only,), PRF) == ()


def test_the_group_of_the_ke_payload_saves_a_round_trip() -> None:
    match = choose(offer((IKE_GCM,), IKE), (IKE_GCM,), IKE, Dh.REQUIRED, int(DhId.MODP2048))
    assert match is not None and match.dh == MODP2048
    match = choose(offer((IKE_GCM,), IKE), (IKE_GCM,), IKE, Dh.REQUIRED, 9999)
    assert match is not None and match.dh == X25519


def test_key_length_must_be_the_same() -> None:
    assert (
        choose(offer((replace(ESP_GCM, encr=(Transform("aes_gcm_16", 128),)),), ESP), (ESP_GCM,), ESP, Dh.NEVER) is None
    )
    bare = esp(WireTransform(TransformType.ENCR, EncrId.AES_GCM_16), NO_ESN)
    assert choose(bare, (ESP_GCM,), ESP, Dh.NEVER) is None


def test_wrong_protocol_or_spi_size() -> None:
    assert choose(offer((IKE_GCM,), IKE), (ESP_GCM,), ESP, Dh.NEVER) is None
    assert choose(esp(ENCR, NO_ESN, spi=bytes(8)), (ESP_GCM,), ESP, Dh.NEVER) is None


def test_aead_with_integrity_none_is_answered_in_kind() -> None:
    none = WireTransform(TransformType.INTEG, IntegId.NONE)
    match = choose(esp(ENCR, none, NO_ESN), (ESP_GCM,), ESP, Dh.NEVER)
    assert match is not None and none in match.wire.transforms
    real = WireTransform(TransformType.INTEG, IntegId.HMAC_SHA1_96)
    assert choose(esp(ENCR, real, NO_ESN), (ESP_GCM,), ESP, Dh.NEVER) is None


def test_cbc_without_integrity_is_refused() -> None:
    cbc = WireTransform(TransformType.ENCR, EncrId.AES_CBC, 128)
    assert choose(esp(cbc, NO_ESN), (ESP_CBC,), ESP, Dh.NEVER) is None


def test_ike_proposal_without_group_or_prf_is_refused() -> None:
    # CVE-2016-5391
    for missing in (TransformType.DH, TransformType.PRF):
        (whole,) = offer((IKE_GCM,), IKE).proposals
        cut = Sa((replace(whole, transforms=tuple(t for t in whole.transforms if t.type != missing)),))
        assert choose(cut, (IKE_GCM,), IKE, Dh.REQUIRED) is None


def test_every_transform_number_there_could_be() -> None:
    # CVE-2016-3071, CVE-2024-3652, CVE-2014-9221
    (whole,) = offer((IKE_GCM,), IKE).proposals
    for kind in (1, 2, 3, 4, 5, 6, 200):
        for identity in [*range(1, 300), 1024, 1025, 65535]:
            others = tuple(t for t in whole.transforms if t.type != kind)
            strange = WireTransform(TransformType(kind), identity, None)
            found = choose(Sa((replace(whole, transforms=(*others, strange)),)), (IKE_GCM,), IKE, Dh.REQUIRED)
            known = (kind, identity) in {(2, 5), (4, 31), (4, 19), (4, 14)}
            assert (found is not None) is known, (kind, identity)


def test_unknown_attribute_makes_only_that_transform_unusable() -> None:
    odd = replace(ENCR, others=(Attribute(99, 1),))
    assert choose(esp(odd, NO_ESN), (ESP_GCM,), ESP, Dh.NEVER) is None
    assert choose(esp(odd, ENCR, NO_ESN), (ESP_GCM,), ESP, Dh.NEVER) is not None


def test_esn() -> None:
    yes = WireTransform(TransformType.ESN, EsnId.ESN)
    both = choose(esp(ENCR, NO_ESN, yes), (ESP_GCM,), ESP, Dh.NEVER)
    assert both is not None and both.esn and yes in both.wire.transforms
    assert choose(esp(ENCR, yes), (replace(ESP_GCM, esn=(False,)),), ESP, Dh.NEVER) is None
    silent = choose(esp(ENCR), (ESP_GCM,), ESP, Dh.NEVER)
    assert silent is not None and not silent.esn
    assert choose(esp(ENCR), (replace(ESP_GCM, esn=(True,)),), ESP, Dh.NEVER) is None


@pytest.mark.parametrize(
    ("own", "means", "offered", "ke", "expected"),
    [
        ((), Dh.NEVER, (), 0, "none"),
        ((), Dh.NEVER, (0, 31), 0, "none"),
        ((), Dh.NEVER, (31,), 0, "refused"),
        ((X25519,), Dh.REQUIRED, (31,), 31, "x25519"),
        ((X25519,), Dh.REQUIRED, (), 0, "refused"),
        ((X25519,), Dh.REQUIRED, (0, 31), 31, "x25519"),
        ((X25519,), Dh.REQUIRED, (19,), 19, "refused"),
        ((), Dh.WELCOME, (), 0, "none"),
        ((), Dh.WELCOME, (19,), 19, "ecp256"),
        ((), Dh.WELCOME, (0, 19), 0, "none"),
        ((), Dh.WELCOME, (0, 19), 19, "ecp256"),
        ((X25519,), Dh.WELCOME, (19,), 19, "refused"),
        ((), Dh.WELCOME, (2, 1025), 2, "refused"),
        ((), Dh.WELCOME, (0, 1025), 1025, "none"),
    ],
)
def test_groups(own: tuple[Transform, ...], means: Dh, offered: tuple[int, ...], ke: int, expected: str) -> None:
    groups = [WireTransform(TransformType.DH, g) for g in offered]
    match = choose(esp(ENCR, NO_ESN, *groups), (replace(ESP_GCM, dh=own),), ESP, means, ke)
    got = "refused" if match is None else match.dh.name if match.dh else "none"
    assert got == expected


def chosen(sa: Sa, mine: tuple[Proposal, ...], means: Dh = Dh.NEVER) -> Match:
    match = choose(sa, mine, ESP, means)
    assert match is not None
    return match


def test_accept_takes_what_was_offered() -> None:
    answer = Sa((chosen(offer((ESP_GCM, ESP_CBC), ESP, b"\0\0\1\0"), (ESP_CBC,)).wire,))
    match = accept(answer, (ESP_GCM, ESP_CBC), ESP, Dh.NEVER)
    assert (match.index, match.encr, match.integ) == (1, CBC, SHA2)


def test_accept_refuses_anything_else() -> None:
    mine = (ESP_GCM, ESP_CBC)
    good = chosen(offer(mine, ESP, b"\0\0\1\0"), mine).wire
    for bad in (
        Sa((good, good)),
        Sa((replace(good, num=3),)),
        Sa((replace(good, num=0),)),
        Sa((replace(good, num=2),)),
        Sa((replace(good, protocol=IKE),)),
        Sa((replace(good, transforms=(*good.transforms, WireTransform(TransformType.ESN, EsnId.NO_ESN))),)),
        Sa((replace(good, transforms=(*good.transforms, WireTransform(TransformType.DH, 31))),)),
        Sa((replace(good, transforms=()),)),
    ):
        with pytest.raises(IkeError, match="did not make") as caught:
            accept(bad, mine, ESP, Dh.NEVER)
        assert caught.value.notify == 14


def test_with_groups() -> None:
    own = replace(ESP_GCM, dh=(ECP256,))
    assert [p.dh for p in with_groups((own, ESP_CBC), Dh.REQUIRED, X25519)] == [(ECP256,), (X25519,)]
    assert [p.dh for p in with_groups((own, ESP_CBC), Dh.NEVER, X25519)] == [(), ()]


def test_numbers() -> None:
    assert number(Kind.PRF, PRF) == 5
    assert group_transform(14) == MODP2048
    assert group_transform(2) is None and group_transform(1025) is None
