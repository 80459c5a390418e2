# SPDX-License-Identifier: GPL-2.0-or-later
"""Phase 2 proposals: ESP, AH, IPComp beside them, PFS groups, modes, a line for each refusal, the answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.errors import IkeError
from openswan.ike.policy import ChosenChild
from openswan.ike.v1.life import Life
from openswan.ike.v1.phase2 import MOST_LINES, Outcome, Terms, accept, choose, offer
from openswan.policy.algorithms import V1_DEFAULT_AH, V1_DEFAULT_ESP, parse_ah, parse_esp
from openswan.policy.proposal import Transform
from openswan.wire.attribute import Attribute
from openswan.wire.cursor import Reader
from openswan.wire.v1.numbers import Encapsulation, NotifyType, ProtocolId
from openswan.wire.v1.sa import Proposal, Sa
from openswan.wire.v1.sa import Transform as WireTransform

LIFE_TYPE, DURATION, GROUP, MODE, AUTH, BITS, ROUNDS, DICT, ESN = 1, 2, 3, 4, 5, 6, 7, 8, 11
AES, SHA1, SHA256, GCM = 12, 2, 5, 20
AES128_SHA1: dict[int, int | bytes] = {MODE: 1, BITS: 128, AUTH: SHA1}
HOURS = Life(28800)
MODP2048 = Transform("modp2048")
TUNNEL = (Encapsulation.TUNNEL,)
ESP, AH, IPCOMP = ProtocolId.ESP, ProtocolId.AH, ProtocolId.IPCOMP
SPI, OUR_SPI = b"\x01\x02\x03\x04", 0xA0B0C0D0


def terms(
    text: str = "", *, ah: bool = False, esn: tuple[bool, ...] = (False,), group: Transform | None = None
) -> Terms:
    if ah:
        proposals = parse_ah(text, esn, ikev1=True).proposals if text else V1_DEFAULT_AH
    else:
        proposals = parse_esp(text, esn, ikev1=True).proposals if text else V1_DEFAULT_ESP
    return Terms("net-net", "192.0.2.1", proposals, TUNNEL, HOURS, group)


def proposal(
    *sets: dict[int, int | bytes], protocol: ProtocolId = ESP, id: int = AES, spi: bytes = SPI, num: int = 1
) -> Proposal:
    transforms = tuple(
        WireTransform(n, id, tuple(Attribute(kind, value) for kind, value in one.items())) for n, one in enumerate(sets)
    )
    return Proposal(num, protocol, spi, transforms)


def judged(
    change: dict[int, int | bytes | None], allowed: Terms | None = None, *, id: int = AES, protocol: ProtocolId = ESP
) -> Outcome:
    values = {kind: value for kind, value in (AES128_SHA1 | change).items() if value is not None}
    return choose(Sa((proposal(values, id=id, protocol=protocol),)), allowed or terms())


def test_the_default_offer() -> None:
    sa = offer(terms(), OUR_SPI)
    [one] = sa.proposals
    assert (one.protocol, one.spi, one.num) == (ESP, b"\xa0\xb0\xc0\xd0", 1)
    assert [t.id for t in one.transforms] == [GCM, GCM, *[AES] * 6]
    assert Sa.parse(Reader(sa.emit())) == sa and len(sa.emit()) < 400
    assert all(
        Attribute(MODE, 1) in t.attributes and Attribute(DURATION, 28800) in t.attributes for t in one.transforms
    )
    assert not [a for t in one.transforms[:2] for a in t.attributes if a.type == AUTH]


def test_one_group_for_all_of_an_offer() -> None:
    """RFC 2409 5.5: there is one KE payload."""
    sa = offer(terms(group=MODP2048), OUR_SPI, 4000)
    assert all(Attribute(GROUP, 14) in t.attributes for one in sa.proposals for t in one.transforms)
    assert [(one.num, one.protocol) for one in sa.proposals] == [(1, ESP), (1, IPCOMP), (2, ESP)]
    assert sa.proposals[1].spi == b"\x0f\xa0"


def test_agreement_from_end_to_end() -> None:
    ours = terms("aes128-sha1")
    outcome = choose(offer(terms(), OUR_SPI), ours)
    chosen = outcome.chosen
    assert chosen is not None
    assert chosen.child == ChosenChild(Transform("aes_cbc", 128), Transform("hmac_sha1_96"), False)
    assert (chosen.spi, chosen.life, chosen.mode) == (OUR_SPI, HOURS, Encapsulation.TUNNEL)
    assert len(outcome.refused) == 7
    answer = chosen.answer(0x01020304)
    assert answer.proposals[0].spi == SPI and len(answer.proposals[0].transforms) == 1
    assert accept(answer, offer(terms(), OUR_SPI), terms()).child == chosen.child
    assert accept(answer, offer(terms(), OUR_SPI), terms()).spi == 0x01020304


def test_aes_without_a_key_length_has_128_bits() -> None:
    chosen = judged({BITS: None}).chosen
    assert chosen is not None and chosen.child.encr == Transform("aes_cbc", 128)


def test_aead_brings_its_integrity() -> None:
    chosen = judged({AUTH: None, BITS: 256}, id=GCM).chosen
    assert chosen is not None and chosen.child == ChosenChild(Transform("aes_gcm_16", 256), None, False)
    assert judged({BITS: 256}, id=GCM).refused == (
        "ESP_AES_GCM_16 brings its own integrity, AUTH_ALGORITHM_HMAC_SHA1 does not go with it",
    )


STRICT = "refused due to strict flag"


@pytest.mark.parametrize(
    ("id", "change", "line"),
    [
        (2, {BITS: None}, "unsupported ESP Transform ESP_DES from 192.0.2.1"),
        (1, {BITS: None}, "unsupported ESP Transform ESP_DES_IV64 from 192.0.2.1"),
        (0, {}, "unsupported ESP Transform 0?? from 192.0.2.1"),
        (AES, {AUTH: 3}, "unsupported ESP auth alg AUTH_ALGORITHM_DES_MAC from 192.0.2.1"),
        (AES, {AUTH: None}, "unsupported ESP auth alg AUTH_ALGORITHM_NONE from 192.0.2.1"),
        (AES, {AUTH: 0}, "unsupported ESP auth alg AUTH_ALGORITHM_NONE from 192.0.2.1"),
        (AES, {AUTH: 1}, f"IPsec Transform [ESP_AES (128), AUTH_ALGORITHM_HMAC_MD5] {STRICT}"),
        (3, {BITS: None}, f"IPsec Transform [ESP_3DES, AUTH_ALGORITHM_HMAC_SHA1] {STRICT}"),
        (11, {BITS: None}, f"IPsec Transform [ESP_NULL, AUTH_ALGORITHM_HMAC_SHA1] {STRICT}"),
        (AES, {ESN: 1}, f"IPsec Transform [ESP_AES (128), AUTH_ALGORITHM_HMAC_SHA1, ESN] {STRICT}"),
        (AES, {ESN: 0}, "unknown EXTENDED_SEQUENCE_NUMBER 0 in IPSec SA"),
        (AES, {MODE: None}, "IPsec Transform must specify ENCAPSULATION_MODE"),
        (AES, {MODE: 2}, 'TRANSPORT is not the ENCAPSULATION_MODE that policy for "net-net" wants'),
        (AES, {MODE: 3}, 'UDP_TUNNEL is not the ENCAPSULATION_MODE that policy for "net-net" wants'),
        (AES, {MODE: 99}, "unknown ENCAPSULATION_MODE 99 in IPSec SA"),
        (AES, {MODE: 0}, "unknown ENCAPSULATION_MODE 0 in IPSec SA"),
        (AES, {GROUP: 1}, "OAKLEY_GROUP 1 not supported for PFS"),
        (AES, {GROUP: 22}, "OAKLEY_GROUP 22 not supported for PFS"),
        (AES, {ROUNDS: 5}, "unsupported IPsec attribute KEY_ROUNDS in Transform 0"),
        (AES, {DICT: 5}, "unsupported IPsec attribute COMPRESS_DICT_SIZE in Transform 0"),
        (AES, {99: 5}, "unsupported IPsec attribute 99?? in Transform 0"),
        (AES, {AUTH: b"\0\2"}, "unsupported IPsec attribute AUTH_ALGORITHM in Transform 0"),
        (AES, {LIFE_TYPE: 1}, "a life type of SECONDS without a duration in IPsec SA"),
    ],
)
def test_a_line_for_each_refusal(id: int, change: dict[int, int | bytes | None], line: str) -> None:
    assert judged(change, id=id) == Outcome(None, (line,))


@pytest.mark.parametrize("bits", [0, 1, 7, 64, 127, 129, 65535])
def test_key_lengths_that_are_none(bits: int) -> None:
    for id, name in ((AES, "ESP_AES"), (GCM, "ESP_AES_GCM_16")):
        assert judged({BITS: bits}, id=id).refused == (
            f"unsupported key length {bits} of ESP Transform {name} from 192.0.2.1",
        )
    assert judged({BITS: bits}, terms("3des-sha1"), id=3).chosen is None


@pytest.mark.parametrize("auth", [None, SHA1])
@pytest.mark.parametrize("everything", [False, True])
def test_every_transform_number_is_answered(auth: int | None, everything: bool) -> None:
    """CVE-2024-3652: what has no keys to derive is refused, or authenticates."""
    texts = "aes_gcm,aes_ccm,aes_ctr-sha1,null_auth_aes_gmac,3des-sha1,null-sha1,aes-sha1"
    allowed = terms(texts) if everything else terms()
    for id in range(256):
        outcome = judged({AUTH: auth, BITS: None}, allowed, id=id)
        if outcome.chosen is not None:
            child = outcome.chosen.child
            assert child.encr is not None and (child.integ is not None or auth is None)
            assert not (child.encr.name == "null" and child.integ is None)
        else:
            assert outcome.refused


def test_repeated_attributes() -> None:
    twice = WireTransform(3, AES, (Attribute(MODE, 1), Attribute(MODE, 1)))
    outcome = choose(Sa((Proposal(1, ESP, SPI, (twice,)),)), terms())
    assert outcome.refused == ("repeated ENCAPSULATION_MODE attribute in IPsec Transform 3",)


def test_pfs() -> None:
    wants = terms(group=MODP2048)
    assert judged({}, wants).refused == ("we require PFS but Quick I1 SA specifies no GROUP_DESCRIPTION",)
    assert judged({GROUP: 15}, wants).refused == (
        'OAKLEY_GROUP_MODP3072 is not what policy for "net-net" wants for PFS',
    )
    for allowed in (wants, terms()):
        chosen = judged({GROUP: 14}, allowed).chosen
        assert chosen is not None and chosen.child.dh == MODP2048
    without = judged({}).chosen
    assert without is not None and without.child.dh is None


def test_lives_are_the_shorter_ones() -> None:
    chosen = judged({LIFE_TYPE: 1, DURATION: b"\0\0\x0e\x10"}).chosen
    assert chosen is not None and chosen.life == Life(3600)
    values = (Attribute(MODE, 1), Attribute(BITS, 128), Attribute(AUTH, SHA1), Attribute(LIFE_TYPE, 1),
              Attribute(DURATION, b"\xff" * 4), Attribute(LIFE_TYPE, 2), Attribute(DURATION, b"\xff" * 4))  # fmt: skip
    outcome = choose(Sa((Proposal(1, ESP, SPI, (WireTransform(1, AES, values),)),)), terms())
    assert outcome.chosen is not None and outcome.chosen.life == Life(28800, 0xFFFFFFFF)


def test_modes_a_nat_brings() -> None:
    wide = replace(terms(), modes=(Encapsulation.UDP_TUNNEL_DRAFT, Encapsulation.UDP_TUNNEL))
    assert Attribute(MODE, 61443) in offer(wide, OUR_SPI).proposals[0].transforms[0].attributes
    for mode in (3, 61443):
        chosen = judged({MODE: mode}, wide).chosen
        assert chosen is not None and chosen.mode == mode


def test_extended_sequence_numbers() -> None:
    """RFC 4304."""
    either = terms("aes128-sha1", esn=(True, False))
    assert [Attribute(ESN, 1) in t.attributes for t in offer(either, OUR_SPI).proposals[0].transforms] == [True, False]
    chosen = judged({ESN: 1}, either).chosen
    assert chosen is not None and chosen.child.esn
    assert judged({}, terms("aes128-sha1", esn=(True,))).chosen is None


@pytest.mark.parametrize(("id", "auth", "name"), [(3, 2, "hmac_sha1_96"), (5, 5, "hmac_sha2_256_128")])
def test_ah(id: int, auth: int, name: str) -> None:
    allowed = terms(ah=True)
    chosen = judged({BITS: None, AUTH: auth}, allowed, id=id, protocol=AH).chosen
    assert chosen is not None and chosen.child == ChosenChild(None, Transform(name), False)
    for wrong in (None, 1):
        assert "unsupported AH Transform" in judged({BITS: None, AUTH: wrong}, allowed, id=id, protocol=AH).refused[0]
    assert "unsupported IPsec attribute KEY_LENGTH" in judged({AUTH: auth}, allowed, id=id, protocol=AH).refused[0]
    assert accept(offer(terms("sha1", ah=True), 999), offer(allowed, OUR_SPI), allowed).child.encr is None


def test_protocols_that_are_not_wanted() -> None:
    assert judged({}, terms(ah=True)).refused == ('policy for "net-net" wants AH, not ESP, in IPsec SA',)
    both = Sa((proposal(AES128_SHA1), proposal({MODE: 1, AUTH: 2}, protocol=AH, id=3)))
    assert choose(both, terms()).refused == ('policy for "net-net" wants ESP, not ESP+AH, in IPsec SA',)
    twice = Sa((proposal(AES128_SHA1), proposal(AES128_SHA1)))
    assert choose(twice, terms()).refused == ('policy for "net-net" wants ESP, not ESP+ESP, in IPsec SA',)
    isakmp = Sa((proposal(AES128_SHA1, protocol=ProtocolId.ISAKMP),))
    assert choose(isakmp, terms()).refused == ('policy for "net-net" wants ESP, not ISAKMP, in IPsec SA',)


@pytest.mark.parametrize("spi", [b"", b"\0\0\0\0", b"\0\0\0\xff", b"\1\2\3", bytes(16), b"\1" * 8])
def test_spis_that_are_none(spi: bytes) -> None:
    outcome = choose(Sa((proposal(AES128_SHA1, spi=spi),)), terms())
    assert outcome.refused == (f"invalid SPI 0x{spi.hex()} in IPsec SA",)


def test_the_first_bundle_that_will_do() -> None:
    sa = Sa((
        proposal({MODE: 1, AUTH: 2}, protocol=AH, id=3, num=1),
        proposal(AES128_SHA1 | {AUTH: 1}, AES128_SHA1, num=2),
        proposal(AES128_SHA1 | {BITS: 256}, num=3),
    ))  # fmt: skip
    outcome = choose(sa, terms())
    assert outcome.chosen is not None and outcome.chosen.child.encr == Transform("aes_cbc", 128)
    assert outcome.chosen.answer(300).proposals[0].num == 2
    assert len(outcome.refused) == 2


def test_proposals_of_one_number_stand_together() -> None:
    sa = Sa((proposal(AES128_SHA1, num=1), proposal(AES128_SHA1, num=2), proposal(AES128_SHA1, num=1)))
    for attempt in (lambda: choose(sa, terms()), lambda: accept(sa, offer(terms(), 300), terms())):
        with pytest.raises(IkeError, match="do not stand together") as caught:
            attempt()
        assert caught.value.notify == NotifyType.BAD_PROPOSAL_SYNTAX


def compressed(group: int = 0, beside: int = 0, cpi: bytes = b"\x12\x34", id: int = 2) -> Sa:
    esp = AES128_SHA1 | ({GROUP: group} if group else {})
    comp: dict[int, int | bytes] = {MODE: 1} | ({GROUP: beside} if beside else {})
    return Sa((proposal(esp), proposal(comp, protocol=IPCOMP, id=id, spi=cpi)))


def test_compression() -> None:
    taking = replace(terms(), compress=True)
    for cpi in (b"\x12\x34", b"\0\0\x12\x34"):
        chosen = choose(compressed(cpi=cpi), taking).chosen
        assert chosen is not None and chosen.cpi == 0x1234
        answer = chosen.answer(OUR_SPI, 4000)
        assert [(one.protocol, one.spi) for one in answer.proposals] == [
            (ESP, b"\xa0\xb0\xc0\xd0"),
            (IPCOMP, b"\x0f\xa0"),
        ]
    assert choose(compressed(), terms()).refused == (
        'compression proposed by 192.0.2.1, but policy for "net-net" forbids it',
    )
    assert choose(compressed(id=3), taking).refused == ("unsupported IPCOMP compression algorithm IPCOMP_LZS",)
    for cpi in (b"\0\2", b"\xff\xff", b"", b"\0\1\x12\x34", b"\1\2\3"):
        assert "invalid IPCOMP CPI" in choose(compressed(cpi=cpi), taking).refused[0]


def test_compression_is_agreed_from_end_to_end() -> None:
    taking = replace(terms(group=MODP2048), compress=True)
    offered = offer(taking, OUR_SPI, 4000)
    chosen = choose(offered, taking).chosen
    assert chosen is not None and chosen.cpi == 4000
    assert accept(chosen.answer(777, 5000), offered, taking).cpi == 5000
    plain = choose(Sa(offered.proposals[2:]), taking).chosen
    assert plain is not None and not accept(plain.answer(777), offered, taking).cpi


def test_groups_are_equal_in_a_bundle() -> None:
    taking = replace(terms(), compress=True)
    assert choose(compressed(14, 14), taking).chosen is not None
    assert choose(compressed(14, 0), taking).chosen is not None
    for ours, beside in ((14, 15), (0, 14)):
        assert choose(compressed(ours, beside), taking).refused == (
            "GROUP_DESCRIPTION inconsistent with that of PROTO_IPSEC_ESP in IPsec SA",
        )


def test_lines_are_bounded_and_said_once() -> None:
    many = Sa((proposal(*(AES128_SHA1 | {AUTH: 100 + n} for n in range(100))),))
    assert len(choose(many, terms()).refused) == MOST_LINES
    same = Sa((proposal(*(AES128_SHA1 for _ in range(100)), id=2),))
    assert len(choose(same, terms()).refused) == 1


@pytest.mark.parametrize("change", [{BITS: 256}, {AUTH: SHA256}, {GROUP: 14}, {MODE: 3}, {ESN: 1}])
def test_the_initiator_takes_only_what_it_offered(change: dict[int, int | bytes]) -> None:
    ours = terms("aes128-sha1")
    offered = offer(ours, OUR_SPI)
    with pytest.raises(IkeError, match="did not make"):
        accept(Sa((proposal(AES128_SHA1 | change),)), offered, ours)
    assert accept(Sa((proposal(AES128_SHA1),)), offered, ours).spi == 0x01020304
    assert accept(Sa((proposal(AES128_SHA1 | {LIFE_TYPE: 1, DURATION: 60}),)), offered, ours).life == Life(60)
    with pytest.raises(IkeError, match="more than one"):
        accept(Sa((proposal(AES128_SHA1, AES128_SHA1),)), offered, ours)
    with pytest.raises(IkeError, match="invalid SPI"):
        accept(Sa((proposal(AES128_SHA1, spi=b"\0\0\0\1"),)), offered, ours)
    with pytest.raises(IkeError, match="did not make"):
        accept(compressed(), offered, ours)
