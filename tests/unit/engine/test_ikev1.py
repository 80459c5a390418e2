# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv1 as the engine's dialect."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.base.address import Endpoint
from openswan.base.said import Said
from openswan.engine.settings import Settings
from openswan.engine.timers import Timer
from openswan.ike.v1 import informational
from openswan.ike.v1.policy import QuickPolicy
from openswan.ike.v1.sa import IsakmpSa
from openswan.policy.connection import DpdAction
from tests.sim.net import Nat, Packet
from tests.sim.pair import OUTSIDE, Esp, Inner, Pair, SimHost, conn, end, make_pair, psk
from tests.sim.test_ikev1 import isakmp
from tests.sim.test_rekey import traffic
from tests.sim.v1 import V1, v1_pair, v1_tunnel, v1_up


def due(pair: Pair, host: SimHost) -> None:
    """Have what was done from outside carried out."""
    host.post(host.network())
    pair.run(1.0)


def test_lives_are_those_agreed_on_or_less() -> None:
    pair = v1_pair()
    west, east = v1_tunnel(ike_lifetime=5000.0, ipsec_lifetime=9000.0)
    pair.west.load(west)
    pair.east.load(replace(east, ike_lifetime=600.0, ipsec_lifetime=700.0))
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, lambda: pair.up() and pair.agreed())
    for host, life in ((pair.west, 5000.0), (pair.east, 600.0)):
        dialect = host.pluto.brain.dialects[1]
        [child] = host.pluto.core.states.children.values()
        assert (dialect.life(isakmp(host)[0]), dialect.child_life(child)) == (life, 700.0)
        assert isinstance(child.policy, QuickPolicy) and child.policy.life.seconds == 700


def test_another_isakmp_sa_takes_over_and_the_pair_stays() -> None:
    pair = v1_up()
    [old] = isakmp(pair.west)
    [child] = old.children.values()
    pair.west.pluto.brain.dialects[1].renew(old)
    due(pair, pair.west)
    [new] = isakmp(pair.west)
    assert new is not old and child.ike is new and old.closing and not old.children
    assert new.replaces is old and old.machine.is_established
    assert pair.west.pluto.core.conns.named["net-net"].newest_ike == new.serial
    assert len(isakmp(pair.east)) == 1 and pair.agreed()
    pair.west.pluto.brain.dialects[1].renew(new)
    due(pair, pair.west)
    assert len(isakmp(pair.west)) == len(isakmp(pair.east)) == 1 and child.ike is isakmp(pair.west)[0]
    pair.run(40.0)
    assert len(pair.west.pluto.core.states.ikes) == len(pair.east.pluto.core.states.ikes) == 1
    assert pair.up() and pair.agreed()
    pair.sane()


def test_when_the_peer_ends_the_one_we_use_the_older_one_is_in_use_again() -> None:
    """It may have taken the other for the better: no pair is lost, and what is left of the older one's life counts."""
    pair = v1_up(ike_lifetime=600.0, rekey_margin=60.0, rekey_fuzz=0.0)
    [old] = isakmp(pair.west)
    pair.run(100.0)
    pair.west.pluto.brain.dialects[1].renew(old)
    due(pair, pair.west)
    [new] = isakmp(pair.west)
    machine = isakmp(pair.east)[0].machine
    assert isinstance(machine, IsakmpSa)
    informational.delete_self(machine)
    pair.east.pluto.brain.ikes.run(isakmp(pair.east)[0], machine.drain())
    due(pair, pair.east)
    assert isakmp(pair.west) == [old] and old.heir is None and new.machine.ended
    [child] = old.children.values()
    core = pair.west.pluto.core
    assert pair.up() and child.ike is old and child.conn.newest_ike == old.serial
    assert 430.0 < (core.timers.left((Timer.REKEY_IKE, old.serial), core.now) or 0.0) < 445.0
    assert core.states.sharable(child.conn.me, child.conn.peer, child.conn.signature) is old
    pair.run(60.0)
    assert isakmp(pair.west) == [old], "it does not end as what has been replaced does"
    traffic(pair, 10.0)
    assert pair.missing() == []


def test_what_fell_silent_is_deleted_under_the_one_begun_beside_it() -> None:
    pair = v1_pair()
    west, east = v1_tunnel()
    pair.west.load(replace(west, dpd_delay=5.0, dpd_action=DpdAction.RESTART))
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    pair.run(2.0)
    [old] = isakmp(pair.west)
    cookie = old.machine.spi_i
    pair.net.blocks = lambda packet: isinstance(packet.body, bytes) and packet.body[:8] == cookie
    assert pair.run(30.0, lambda: any("beginning anew beside it" in line for line in pair.west.lines))
    traffic(pair, 20.0, 1.0)
    assert pair.missing() == []
    assert isakmp(pair.west) != [old] and len(isakmp(pair.west)) == 1
    deletes = [line for line in pair.east.lines if "received Delete SA(" in line]
    assert len(deletes) == 1 and f"#{isakmp(pair.east)[0].serial}:" in deletes[0]
    pair.run(40.0)
    assert len(pair.west.klips.sas) == len(pair.east.klips.sas) == 2 and pair.agreed()


def test_octets_are_those_agreed_on_or_less() -> None:
    pair = v1_up(max_bytes=3000)
    [child] = pair.west.pluto.core.states.children.values()
    octets = pair.west.pluto.brain.dialects[1].child_octets
    assert octets(child) == 2048
    child.conn.policy = replace(child.conn.policy, max_bytes=1000)
    assert octets(child) == 1000
    child.conn.policy = replace(child.conn.policy, max_bytes=0)
    assert octets(child) == 2048
    child.policy = None
    assert octets(child) == 0


def test_a_responder_renews_by_the_ports_that_a_nat_has_open() -> None:
    pair = v1_up(nat=True)
    [old] = isakmp(pair.east)
    pair.east.pluto.brain.dialects[1].renew(old)
    due(pair, pair.east)
    [new] = isakmp(pair.east)
    assert new is not old and new.machine.remote == old.machine.remote and pair.agreed() and pair.up()


def test_one_that_carries_nothing_is_not_renewed() -> None:
    pair = v1_up()
    [old] = isakmp(pair.west)
    old.children.clear()
    pair.west.pluto.brain.dialects[1].renew(old)
    due(pair, pair.west)
    assert isakmp(pair.west) == [old]


def test_a_renewal_that_fails_is_tried_again() -> None:
    pair = v1_up(retransmit_timeout=3.0)
    [old] = isakmp(pair.west)
    pair.net.cut.add(pair.east.address)
    pair.west.pluto.brain.dialects[1].renew(old)
    due(pair, pair.west)
    pair.run(8.0)
    assert any("rekeying of the ISAKMP SA failed: max number of retransmissions" in line for line in pair.west.lines)
    pair.net.cut.clear()
    assert pair.run(30.0, lambda: isakmp(pair.west) != [old] and bool(isakmp(pair.west)))
    assert pair.up() and pair.agreed()


def test_without_a_secret_nothing_is_begun() -> None:
    pair = v1_pair()
    pair.west.secrets = psk("@nobody", "@noone")
    pair.west.load(v1_tunnel(keying_tries=1)[0])
    client = pair.west.request("initiate", name="net-net")
    pair.run(1.0)
    assert any("Can't authenticate: no preshared key found for" in text for _, text in pair.west.whack[client])
    assert pair.west.empty()


@pytest.mark.parametrize("same", [False, True])
def test_hosts_behind_one_nat_do_not_take_each_others_place(same: bool) -> None:
    """Two that have one name, which uniqueids=no allows, or each its own."""
    pair = make_pair(1, settings=Settings(uniqueids=not same))
    box = Nat(ip_address(OUTSIDE), pair.net)
    other = SimHost(pair.net, "other", "192.0.2.9", 7, psk("@west" if same else "@other", "@east"))
    pair.east.secrets = psk("@east", "%any")
    for host in (pair.west, other):
        box.serve(host.address)
    pair.east.load(conn("rw", end("%any"), end("198.51.100.7", "10.2.0.0/16", "@east"), **V1))
    ends = end("198.51.100.7", "10.2.0.0/16", "@east")
    pair.west.load(conn("to", end("192.0.2.1", "192.168.1.1/32", "@west"), ends, **V1))
    other.load(conn("to", end("192.0.2.9", "192.168.1.2/32", "@west" if same else "@other"), ends, **V1))
    for host in (pair.west, other):
        host.request("initiate", name="to")
        assert pair.run(20.0, host.up), host.lines[-10:]
    pair.run(1.0)
    assert len(isakmp(pair.east)) == 2
    targets = [e.target for e in pair.east.klips.eroutes.values() if isinstance(e.target, Said)]
    assert len(set(targets)) == 2
    pair.run(60.0)
    assert pair.west.up() and other.up() and len(isakmp(pair.east)) == 2


@pytest.mark.parametrize("unique", [True, False])
def test_one_identity_that_comes_from_another_address(unique: bool) -> None:
    """Most peers never say INITIAL_CONTACT: with uniqueids=yes the identity alone tells."""
    pair = make_pair(1, settings=Settings(uniqueids=unique))
    other = SimHost(pair.net, "other", "203.0.113.9", 7, psk("@west", "@east"))
    pair.east.secrets = psk("@east", "%any")
    pair.east.load(conn("rw", end("%any"), end("198.51.100.7", "10.2.0.0/16", "@east"), **V1))
    for host, address in ((pair.west, "192.0.2.1"), (other, "203.0.113.9")):
        host.pluto.core.states.strangers = lambda *_: False  # type: ignore[method-assign]
        mine = end(address, f"{address}/32", "@west")
        host.load(conn("to", mine, end("198.51.100.7", "10.2.0.0/16", "@east"), **V1))
        host.request("initiate", name="to")
        assert pair.run(20.0, host.up), host.lines[-10:]
        pair.run(2.0)
    assert not any("INITIAL_CONTACT" in line for line in pair.east.lines)
    assert len(isakmp(pair.east)) == (1 if unique else 2)
    assert len(pair.east.pluto.core.states.children) == (1 if unique else 2)
    assert pair.west.up() is not unique and other.up()
    told = "its peer has come up at 203.0.113.9 (uniqueids=yes), deleting this one"
    assert any(told in line for line in pair.east.lines) is unique


def test_what_comes_before_the_answer_waits_and_is_not_answered_by_a_delete() -> None:
    """As responder libreswan sends by its new pair before QR1 has left."""
    pair = v1_up()
    [old] = pair.west.pluto.core.states.children.values()
    pair.net.blocks = lambda packet: packet.dst.address == pair.west.address and not isinstance(packet.body, Esp)
    pair.west.pluto.brain.lifetimes.rekey_child(old)
    due(pair, pair.west)
    [named] = pair.west.klips.expected
    inner = Inner(ip_address("10.2.0.6"), ip_address("10.1.0.5"), 1)
    remote, local = Endpoint(pair.east.address, 0), Endpoint(pair.west.address, 0)
    pair.west.klips.receive(Packet(remote, local, Esp(named.spi, b"", 1, inner), 100))
    pair.net.blocks = lambda packet: False
    assert pair.run(20.0, lambda: named in pair.west.klips.sas)
    pair.run(5.0)
    assert not any("unknown SPI" in why for why, _ in pair.west.klips.dropped) and not pair.west.klips.expected
    assert named in pair.west.klips.sas and pair.up() and pair.agreed()


def test_what_was_to_go_comes_before_leftovers_once_the_one_that_was_to_stay_has_gone() -> None:
    pair = v1_up()
    host, core = pair.west, pair.west.pluto.core
    for _ in range(2):
        newest = max(core.states.children.values(), key=lambda child: child.rank)
        host.pluto.brain.lifetimes.rekey_child(newest)
        due(pair, host)
    left, stays, goes = sorted(core.states.children.values(), key=lambda child: child.established)
    goes.yields = stays.spi_in
    assert goes.rank < left.rank < stays.rank
    host.pluto.brain.children.confirm(stays)
    assert stays.conn.owner == stays.serial
    host.pluto.brain.children.close(stays)
    assert left.rank < goes.rank and stays.conn.owner == goes.serial
