# SPDX-License-Identifier: GPL-2.0-or-later
"""Choosing a proposal as responder, and proposals as text."""

from openswan.crypto.registry import Kind
from openswan.policy.algorithms import DEFAULT_ESP, DEFAULT_IKE, parse_esp, parse_ike
from openswan.policy.proposal import ESP, IKE, Proposal, Transform, choose, proposal_text, transform_text


def ike(text: str) -> tuple[Proposal, ...]:
    return parse_ike(text).proposals


def test_our_order_decides() -> None:
    ours = ike("aes256-sha2_256-dh31+dh14,aes128-sha1-dh14")
    theirs = ike("aes128+aes256-sha1+sha2_256-dh14+dh31")
    chosen = choose(theirs, ours)
    assert chosen is not None
    assert proposal_text(chosen) == "AES_CBC_256-HMAC_SHA2_256_128-HMAC_SHA2_256-X25519"


def test_second_proposal_when_the_first_does_not_fit() -> None:
    chosen = choose(ike("aes128-sha1-dh14"), ike("aes_gcm-sha1-dh14,aes128-sha1-dh14"))
    assert chosen is not None and chosen.encr == (Transform("aes_cbc", 128),)


def test_nothing_in_common() -> None:
    assert choose(ike("aes128-sha1-dh14"), ike("aes256-sha1-dh14")) is None
    assert choose(ike("aes128-sha1-dh14"), ike("aes128-sha1-dh31")) is None
    assert choose((), ike("aes128")) is None
    assert choose(parse_esp("aes128-sha1").proposals, ike("aes128-sha1")) is None


def test_aead_meets_only_aead() -> None:
    both = DEFAULT_IKE
    assert choose(both, both) == Proposal(
        IKE, (Transform("aes_gcm_16", 256),), (), (Transform("prf_hmac_sha2_512"),), (Transform("x25519"),)
    )
    # A peer that offers an integrity algorithm beside an AEAD breaks RFC 5282 8; we do not take that proposal.
    odd = Proposal(IKE, both[0].encr, both[1].integ, both[0].prf, both[0].dh)
    assert choose((odd,), both) is None


def test_esp_groups_and_sequence_numbers() -> None:
    plain, with_group = parse_esp("aes128-sha1").proposals, parse_esp("aes128-sha1;modp2048").proposals
    got = choose(with_group, plain)
    assert got is not None and got.dh == (Transform("modp2048"),)
    assert choose(plain, with_group) is None
    got = choose(plain, with_group, with_dh=False)
    assert got is not None and got.dh == ()
    long, either = parse_esp("aes128", (True,)).proposals, parse_esp("aes128", (True, False)).proposals
    assert choose(long, parse_esp("aes128", (False,)).proposals) is None
    got = choose(long, either)
    assert got is not None and got.esn == (True,)


def test_texts() -> None:
    assert transform_text(Kind.ENCR, Transform("aes_gcm_16", 256)) == "AES_GCM_16_256"
    assert transform_text(Kind.ENCR, Transform("unheard_of")) == "UNHEARD_OF"
    assert proposal_text(DEFAULT_ESP[0]) == "AES_GCM_16_256+AES_GCM_16_128-CHACHA20_POLY1305".replace("-C", "+C")
    assert DEFAULT_ESP[0].protocol == ESP
