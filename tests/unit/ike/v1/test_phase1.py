# SPDX-License-Identifier: GPL-2.0-or-later
"""Phase 1 proposals: the offer, the peer's order, a line for each refusal, the answer."""

from __future__ import annotations

import pytest

from openswan.base.errors import IkeError
from openswan.ike.v1.life import Life
from openswan.ike.v1.phase1 import MOST_LINES, ChosenIsakmp, Outcome, Terms, accept, choose, offer
from openswan.policy.algorithms import MOST_OFFERED, V1_DEFAULT_IKE, V1_DH, parse_ike
from openswan.policy.proposal import Transform
from openswan.wire.attribute import Attribute
from openswan.wire.cursor import Reader
from openswan.wire.v1.numbers import AuthMethod, NotifyType, OakleyAttribute, ProtocolId
from openswan.wire.v1.sa import Proposal, Sa
from openswan.wire.v1.sa import Transform as WireTransform

HOUR = Life(3600)
PSK, RSA = AuthMethod.PRE_SHARED_KEY, AuthMethod.RSA_SIG
ENCR, HASH, AUTH, GROUP = 1, 2, 3, 4
GROUP_TYPE, LIFE_TYPE, DURATION, PRF, BITS = 5, 11, 12, 13, 14
AES128_SHA1_2048: dict[int, int | bytes] = {ENCR: 7, BITS: 128, HASH: 2, AUTH: 1, GROUP: 14}


def terms(text: str = "", *methods: AuthMethod, life: Life = HOUR) -> Terms:
    proposals = parse_ike(text, ikev1=True).proposals if text else V1_DEFAULT_IKE
    return Terms(proposals, methods or (PSK,), life)


def transform(values: dict[int, int | bytes], num: int = 1) -> WireTransform:
    return WireTransform(num, 1, tuple(Attribute(kind, value) for kind, value in values.items()))


def offered(*sets: dict[int, int | bytes]) -> Sa:
    transforms = tuple(transform(one, num) for num, one in enumerate(sets))
    return Sa((Proposal(0, ProtocolId.ISAKMP, b"", transforms),))


def judged(change: dict[int, int | bytes | None], allowed: Terms | None = None) -> Outcome:
    values = {kind: value for kind, value in (AES128_SHA1_2048 | change).items() if value is not None}
    return choose(offered(values), allowed or terms())


def test_the_default_offer_is_small_and_holds_every_group() -> None:
    sa = offer(terms())
    [proposal] = sa.proposals
    assert len(proposal.transforms) == MOST_OFFERED == 24
    assert len(sa.emit()) < 1024
    assert [one.num for one in proposal.transforms] == list(range(1, 25))
    groups = {a.value for one in proposal.transforms for a in one.attributes if a.type == GROUP}
    assert groups == set(range(14, 22))
    assert Sa.parse(Reader(sa.emit())) == sa


def test_what_is_not_offered_by_default_is_taken() -> None:
    for dh in V1_DH:
        text = f"aes128-sha2_512-{dh.name}"
        assert choose(offer(terms(text)), terms()).chosen == ChosenIsakmp(
            Transform("aes_cbc", 128), Transform("hmac_sha2_512_256"), PSK, dh, Life(3600)
        )


def test_the_attributes_of_one_transform() -> None:
    [one] = offer(terms("aes128-sha1-modp2048", life=Life(86400))).proposals[0].transforms
    assert [(a.type, a.value) for a in one.attributes] == [
        (ENCR, 7), (BITS, 128), (HASH, 2), (AUTH, 1), (GROUP, 14), (LIFE_TYPE, 1), (DURATION, b"\0\1\x51\x80"),
    ]  # fmt: skip
    [three] = offer(terms("3des-md5-modp1024")).proposals[0].transforms
    assert BITS not in [a.type for a in three.attributes]


def test_both_methods_are_offered_the_better_one_first() -> None:
    sa = offer(terms("aes128-sha1-modp2048", RSA, PSK))
    assert [a.value for one in sa.proposals[0].transforms for a in one.attributes if a.type == AUTH] == [3, 1]


def test_the_peers_order_decides() -> None:
    des = AES128_SHA1_2048 | {ENCR: 1}
    first, second = AES128_SHA1_2048 | {BITS: 128}, AES128_SHA1_2048 | {BITS: 256}
    for order in ((des, first, second), (des, second, first)):
        outcome = choose(offered(*order), terms())
        assert outcome.chosen is not None and outcome.chosen.encr.key_bits == order[1][BITS]
        assert outcome.answer == Sa((Proposal(0, ProtocolId.ISAKMP, b"", (transform(order[1], 1),)),))
        assert outcome.refused == ("OAKLEY_DES_CBC is not supported.  Attribute OAKLEY_ENCRYPTION_ALGORITHM",)


def test_aes_without_a_key_length_has_128_bits() -> None:
    outcome = judged({BITS: None})
    assert outcome.chosen is not None and outcome.chosen.encr == Transform("aes_cbc", 128)
    assert str(outcome.chosen) == "auth=OAKLEY_PRESHARED_KEY cipher=aes_128 prf=sha1 group=modp2048"
    assert outcome.chosen.hash_name == "sha1"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({ENCR: 1}, "OAKLEY_DES_CBC is not supported.  Attribute OAKLEY_ENCRYPTION_ALGORITHM"),
        ({ENCR: 2}, "OAKLEY_IDEA_CBC is not supported.  Attribute OAKLEY_ENCRYPTION_ALGORITHM"),
        ({ENCR: 0}, "0?? is not supported.  Attribute OAKLEY_ENCRYPTION_ALGORITHM"),
        ({ENCR: 65535}, "65535?? is not supported.  Attribute OAKLEY_ENCRYPTION_ALGORITHM"),
        ({HASH: 3}, "OAKLEY_TIGER is not supported.  Attribute OAKLEY_HASH_ALGORITHM"),
        ({AUTH: 2}, "Pluto does not support OAKLEY_DSS_SIG authentication.  Attribute OAKLEY_AUTHENTICATION_METHOD"),
        ({AUTH: 3}, "policy does not allow OAKLEY_RSA_SIG authentication.  Attribute OAKLEY_AUTHENTICATION_METHOD"),
        ({GROUP: 1}, "OAKLEY_GROUP 1 not supported.  Attribute OAKLEY_GROUP_DESCRIPTION"),
        ({GROUP: 22}, "OAKLEY_GROUP 22 not supported.  Attribute OAKLEY_GROUP_DESCRIPTION"),
        ({GROUP: 1025}, "OAKLEY_GROUP 1025 not supported.  Attribute OAKLEY_GROUP_DESCRIPTION"),
        (
            {GROUP: 2},
            "Oakley Transform [OAKLEY_AES_CBC (128), OAKLEY_SHA1, OAKLEY_GROUP_MODP1024] refused due to strict flag",
        ),
        (
            {ENCR: 5, BITS: None, HASH: 1},
            "Oakley Transform [OAKLEY_3DES_CBC, OAKLEY_MD5, OAKLEY_GROUP_MODP2048] refused due to strict flag",
        ),
        (
            {LIFE_TYPE: 1, DURATION: b"\0\1\x51\x81"},
            "peer requested 86401 seconds which exceeds our limit 86400 seconds."
            "  Attribute OAKLEY_LIFE_DURATION (variable length)",
        ),
        ({LIFE_TYPE: 1}, "a life type of SECONDS without a duration.  Attribute OAKLEY_LIFE_DURATION"),
        ({GROUP: None}, "missing mandatory attribute(s) GROUP_DESCRIPTION in Oakley Transform 0"),
        ({ENCR: None, AUTH: None}, "missing mandatory attribute(s) ENCRYPTION_ALGORITHM+AUTHENTICATION_METHOD in"
         " Oakley Transform 0"),
        ({PRF: 1}, "unsupported OAKLEY attribute.  Attribute OAKLEY_PRF"),
        ({GROUP_TYPE: 1}, "unsupported OAKLEY attribute.  Attribute OAKLEY_GROUP_TYPE"),
        ({99: 1}, "unsupported OAKLEY attribute.  Attribute 99??"),
        ({GROUP: b"\0\x0e"}, "unsupported OAKLEY attribute.  Attribute OAKLEY_GROUP_DESCRIPTION (variable length)"),
    ],
)  # fmt: skip
def test_a_line_for_each_refusal(change: dict[int, int | bytes | None], line: str) -> None:
    assert judged(change) == Outcome(None, None, (line,))


@pytest.mark.parametrize("bits", [0, 1, 7, 64, 127, 129, 65535])
def test_key_lengths_that_are_none(bits: int) -> None:
    """CVE-2011-3380, CVE-2005-3671."""
    assert judged({BITS: bits}).refused == (f"OAKLEY_AES_CBC has no {bits}-bit keys.  Attribute OAKLEY_KEY_LENGTH",)
    of_3des = judged({ENCR: 5, BITS: bits}, terms("3des-sha1-modp2048")).refused
    assert of_3des == ("OAKLEY_3DES_CBC has no key length to choose.  Attribute OAKLEY_KEY_LENGTH",)


def test_a_method_that_cannot_be_done_says_why() -> None:
    why = "Can't authenticate: no preshared key found for `@me' and `@him'"
    outcome = judged({}, Terms(V1_DEFAULT_IKE, (PSK,), Life(3600), ((PSK, why),)))
    assert outcome.refused == (f"{why}.  Attribute OAKLEY_AUTHENTICATION_METHOD",)


def test_an_attribute_stands_once() -> None:
    twice = WireTransform(3, 1, (*transform(AES128_SHA1_2048).attributes, Attribute(ENCR, 7)))
    outcome = choose(Sa((Proposal(0, ProtocolId.ISAKMP, b"", (twice,)),)), terms())
    assert outcome.refused == ("repeated OAKLEY_ENCRYPTION_ALGORITHM attribute in Oakley Transform 3",)


def test_lines_are_bounded_and_said_once() -> None:
    many = choose(offered(*(AES128_SHA1_2048 | {GROUP: 100 + n} for n in range(255))), terms())
    assert len(many.refused) == MOST_LINES
    assert many.refused[-1] == f"{255 - MOST_LINES + 1} more Oakley Transforms were refused"
    same = choose(offered(*(AES128_SHA1_2048 | {ENCR: 1} for _ in range(255))), terms())
    assert len(same.refused) == 1


def test_lives() -> None:
    for change, want in (
        ({}, Life(3600)),
        ({LIFE_TYPE: 1, DURATION: 600}, Life(600)),
        ({LIFE_TYPE: 1, DURATION: b"\0\1\x51\x80"}, Life(3600)),
        ({LIFE_TYPE: 2, DURATION: 1000}, Life(3600, 1000)),
    ):
        chosen = judged(dict(change)).chosen
        assert chosen is not None and chosen.life == want


@pytest.mark.parametrize(
    ("sa", "notify"),
    [
        (Sa(offered(AES128_SHA1_2048).proposals * 2), NotifyType.BAD_PROPOSAL_SYNTAX),
        (
            Sa((Proposal(0, ProtocolId.ESP, b"", (transform(AES128_SHA1_2048),)),)),
            NotifyType.INVALID_PROTOCOL_ID,
        ),
    ],
)
def test_one_proposal_for_isakmp(sa: Sa, notify: NotifyType) -> None:
    for attempt in (lambda: choose(sa, terms()), lambda: accept(sa, offer(terms()), terms())):
        with pytest.raises(IkeError) as caught:
            attempt()
        assert caught.value.notify == notify


def test_another_transform_than_key_ike() -> None:
    other = WireTransform(1, 9, transform(AES128_SHA1_2048).attributes)
    outcome = choose(Sa((Proposal(0, ProtocolId.ISAKMP, b"", (other,)),)), terms())
    assert outcome.refused == ("expected KEY_IKE but found 9 in Oakley Transform 1",)


def test_the_initiator_takes_what_it_offered() -> None:
    ours = terms("aes256-sha1-modp2048,aes128-sha1-modp2048")
    outcome = choose(offer(ours), terms("aes128-sha1-modp2048"))
    assert outcome.answer is not None and outcome.chosen is not None
    assert accept(outcome.answer, offer(ours), ours) == outcome.chosen
    [taken] = outcome.answer.proposals[0].transforms
    renumbered = WireTransform(7, taken.id, tuple(reversed(taken.attributes[:5])) + taken.attributes[5:])
    assert accept(Sa((Proposal(1, ProtocolId.ISAKMP, b"", (renumbered,)),)), offer(ours), ours) == outcome.chosen


def test_a_life_of_the_responders_own() -> None:
    """RFC 2407 4.5.4 would have it say RESPONDER_LIFETIME; some write it here."""
    ours = terms("aes128-sha1-modp2048")
    for seconds, want in ((600, 600), (7200, 3600)):
        answer = offered(AES128_SHA1_2048 | {LIFE_TYPE: 1, DURATION: seconds})
        assert accept(answer, offer(ours), ours).life == Life(want)


@pytest.mark.parametrize("change", [{BITS: 256}, {GROUP: 15}, {HASH: 4}, {AUTH: 3}, {BITS: None}, {PRF: 1}])
def test_nothing_else_is_accepted(change: dict[int, int | None]) -> None:
    ours = terms("aes128-sha1-modp2048")
    values = {kind: value for kind, value in (AES128_SHA1_2048 | change).items() if value is not None}
    with pytest.raises(IkeError, match="did not offer"):
        accept(offered(values), offer(ours), ours)
    with pytest.raises(IkeError, match="more than one"):
        accept(offered(AES128_SHA1_2048, AES128_SHA1_2048), offer(ours), ours)


def test_numbers_are_the_wires() -> None:
    assert (OakleyAttribute.ENCRYPTION_ALGORITHM, OakleyAttribute.KEY_LENGTH) == (ENCR, BITS)
