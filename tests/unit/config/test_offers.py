# SPDX-License-Identifier: GPL-2.0-or-later
"""Algorithms of a conn: AH, extended sequence numbers, encapsulation."""

from openswan.policy.algorithms import DEFAULT_AH
from openswan.policy.proposal import AH
from tests.unit.config.conn import errors, one, warned


def test_ah() -> None:
    made = one("phase2=ah")
    assert {p.protocol for p in made.esp_proposals} == {AH} and not any(p.encr for p in made.esp_proposals)
    assert [p.integ for p in made.esp_proposals] == [p.integ for p in DEFAULT_AH]
    for body in ("phase2=ah;ah=sha1", "phase2=ah;phase2alg=sha1", "auth=ah;ah=hmac-sha1"):
        (proposal,) = one(body).esp_proposals
        assert [t.name for t in proposal.integ] == ["hmac_sha1_96"] and proposal.esn == (True, False)
    assert one("phase2=ah;ah=sha1").esp_text == "sha1"


def test_no_extended_numbers_without_replay_protection() -> None:
    assert {p.esn for p in one("replay-window=0").esp_proposals} == {(False,)}
    assert {p.esn for p in one("esn=no").esp_proposals} == {(False,)}
    assert {p.esn for p in one("esn=yes").esp_proposals} == {(True,)}


def test_encapsulation_and_its_older_name() -> None:
    assert one("").encapsulation == "auto" and one("encapsulation=no").encapsulation == "no"
    assert one("forceencaps=yes").encapsulation == one("encapsulation=yes").encapsulation == "yes"


def test_weak_algorithms_load_with_a_warning() -> None:
    [said] = warned("ike=3des-sha1-modp2048")
    assert "'3des_cbc' is weak" in said


def test_pfsgroup_is_the_group_of_what_names_none() -> None:
    def groups(body: str) -> list[list[str]]:
        return [[t.name for t in p.dh] for p in one(body).esp_proposals]

    assert groups("esp=aes256-sha2_256;pfsgroup=modp2048") == [["modp2048"]]
    assert groups("esp=aes256-sha2_256-modp3072,aes128-sha2_256;pfsgroup=modp2048") == [["modp3072"], ["modp2048"]]
    assert all(found == ["modp2048", "modp4096"] for found in groups('pfsgroup="modp2048 modp4096"'))
    assert "pfsgroup=modp9:" in errors("pfsgroup=modp9")[0]
