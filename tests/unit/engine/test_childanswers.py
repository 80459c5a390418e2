# SPDX-License-Identifier: GPL-2.0-or-later
"""Which connection a child goes to, and what a peer may never have."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from openswan.base.errors import IkeError
from openswan.engine.answers import Answers
from openswan.ike.policy import ChildQuestion
from openswan.policy.connection import Auth
from openswan.policy.identity import parse_identity
from openswan.policy.selector import Selector
from openswan.policy.virtual import Virtual
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, conn, end, tunnel
from tests.unit.engine.test_answers import LOCAL, REMOTE, answers, claim


def selector(net: str) -> Selector:
    return Selector.of(ip_network(net))


def ask(it: Answers, mine: str, theirs: str, who: str = "@east") -> str:
    ike = it.authenticate(claim(who))
    question = ChildQuestion(ike, parse_identity(who), LOCAL, REMOTE, (selector(mine),), (selector(theirs),))
    return it.child(question).name


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
