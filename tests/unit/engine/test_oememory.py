# SPDX-License-Identifier: GPL-2.0-or-later
"""What outlives the daemon of what is known of peers, and how long it counts."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from itertools import product

import pytest

from openswan.base.said import Shunt
from openswan.engine.events import PeersRecalled
from openswan.engine.oejudge import failure, first
from openswan.engine.oememory import BEFORE, KEEP_EVERY, REMEMBERED, Calendar, known_of, known_peers, recall
from openswan.engine.oepair import CAPABLE, DEAF, Peer, Peers
from openswan.engine.oestates import Event, State
from openswan.policy.grade import Grade
from openswan.policy.groups import Stance
from openswan.policy.known import MOST_LINES, KnownPeer
from tests.sim import test_groups as groups
from tests.sim.pair import EAST, WEST, make_pair
from tests.unit.engine.oeplay import MIXED, NULL, PEER, PERMISSIVE, PRIVATE, gateway

TODAY = 1_767_225_600
THEN, NOW = Calendar(5000.0, TODAY), Calendar(90.0, TODAY + 60.0)
"""The end of one life, and the start of the next a minute later: another clock."""


def kept(peer: Peer) -> KnownPeer:
    found = known_of(PEER, peer, False, THEN)
    assert found is not None
    return found


def recalled(known: KnownPeer, at: Calendar = NOW) -> Peer | None:
    peers = Peers()
    recall(known, peers, at)
    return peers.known.get(PEER)


def test_times_are_the_calendars() -> None:
    before = Peer(capable_until=5600.0, deaf_until=5300.0, best=Grade.DNS, heard=4900.0)
    known = kept(before)
    assert known == KnownPeer(PEER, False, Grade.DNS, TODAY - 100, TODAY + 600, TODAY + 300)
    after = recalled(known)
    assert after is not None and after.best is Grade.DNS and after.reason == BEFORE
    assert (after.capable_until, after.deaf_until, after.heard) == (90 + 540, 90 + 240, 90 - 160)


def test_what_is_over_is_neither_kept_nor_recalled() -> None:
    assert known_of(PEER, Peer(capable_until=4999.0, deaf_until=4000.0, reason="x"), False, THEN) is None
    assert known_of(PEER, Peer(best=Grade.CERT, heard=5000.0 - REMEMBERED), False, THEN) is None
    assert recalled(KnownPeer(PEER, False, Grade.CERT, TODAY + 60 - int(REMEMBERED), TODAY, TODAY + 60)) is None
    assert recalled(KnownPeer(PEER, False, Grade.CERT)) is None, "it never had a tunnel"


def test_a_calendar_that_was_set_back_lengthens_nothing() -> None:
    after = recalled(KnownPeer(PEER, False, Grade.DNS, TODAY * 2, TODAY * 2, TODAY * 2))
    assert after is not None
    assert (after.capable_until, after.deaf_until, after.heard) == (90 + CAPABLE, 90 + DEAF, 90)


def test_a_peer_that_is_met_by_another_gateway_is_not_called_itself() -> None:
    other = gateway(ip_address("192.0.2.99"))
    assert known_of(PEER, Peer(capable_until=5600.0, gateways=(other,)), False, THEN) is None
    assert known_of(PEER, Peer(capable_until=5600.0, gateways=(gateway(),)), False, THEN) is not None


def test_what_this_life_knows_already_counts() -> None:
    peers = Peers()
    peers.note(PEER).best = Grade.CERT
    assert not recall(KnownPeer(PEER, False, Grade.NULL, TODAY), peers, NOW)
    assert peers.known[PEER].best is Grade.CERT


def test_how_many_are_kept_is_bounded_and_those_that_had_a_tunnel_come_first() -> None:
    ours, others = Peers(), Peers()
    ours.note(PEER).up(Grade.DNSSEC, 4000.0)
    others.note(PEER).up(Grade.NULL, 4000.0)
    for n in range(MOST_LINES + 5):
        ours.note(ip_address(0x0B000000 + n)).deaf_until = 5300.0
    known = known_peers(ours, others, THEN)
    assert len(known) == MOST_LINES
    assert [(each.behind, each.best) for each in known[:3]] == [
        (False, Grade.DNSSEC),
        (True, Grade.NULL),
        (False, None),
    ]
    assert known[2].address == ip_address(0x0B000000 + MOST_LINES + 4), "looked at last"


def test_the_best_grades_are_the_last_to_be_forgotten() -> None:
    """Whoever has many tunnels come up, which is easy without proof, pushes out nobody that has proved something."""
    ours, others = Peers(), Peers()
    best = {ip_address(0x0A000000 + n): grade for n, grade in enumerate(Grade)}
    for address, grade in best.items():
        (ours if grade.rank % 2 else others).note(address).up(grade, 4000.0)
    for n in range(MOST_LINES):
        ours.note(ip_address(0x0B000000 + n)).up(Grade.NULL, 4900.0)
    known = known_peers(ours, others, THEN)
    grades = [each.best for each in known if each.best is not None]
    assert len(grades) == MOST_LINES == len(known)
    assert [grade.rank for grade in grades[:7]] == [4, 4, 4, 3, 2, 1, 0]
    assert all(best[each.address] is each.best for each in known[:6])
    machine = Peers(most=6)
    for each in reversed(known[:7]):
        recall(each, machine, NOW)
    assert machine.known.keys() == {each.address for each in known[:6]}, "the next life forgets them last too"


@pytest.mark.parametrize("terms", [PERMISSIVE, PRIVATE, NULL, MIXED], ids=lambda terms: terms.owner)
def test_whatever_a_file_says_opens_nothing(terms: object) -> None:
    """Of all records one can forge, none has a pair go in clear where it would not have without one."""
    assert isinstance(terms, type(PERMISSIVE))
    for best, heard, capable, deaf, keep in product((None, *Grade), (0, TODAY), (0, TODAY * 2), (0, TODAY * 2), (0, 1)):
        mine = replace(terms, keep=bool(keep))
        peer = recalled(KnownPeer(PEER, False, best, heard, capable, deaf))
        now = first(mine, peer, NOW.now)
        assert now is not Event.PACKET_PASS
        assert failure(mine, peer) in (failure(mine, None), State.DROP)
        block = replace(mine, stance=Stance.DROP)
        assert first(block, peer, NOW.now) is Event.PACKET_DROP


def test_it_is_written_when_it_has_changed_and_at_the_end() -> None:
    hosts = make_pair()
    for host in (hosts.west, hosts.east):
        groups.ready(host, groups.PRIVATE, private="192.0.2.0/24\n198.51.100.0/24\n")
    hosts.send(hosts.west, WEST, EAST)
    assert hosts.run(3.0, lambda: not hosts.missing())
    assert hosts.west.kept == ()
    hosts.run(KEEP_EVERY + 1)
    [known] = hosts.west.kept
    assert str(known.address) == EAST and known.best is Grade.NULL and known.heard and not known.behind
    hosts.west.kept = ()
    hosts.run(KEEP_EVERY + 1)
    assert hosts.west.kept == (), "nothing new"
    peers = hosts.west.pluto.brain.pairs.machine.peers
    peers.note(ip_address("198.51.100.99")).deaf_until = hosts.net.now + 100
    hosts.west.say("shutdown")
    assert [str(each.address) for each in hosts.west.kept] == [EAST, "198.51.100.99"]


def test_the_next_daemon_takes_it_up() -> None:
    hosts = make_pair()
    groups.ready(hosts.west, groups.PRIVATE, private="198.51.100.0/24\n")
    today = int(hosts.west.pluto.brain.clock(hosts.west.pluto.core.now).timestamp())
    east = ip_address(EAST)
    known = (KnownPeer(east, False, None, deaf=today + 600), KnownPeer(east, True, Grade.DNS, today))
    hosts.west.post(PeersRecalled(known))
    machine = hosts.west.pluto.brain.pairs.machine
    assert machine.peers_of_others.known[east].best is Grade.DNS
    hosts.send(hosts.west, WEST, EAST)
    assert not hosts.west.pluto.core.states.ikes, "deaf: nobody is called"
    assert machine.peers.known[east].reason == BEFORE


def test_the_next_daemon_lets_out_nothing_in_clear_to_who_had_a_tunnel_before() -> None:
    hosts = make_pair()
    keeping = replace(groups.PERMISSIVE, keep_grade=True)
    groups.ready(hosts.west, keeping, private_or_clear="198.51.100.0/24\n")
    today = int(hosts.west.pluto.brain.clock(hosts.west.pluto.core.now).timestamp())
    hosts.west.post(PeersRecalled((KnownPeer(ip_address(EAST), False, Grade.NULL, today),)))
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(5.0)
    assert groups.target(hosts.west, EAST) is Shunt.DROP and hosts.west.clear == []
