# SPDX-License-Identifier: GPL-2.0-or-later
"""Many connections begin a few at a time, and silent peers hold nobody up for long."""

from __future__ import annotations

from openswan.config.secrets import Index, Secret, SecretKind, SecretStore
from openswan.engine.launches import AT_ONCE, MOST_PATIENCE, PATIENCE
from openswan.policy.identity import parse_identity
from tests.sim.net import Faults
from tests.sim.pair import EAST, WEST, Pair, conn, end, make_pair

MANY = 3 * AT_ONCE


def crowd() -> Pair:
    """So many connections between two gateways, each with identities of its own."""
    pairs = [tuple(Index(parse_identity(f"@{side}{n}")) for side in ("west", "east")) for n in range(MANY)]
    store = SecretStore(tuple(Secret(SecretKind.PSK, pair, "test:1", b"a phrase nobody guesses") for pair in pairs))
    pair = make_pair(1, west_secrets=store, east_secrets=store)
    for n in range(MANY):
        left, right = end(WEST, f"10.1.{n}.0/24", f"@west{n}"), end(EAST, f"10.2.{n}.0/24", f"@east{n}")
        for host in (pair.west, pair.east):
            host.load_one(conn(f"net-{n}", left, right))
    pair.west.say("listen")
    pair.east.say("listen")
    return pair


def under_way(pair: Pair) -> int:
    return sum(ike.established is None for ike in pair.west.pluto.core.states.ikes.values())


def test_a_few_at_a_time_and_all_in_the_end() -> None:
    pair = crowd()
    for n in range(MANY):
        pair.west.request("initiate", name=f"net-{n}")
    assert under_way(pair) == AT_ONCE
    most = 0

    def done() -> bool:
        nonlocal most
        most = max(most, under_way(pair))
        return len(pair.west.klips.sas) == 2 * MANY

    assert pair.run(10.0, done)
    assert most == AT_ONCE
    launches = pair.west.pluto.brain.launches
    assert not launches.running and not launches.waiting
    assert not any("retransmission" in line for line in pair.west.lines)


def test_silent_peers_hold_their_place_for_half_a_second() -> None:
    pair = crowd()
    pair.net.cut.add(pair.east.address)
    for n in range(MANY):
        pair.west.request("initiate", name=f"net-{n}")
    pair.run(PATIENCE * 2.5)
    assert under_way(pair) == MANY


def test_what_is_no_longer_wanted_loses_its_place() -> None:
    pair = crowd()
    pair.net.cut.add(pair.east.address)
    for n in range(MANY):
        pair.west.request("initiate", name=f"net-{n}")
    for n in range(AT_ONCE, MANY):
        pair.west.say("terminate", name=f"net-{n}")
    assert not pair.west.pluto.brain.launches.waiting
    pair.run(PATIENCE * 2.5)
    assert under_way(pair) == AT_ONCE


def test_what_is_lost_does_not_count_as_slow() -> None:
    pair = crowd()
    pair.net.faults = Faults(loss=0.2)
    for n in range(MANY):
        pair.west.request("initiate", name=f"net-{n}")
    pair.run(10.0)
    assert len(pair.west.klips.sas) > MANY
    assert any("retransmission" in line for line in pair.west.lines)
    assert pair.west.pluto.brain.launches.patience == PATIENCE


def test_slow_peers_are_given_time() -> None:
    pair = crowd()
    launches = pair.west.pluto.brain.launches
    assert launches.patience == PATIENCE
    pair.net.faults = Faults(delay=(0.2, 0.2))
    for n in range(MANY):
        pair.west.request("initiate", name=f"net-{n}")
    assert pair.run(20.0, lambda: len(pair.west.klips.sas) == 2 * MANY)
    assert 1.0 < launches.patience <= MOST_PATIENCE
    pair.west.request("terminate", name="net-0")
    pair.run(1.0)
    pair.west.request("initiate", name="net-0")
    newest = max(pair.west.pluto.core.states.ikes.values(), key=lambda ike: ike.serial)
    assert newest.machine.policy is not None
    assert newest.machine.policy.retransmit_interval == launches.patience
