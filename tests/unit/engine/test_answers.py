# SPDX-License-Identifier: GPL-2.0-or-later
"""What a responder answers: candidates, identities, selectors."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address

import pytest

from openswan.base.address import Endpoint
from openswan.base.errors import IkeError
from openswan.engine.answers import Answers
from openswan.ike.policy import AuthQuestion, ChosenIke
from openswan.policy.connection import Auth
from openswan.policy.identity import parse_identity
from openswan.policy.proposal import Transform
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
