# SPDX-License-Identifier: GPL-2.0-or-later
"""While a pair has a tunnel nobody else takes it over with another key that is no better proved (RFC 5660)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from openswan.base.said import Said
from openswan.engine.settings import Settings
from openswan.policy.grade import Grade
from tests.sim.pair import EAST, WEST, Pair, rsa_key
from tests.sim.test_groups import ready, target
from tests.sim.test_oedns import both, grade_at, group, publish, secrets

GROUPS: dict[str, Any] = {"private": "192.0.2.0/24\n"}


def in_the_place_of_east(grade: Grade, same_key: bool = False) -> Pair:
    """West has a tunnel with east by a key of grade dns; now another host has that address, and a record there."""
    policy = group(retransmit_timeout=8.0)
    pair = both(policy, policy, grade=Grade.DNS)
    first = pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: first in pair.east.klips.delivered)
    pair.run(0.5)
    key = rsa_key(2 if same_key else 3)
    pair.east.secrets, pair.east.settings = secrets(key), Settings(crash_secret=b"of another machine" * 2)
    pair.east.boot()
    publish(pair, EAST, key, grade)
    ready(pair.east, policy, **GROUPS)
    return pair


def latched(pair: Pair) -> bool:
    return any("another key than that of the tunnel there is" in line for line in pair.west.lines)


def test_another_key_waits_until_the_tunnel_has_ended() -> None:
    pair = in_the_place_of_east(Grade.DNS)
    spis = set(pair.west.klips.by_spi)
    pair.send(pair.east, EAST, WEST)
    pair.run(2.0)
    assert latched(pair) and spis <= set(pair.west.klips.by_spi)
    # West asks whom it has the tunnel with; nobody answers, and then the new host may have it.
    assert pair.run(200.0, lambda: not spis & set(pair.west.klips.by_spi))
    late = pair.send(pair.west, WEST, EAST)
    assert pair.run(200.0, lambda: late in pair.east.klips.delivered)
    pair.sane()


def test_a_better_proof_is_taken_at_once() -> None:
    pair = in_the_place_of_east(Grade.DNSSEC)
    late = pair.send(pair.east, EAST, WEST)
    assert pair.run(2.0, lambda: late in pair.west.klips.delivered)
    assert grade_at(pair.west) is Grade.DNSSEC and not latched(pair)
    pair.sane()


def test_the_same_key_is_no_stranger() -> None:
    pair = in_the_place_of_east(Grade.DNS, same_key=True)
    late = pair.send(pair.east, EAST, WEST)
    assert pair.run(2.0, lambda: late in pair.west.klips.delivered)
    assert isinstance(target(pair.west, EAST), Said) and not latched(pair)
    pair.sane()


@pytest.mark.parametrize(
    ("key", "grade", "spared"),
    [(b"another", Grade.DNS, True), (b"another", Grade.DNSSEC, False), (b"", Grade.NULL, True)],
    ids=["another key", "a better proof", "no proof"],
)
def test_by_saying_initial_contact_nobody_ends_it_either(key: bytes, grade: Grade, spared: bool) -> None:
    pair = both(grade=Grade.DNS)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    pairs = pair.west.pluto.brain.pairs
    [ike] = pair.west.pluto.core.states.ikes.values()
    machine = SimpleNamespace(anonymous=grade is Grade.NULL, peer_grade=grade, peer_key=key)
    newer: Any = SimpleNamespace(machine=machine, conn=ike.conn)
    assert pairs.spares(ike, newer) is spared
    newer.machine.peer_key = ike.machine.peer_key
    assert not pairs.spares(ike, newer)
