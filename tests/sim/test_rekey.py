# SPDX-License-Identifier: GPL-2.0-or-later
"""Rekeying of child and IKE SAs, by either end and by both at once, under traffic: no packet is lost."""

from __future__ import annotations

import random

import pytest

from openswan.engine.statedb import IkeState
from openswan.plane.commands import Direction
from tests.sim.net import Faults
from tests.sim.pair import Pair, SimHost, make_pair, tunnel
from tests.sim.test_handshake import halfway, settle, settled

SEEDS = 40
CHUNK = 5
WEST_HOST, EAST_HOST = "10.1.0.5", "10.2.0.6"


def traffic(pair: Pair, seconds: float, pause: float = 0.5) -> None:
    """A packet each way every so often."""
    start = pair.net.now
    for n in range(int(seconds / pause)):
        pair.net.at(start + n * pause, lambda: void(pair.send(pair.west, WEST_HOST, EAST_HOST)))
        pair.net.at(start + n * pause + 0.1, lambda: void(pair.send(pair.east, EAST_HOST, WEST_HOST)))
    pair.run(seconds)


def void(_: object) -> None:
    return None


def busy_pair(seed: int, loss: float, margin: float, fuzz: float, **more: float) -> Pair:
    """A tunnel whose SAs live for seconds."""
    faults = Faults(loss=loss, delay=(0.005, 0.06), reorder=0.1, duplicate=0.1)
    pair = make_pair(seed, faults)
    options = {
        "ipsec_lifetime": 60.0,
        "ike_lifetime": 150.0,
        "rekey_margin": margin,
        "rekey_fuzz": fuzz,
        "retransmit_timeout": 20.0,
        **more,
    }
    west, east = tunnel(**options)  # type: ignore[arg-type]
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(60.0, lambda: pair.up() and pair.agreed())
    pair.run(1.0)
    return pair


def rekeyings(pair: Pair) -> tuple[int, int]:
    """How many children and IKE SAs were rekeyed, as both ends saw it."""
    events = pair.west.events + pair.east.events
    return events.count("child-rekey"), events.count("ike-rekeyed")


UPDOWNS = ["up-client net-net", "prepare-client net-net", "route-client net-net"]
"""All that is run at an end: for its first child, whatever takes that one's place."""


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_packet_is_lost_while_everything_is_rekeyed(first: int) -> None:
    for seed in range(first, first + CHUNK):
        dice = random.Random(f"rekey {seed}")
        pair = busy_pair(seed, dice.uniform(0.0, 0.15), 25.0, dice.choice((0.0, 0.5, 1.0)))
        ends = (pair.west, pair.east)
        first_children = [owner(host) for host in ends]
        assert [host.updowns for host in ends] == [UPDOWNS, UPDOWNS], f"seed {seed}: all of it for the first child"
        traffic(pair, 400.0)
        pair.run(5.0)
        pair.sane()
        children, ikes = rekeyings(pair)
        assert children >= 5 and ikes >= 2, f"seed {seed}: {children} {ikes}"
        assert pair.missing() == [], f"seed {seed}"
        # A peer taken for dead too is negotiated with anew beside the old SAs, and comes back without a command.
        assert [host.updowns for host in ends] == [UPDOWNS, UPDOWNS], f"seed {seed}: nothing for those that follow"
        assert all(owner(host) > one for host, one in zip(ends, first_children, strict=True)), f"seed {seed}"
        settle_quietly(pair)
        assert [host.updowns for host in ends] == [UPDOWNS, UPDOWNS], f"seed {seed}"
        assert len(pair.west.klips.sas) <= 4 and len(pair.east.klips.sas) <= 4, f"seed {seed}"


def owner(host: SimHost) -> int:
    """The child that carries the traffic of the only connection; 0: none does."""
    return host.pluto.core.conns.named["net-net"].owner


def ikes(host: SimHost) -> list[IkeState]:
    return list(host.pluto.core.states.ikes.values())


def settle_quietly(pair: Pair) -> None:
    pair.run(60.0, lambda: settled(pair) and not halfway(pair))
    # A successor whose maker never heard that it was made ends by its deadline.
    pair.run(125.0, lambda: not any(i.machine.provisional for h in (pair.west, pair.east) for i in ikes(h)))
    assert pair.up() and pair.agreed()


@pytest.mark.parametrize("seed", range(12))
def test_both_ends_rekey_at_the_same_moment(seed: int) -> None:
    """Collisions (RFC 7296 2.8.1, 2.8.2): one of the two new SAs survives, and no packet is lost."""
    pair = busy_pair(seed, 0.0 if seed < 6 else 0.1, 5.0, 0.0, ipsec_lifetime=3600.0, ike_lifetime=7200.0)
    for host in (pair.west, pair.east):
        core = host.pluto.core
        (child,) = core.states.children.values()
        (ike,) = core.states.ikes.values()
        core.now = pair.net.now
        if seed % 3 != 1:
            host.pluto.brain.lifetimes.rekey_child(child)
        if seed % 3 != 0:
            host.pluto.brain.lifetimes._rekey_ike(ike)
        effects, core.effects = core.effects, []
        for effect in effects:
            host.perform(effect)
        host._arm()
    traffic(pair, 60.0, 0.1)
    pair.run(5.0)
    pair.sane()
    assert pair.missing() == []
    settle_quietly(pair)
    for host in (pair.west, pair.east):
        assert len(host.klips.sas) == 2, (host.klips.sas.keys(), host.lines[-12:])
        assert len([i for i in host.pluto.core.states.ikes.values() if not i.closing]) == 1


def test_the_responder_switches_when_the_peer_has_been_heard_on_the_new_sa() -> None:
    pair = busy_pair(1, 0.0, 25.0, 0.0)
    east = pair.east
    (old,) = east.pluto.core.conns.named["net-net"].children
    assert pair.run(60.0, lambda: len(east.pluto.core.conns.named["net-net"].children) == 2)
    found = east.pluto.core.conns.named["net-net"]
    assert found.owner == old, "no packet yet on the new SA"
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.run(0.2)
    assert found.owner > old
    pair.run(10.0)
    assert len(east.klips.keys(Direction.IN)) == 1


def test_rekey_no_lets_the_sa_expire_and_the_wanted_one_comes_back() -> None:
    pair = make_pair(1)
    west, east = tunnel(rekey=False, ipsec_lifetime=30.0, ike_lifetime=3600.0)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    first = pair.west.klips.keys(Direction.IN)
    pair.run(40.0)
    assert pair.up()
    assert pair.west.klips.keys(Direction.IN) != first
    assert rekeyings(pair) == (0, 0)
    pair.sane()


def test_a_spent_sa_is_replaced() -> None:
    from openswan.plane.events import SaExpired

    pair = busy_pair(1, 0.0, 5.0, 0.0, ipsec_lifetime=3600.0, ike_lifetime=7200.0)
    (child,) = pair.west.pluto.core.states.children.values()
    pair.west.post(SaExpired(child.said_out, hard=False))
    traffic(pair, 20.0)
    assert pair.missing() == []
    assert child.serial not in pair.west.pluto.core.states.children
    pair.sane()


def test_a_settled_pair_stays_settled() -> None:
    pair = busy_pair(2, 0.0, 25.0, 0.5)
    settle(pair)
    assert settled(pair)
