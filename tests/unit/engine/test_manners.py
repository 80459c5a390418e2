# SPDX-License-Identifier: GPL-2.0-or-later
"""What configuration makes of an SA beside keys and addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.entropy import SeededRng
from openswan.engine.manners import life
from openswan.engine.settings import Settings
from openswan.plane.commands import NO_LIMIT, Direction, Life
from openswan.plane.events import SaExpired
from tests.sim.pair import EAST, WEST, Pair, conn, end, make_pair, tunnel

LEFT, RIGHT = end(WEST, "10.1.0.0/24", "@west"), end(EAST, "10.2.0.0/24", "@east")


def started(**more: object) -> Pair:
    pair = make_pair(1)
    for host in (pair.west, pair.east):
        host.load(conn("net", LEFT, RIGHT, **more))  # type: ignore[arg-type]
    pair.west.request("initiate", name="net")
    assert pair.run(10.0, pair.west.up)
    return pair


@pytest.mark.parametrize("seed", range(10))
def test_the_initiator_replaces_before_the_responder(seed: int) -> None:
    policy = conn("net", LEFT, RIGHT, max_bytes=10**9, max_packets=10**6)
    rng = SeededRng(str(seed))
    first, second = (life(policy, policy.max_bytes, initiator, rng) for initiator in (True, False))
    for each in (first, second):
        assert (each.hard_bytes, each.hard_packets) == (10**9, 10**6)
        assert each.soft_bytes == pytest.approx(each.soft_packets * 1000, abs=1000)
    assert 0.70 <= first.soft_packets / 10**6 <= 0.80 < second.soft_packets / 10**6 <= 0.90


def test_no_limits_and_no_rekeying() -> None:
    assert life(conn("net", LEFT, RIGHT), 0, True, SeededRng("1")) == NO_LIMIT
    fixed = life(conn("net", LEFT, RIGHT, rekey=False), 5000, True, SeededRng("1"))
    assert fixed == Life(0, 5000, 0, 0)


def test_they_reach_the_packet_engine() -> None:
    pair = started(tfc=700, max_packets=4000)
    for sa in pair.west.klips.sas.values():
        assert sa.tfc == (700 if sa.direction is Direction.OUT else 0)
        assert sa.life.hard_packets == 4000 and not sa.copy_dscp
    assert Settings().hide_tos


def test_a_peer_that_takes_no_padded_packets_gets_none() -> None:
    pair = make_pair(1)
    west, east = tunnel(tfc=700)
    pair.west.load(west)
    pair.east.load(replace(east, refuse_tfc=True))
    pair.west.request("initiate", name="net-net")
    assert pair.run(5, pair.up)
    assert {sa.tfc for sa in pair.west.klips.sas.values()} == {0}
    assert {sa.tfc for sa in pair.east.klips.sas.values() if sa.direction is Direction.OUT} == {700}, "each for itself"
    assert any("the peer takes no padded packets: tfc= is not followed" in line for line in pair.west.lines)


def test_a_soft_end_rekeys_and_a_hard_one_ends() -> None:
    pair = started(max_packets=4000)
    old = next(iter(pair.west.pluto.core.states.children.values()))
    pair.west.post(SaExpired(old.said_out, False))
    pair.run(pair.net.now + 3)
    assert old.serial not in pair.west.pluto.core.states.children and pair.west.up()
    new = next(iter(pair.west.pluto.core.states.children.values()))
    pair.west.post(SaExpired(new.said_out, True))
    assert new.closing


def copies_dscp(settings: Settings | None = None, **words: bool | None) -> dict[Direction, bool]:
    """By direction: does a tunnel of west's conn with these words carry it over?"""
    pair = make_pair(1, settings=settings)
    west, east = tunnel(**words)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5, pair.up)
    return {sa.direction: sa.copy_dscp for sa in pair.west.klips.sas.values()}


@pytest.mark.parametrize(("hidden", "said", "copied"), [(True, None, False), (False, None, True), (True, True, True),
                                                        (False, False, False)])  # fmt: skip
def test_encap_dscp_of_a_conn_comes_before_hidetos(hidden: bool, said: bool | None, copied: bool) -> None:
    way = copies_dscp(Settings(hide_tos=hidden), copy_dscp=said)
    assert way == {Direction.OUT: copied, Direction.IN: False}


def test_decap_dscp_is_of_what_comes() -> None:
    assert copies_dscp(take_dscp=True) == {Direction.OUT: False, Direction.IN: True}
