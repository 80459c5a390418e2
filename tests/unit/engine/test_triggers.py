# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that the host has stopped, or seen come in clear: what they begin, what they cost, and what they cannot do.

10.1.0.0/16 --- west 192.0.2.1 === east 198.51.100.7
"""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.said import Said, Shunt
from openswan.engine.effects import Decision
from openswan.engine.events import Intercepted
from openswan.engine.triggers import BURST, MOST_NEIGHBOURHOODS
from openswan.policy.connection import Connection, ShuntPolicy
from tests.sim.pair import EAST, WEST, SimHost, make_pair
from tests.sim.test_groups import BLOCK, CLEAR_OR_PRIVATE, PERMISSIVE, PRIVATE, both, ready, target
from tests.sim.test_oedns import both as both_in_dns
from tests.sim.test_oegateway import HOST, INSIDE, gateways, lan, meets

STRANGER = "198.51.100.77"


def comes(host: SimHost, sender: str, to: str = WEST) -> None:
    """A packet in clear comes in from `sender`."""
    host.post(Intercepted(ip_address(to), ip_address(sender), inbound=True))


def stopped(host: SimHost, src: str, dst: str) -> None:
    """The host has stopped a packet of somebody behind it."""
    host.post(Intercepted(ip_address(src), ip_address(dst)))


@pytest.mark.parametrize("west", [PRIVATE, PERMISSIVE], ids=lambda each: each.name)
def test_an_inbound_packet_in_clear_begins_a_tunnel(west: Connection) -> None:
    pair = both(west, CLEAR_OR_PRIVATE)
    comes(pair.west, EAST)
    assert pair.run(3.0, lambda: isinstance(target(pair.west, EAST), Said))
    back = pair.send(pair.east, EAST, WEST)
    assert pair.run(2.0, lambda: back in pair.west.klips.delivered)
    assert pair.west.decisions[-1] == (WEST, EAST, Decision.TUNNEL)
    pair.sane()


def test_keys_from_the_dns_are_looked_up_first() -> None:
    pair = both_in_dns()
    comes(pair.west, EAST)
    assert pair.run(3.0, lambda: isinstance(target(pair.west, EAST), Said))
    assert pair.west.questions == [EAST]
    pair.sane()


@pytest.mark.parametrize("policy", [CLEAR_OR_PRIVATE, BLOCK], ids=lambda each: each.name)
def test_who_does_not_begin_by_himself_is_not_triggered(policy: Connection) -> None:
    pair = both(policy, PRIVATE)
    comes(pair.west, EAST)
    comes(pair.west, "203.0.113.9")
    pair.run(3.0)
    assert "trigger" not in pair.west.events and not pair.west.pluto.core.states.ikes


def test_answers_of_a_resolver_that_is_asked_in_clear_begin_nothing() -> None:
    pair = make_pair()
    pair.west.resolvers = (ip_address(EAST),)
    pair.west.post(pair.west.network())
    ready(pair.west, PRIVATE, private="0.0.0.0/0\n")
    comes(pair.west, EAST)
    assert "trigger" not in pair.west.events
    comes(pair.west, STRANGER)
    assert "trigger" in pair.west.events


def test_a_forged_sender_costs_one_message_and_changes_nothing() -> None:
    """Nobody is there: one IKE_SA_INIT, no shunt, nothing remembered against the address."""
    pair = make_pair()
    ready(pair.west, PRIVATE, private="198.51.100.0/24\n")
    before = len(pair.net.transcript)
    comes(pair.west, STRANGER)
    pair.run(10.0)
    assert len(pair.net.transcript) - before == 1, pair.net.transcript[before:]
    assert target(pair.west, STRANGER) is Shunt.TRAP and pair.west.pluto.brain.pairs.conns == {}
    assert not pair.west.pluto.brain.pairs.machine.pairs and not pair.west.pluto.core.states.ikes
    first = pair.send(pair.west, WEST, STRANGER)
    pair.run(0.5)
    assert target(pair.west, STRANGER) is Shunt.HOLD, "our own packet waits like any first one"
    assert first not in pair.west.clear
    pair.sane()


def test_our_own_packet_takes_over_what_a_trigger_has_begun() -> None:
    pair = make_pair()
    ready(pair.west, PRIVATE, private="198.51.100.0/24\n")
    before = len(pair.net.transcript)
    comes(pair.west, STRANGER)
    pair.run(0.1)
    pair.send(pair.west, WEST, STRANGER)
    pair.run(4.0)
    assert len(pair.net.transcript) - before > 3, "it is repeated now"
    pair.sane()


def test_forged_senders_have_a_budget_of_their_own() -> None:
    """Thousands of them, a few calls; who is near another has no turn; our own packets go on as if nothing was."""
    pair = both(PRIVATE, PRIVATE)
    for number in range(2000):
        comes(pair.west, f"198.51.100.{number % 250 + 1}")
    triggers = pair.west.pluto.brain.triggers
    assert pair.west.events.count("trigger") == 1 and triggers.refused > 1900
    pair.west.policies["private"] = "0.0.0.0/0\n"
    pair.west.say("rereadgroups")
    for number in range(2 * MOST_NEIGHBOURHOODS):
        comes(pair.west, f"20.{number // 250}.{number % 250}.1")
    assert pair.west.events.count("trigger") <= BURST + 1
    assert len(triggers.turns) <= MOST_NEIGHBOURHOODS
    pair.run(0.2)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(4.0, lambda: not pair.missing())
    pair.sane()


def test_clear_text_beside_a_tunnel_leads_to_one_question() -> None:
    """Forged, or the peer has lost it: it is asked, and the SA stays as long as it answers."""
    pair = both(PRIVATE, PRIVATE)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.run(5.0)
    before, tunnel = len(pair.net.transcript), target(pair.west, EAST)
    for _ in range(50):
        comes(pair.west, EAST)
    pair.run(3.0)
    assert 2 <= len(pair.net.transcript) - before <= 4, "a question and its answer"
    assert target(pair.west, EAST) == tunnel
    pair.sane()


def test_a_peer_that_has_lost_everything_is_brought_back() -> None:
    """It only answers, and sends in clear after its restart: the question finds that out, the next packet calls it."""
    pair = both(PRIVATE, CLEAR_OR_PRIVATE)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.run(11.0)
    pair.east.boot()
    ready(pair.east, CLEAR_OR_PRIVATE, clear_or_private="192.0.2.0/24\n")
    for _ in range(8):
        comes(pair.west, EAST)
        pair.run(6.0, lambda: isinstance(target(pair.east, WEST), Said))
    pair.run(2.0)
    assert isinstance(target(pair.east, WEST), Said) and pair.agreed()


def test_a_pair_that_the_host_stops_has_an_eroute_once_the_packet_engine_meets_it() -> None:
    """What is decided before routing costs the engine nothing; without the host's table it decides the same."""
    pair = gateways(HOST, west=lan("10.1.0.0/16", ShuntPolicy.PASS))
    stopped(pair.west, INSIDE, "10.9.9.9")
    pair.run(5.0)
    assert pair.west.decisions[-1] == (INSIDE, "10.9.9.9", Decision.PASS)
    assert meets(pair.west, INSIDE, "10.9.9.9") is Shunt.TRAP
    pair.send(pair.west, INSIDE, "10.9.9.9")
    assert meets(pair.west, INSIDE, "10.9.9.9") is Shunt.PASS
    pair.run(2000.0)
    assert meets(pair.west, INSIDE, "10.9.9.9") is Shunt.TRAP and not pair.west.pluto.brain.pairs.aside


def test_what_there_is_no_room_for_touches_no_eroute() -> None:
    pair = make_pair()
    ready(pair.west, PRIVATE, private="198.51.100.0/24\n")
    pair.west.pluto.brain.pairs.machine._most_searches = 0
    stopped(pair.west, WEST, EAST)
    assert pair.west.decisions[-1] == (WEST, EAST, Decision.FORGET)
    assert pair.west.pluto.brain.pairs.overflows == 1 and not pair.west.pluto.brain.pairs.aside
    pair.sane()


def test_a_flood_of_new_pairs_does_not_fill_the_log() -> None:
    pair = make_pair()
    ready(pair.west, PRIVATE, private="0.0.0.0/0\n")
    pair.west.pluto.brain.pairs._lines.level = 5.0
    for number in range(50):
        stopped(pair.west, WEST, f"203.0.113.{number}")
    assert pair.west.events.count("first-packet") == 5
