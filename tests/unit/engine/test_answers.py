# SPDX-License-Identifier: GPL-2.0-or-later
"""What a responder answers: candidates, identities, selectors."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.address import Endpoint
from openswan.base.errors import IkeError
from openswan.engine.answers import Answers
from openswan.ike.policy import AuthQuestion, ChildQuestion, ChosenIke
from openswan.policy.connection import Auth
from openswan.policy.identity import parse_identity
from openswan.policy.proposal import Transform
from openswan.policy.selector import Selector
from openswan.policy.virtual import Virtual
from tests.sim.net import Net
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, SimHost, conn, end, psk, tunnel

LOCAL, REMOTE = Endpoint(ip_address(WEST), 500), Endpoint(ip_address(EAST), 500)
CHOSEN = ChosenIke(Transform("aes_gcm_16", 128), None, Transform("prf_hmac_sha2_256"), Transform("x25519"))


def answers(*policies) -> Answers:  # type: ignore[no-untyped-def]
    host = SimHost(Net(0), "west", WEST, 0, psk("@west", "%any"))
    host.load(*policies)
    return host.pluto.brain.answers


def claim(who: str, me: str | None = None, method: Auth = Auth.PSK, remote: Endpoint = REMOTE) -> AuthQuestion:
    mine = parse_identity(me) if me else None
    return AuthQuestion(LOCAL, remote, parse_identity(who), mine, method, False, CHOSEN)


def selector(net: str, **more: int) -> Selector:
    from ipaddress import ip_network

    return Selector.of(ip_network(net), **more)


def ask(it: Answers, mine: str, theirs: str, who: str = "@east") -> str:
    ike = it.authenticate(claim(who))
    question = ChildQuestion(ike, parse_identity(who), LOCAL, REMOTE, (selector(mine),), (selector(theirs),))
    return it.child(question).name


def test_candidates_are_few_however_many_connections_there_are() -> None:
    many = [conn(f"c{n}", end(WEST, f"10.1.{n}.0/24", "@west"), end(EAST, EAST_NET, "@east")) for n in range(100)]
    it = answers(*many, conn("other", end(WEST, "10.9.0.0/24", "@west"), end(EAST, EAST_NET), encapsulation="yes"))
    assert len(it.ike_candidates(LOCAL, REMOTE)) == 2


def test_nobody_is_authorized() -> None:
    with pytest.raises(IkeError, match="no connection has been authorized") as caught:
        answers().ike_candidates(LOCAL, REMOTE)
    assert caught.value.notify == 14


def test_the_claimed_identity_chooses_and_exact_beats_open() -> None:
    anybody = conn("anybody", end(WEST, WEST_NET, "@west"), end("%any", EAST_NET))
    wild = conn("wild", end(WEST, WEST_NET, "@west"), end("%any", EAST_NET, "@*.example.org"))
    joe = conn("joe", end(WEST, WEST_NET, "@west"), end("%any", EAST_NET, "@joe.example.org"))
    it = answers(anybody, wild, joe)
    assert it.authenticate(claim("@JOE.example.org")).name in ("joe", "wild")
    assert it.authenticate(claim("@joe.example.org")).name == "joe"
    assert it.authenticate(claim("@ann.example.org")).name in ("wild", "anybody")
    assert it.authenticate(claim("@stranger")).name == "anybody"


def test_who_claims_something_else_or_proves_it_otherwise_is_refused() -> None:
    it = answers(tunnel()[0])
    assert it.authenticate(claim("@east", "@west")).psk
    for question in (claim("@mallory"), claim("@east", "@someone"), claim("@east", method=Auth.RSASIG)):
        with pytest.raises(IkeError) as caught:
            it.authenticate(question)
        assert caught.value.notify == 24


def test_a_child_goes_to_the_connection_with_its_selectors() -> None:
    many = [conn(f"c{n}", end(WEST, f"10.1.{n}.0/24", "@west"), end(EAST, EAST_NET, "@east")) for n in range(20)]
    it = answers(*many)
    assert ask(it, "10.1.7.0/24", EAST_NET) == "c7"
    assert ask(it, "10.1.19.0/24", EAST_NET) == "c19"


def test_a_wider_proposal_finds_what_fits_into_it() -> None:
    it = answers(conn("n", end(WEST, "10.1.3.0/24", "@west"), end(EAST, EAST_NET, "@east")))
    assert ask(it, "10.1.0.0/16", "0.0.0.0/0") == "n"


def test_a_narrower_one_only_where_narrowing_is_allowed() -> None:
    it = answers(tunnel("strict")[0])
    with pytest.raises(IkeError) as caught:
        ask(it, "10.1.3.0/24", EAST_NET)
    assert caught.value.notify == 38
    assert "10.1.3.0/24===192.0.2.1[@west]...198.51.100.7[@east]===10.2.0.0/16" in str(caught.value)
    assert ask(answers(tunnel("wide", narrowing=True)[0]), "10.1.3.0/24", EAST_NET) == "wide"


def test_a_peer_never_gets_a_connection_of_somebody_else() -> None:
    east = conn("east", end(WEST, "10.1.1.0/24", "@west"), end(EAST, EAST_NET, "@east"))
    boss = conn("boss", end(WEST, "10.1.2.0/24", "@west"), end(EAST, EAST_NET, "@boss"))
    it = answers(east, boss)
    with pytest.raises(IkeError):
        ask(it, "10.1.2.0/24", EAST_NET, "@east")
    assert ask(it, "10.1.2.0/24", EAST_NET, "@boss") == "boss"


def test_a_host_without_subnet_may_only_speak_for_the_address_it_comes_from() -> None:
    it = answers(conn("rw", end(WEST, WEST_NET, "@west"), end("%any")))
    assert ask(it, WEST_NET, f"{EAST}/32") == "rw"
    for theirs in ("203.0.113.80/32", "10.0.0.0/8"):
        with pytest.raises(IkeError):
            ask(it, WEST_NET, theirs)


def test_a_virtual_client_is_what_the_peer_asks_for_out_of_what_it_may_have() -> None:
    def gateway(virtual: Virtual) -> Answers:
        return answers(conn("rw", end(WEST, WEST_NET, "@west"), replace(end("%any"), virtual=virtual)))

    ten = ip_network("10.0.0.0/8")
    it = gateway(Virtual((ten,), itself=True))
    for theirs in ("10.200.1.2/32", f"{EAST}/32"):
        assert ask(it, WEST_NET, theirs) == "rw"
    for strict in (it, gateway(Virtual((ten,)))):
        for theirs in ("203.0.113.80/32", "10.200.0.0/16", "10.1.0.5/32", f"{WEST}/32"):
            with pytest.raises(IkeError):
                ask(strict, WEST_NET, theirs)
    with pytest.raises(IkeError):
        ask(gateway(Virtual((ten,))), WEST_NET, f"{EAST}/32")
    assert ask(gateway(Virtual((ten,), networks=True)), WEST_NET, "10.200.0.0/16") == "rw"


def test_spis_and_the_clock() -> None:
    it = answers()
    assert it.spi_in_use(0x100) and not it.spi_in_use(0x12345678)
    it.core.states.lingering.add(0x12345678)
    assert it.spi_in_use(0x12345678)
    assert isinstance(it.wall_clock(0.0), datetime) and it.wall_clock(0.0).tzinfo is not None


def test_nobody_fits_only_where_nobody_is_let_in() -> None:
    strict = conn("strict", end(WEST, WEST_NET, "@west"), end("%any", "", "@joe"))
    both = conn("both", end(WEST, WEST_NET, "@west"), end("%any", "", "@joe"), auth=Auth.PSK | Auth.NULL)
    with pytest.raises(IkeError, match="no suitable connection for peer 'ID_NULL'"):
        answers(strict).authenticate(claim("%null", method=Auth.NULL))
    assert answers(strict, both).authenticate(claim("%null", method=Auth.NULL)).name == "both"


def test_nobody_has_no_address_but_its_own() -> None:
    it = answers(conn("open", end(WEST, WEST_NET, "%null"), end("%any"), auth=Auth.NULL))
    ike = it.authenticate(claim("%null", method=Auth.NULL))

    def may_have(theirs: str) -> bool:
        nobody = parse_identity("%null")
        its = (selector(theirs),)
        question = ChildQuestion(ike, nobody, LOCAL, REMOTE, (selector(WEST_NET),), its, anonymous=True)
        try:
            return it.child(question).theirs == its
        except IkeError:
            return False

    assert may_have(f"{EAST}/32")
    assert not may_have("10.1.2.3/32") and not may_have("0.0.0.0/0")
