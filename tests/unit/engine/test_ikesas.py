# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE SAs between their machines and the engine."""

from __future__ import annotations

import typing

from openswan.engine.events import Interface, NetworkState
from openswan.engine.settings import Settings
from openswan.engine.timers import Timer
from openswan.ike import effects as ike_effects
from openswan.ike.v1 import effects as v1_effects
from tests.sim.pair import Pair, make_pair, tunnel


def up(**more: object) -> Pair:
    pair = make_pair(1, settings=Settings(**more))  # type: ignore[arg-type]
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, lambda: pair.up() and pair.agreed())
    return pair


def test_every_effect_of_a_machine_has_a_handler() -> None:
    pair = make_pair(1)
    told = {*typing.get_args(ike_effects.Effect), *typing.get_args(v1_effects.Effect)}
    assert told == set(pair.west.pluto.brain.ikes.handlers)


def test_closing_leaves_no_timer_and_no_way_to_find_it() -> None:
    pair = up()
    core = pair.west.pluto.core
    pair.west.say("terminate", name="net-net")
    pair.run(120.0)
    assert not core.timers.current, core.timers.current
    states = core.states
    assert not (states.by_spi or states.by_machine or states.shared or states.peers or states.pairs or states.by_init)


def test_from_an_address_that_has_gone_nothing_is_said_not_even_goodbye() -> None:
    pair = up()
    states, west = pair.west.pluto.core.states, pair.west
    ike = next(iter(states.ikes.values()))
    west.post(NetworkState((Interface("eth0", "ipsec0", ()),), ()))
    pair.west.pluto.brain.ikes.close(ike)
    assert not states.ikes and not states.children
    pair.run(1.0)
    assert not west.pluto.core.timers.current
    assert not any("retransmission" in line for line in west.lines)


def test_lines_of_a_machine_reach_only_those_who_wait() -> None:
    pair = up()
    client = pair.west.client
    assert pair.west.whack[client][0][1].startswith('"net-net" #1: ')
    assert all(code != 0 for code, _ in pair.west.whack[client])
    assert any(line.startswith('"net-net" #1: STATE_PARENT_R2') for line in pair.east.lines)


def test_no_keepalive_without_a_nat_and_none_when_switched_off() -> None:
    pair = up()
    pair.run(100.0)
    assert pair.west.keepalives == pair.east.keepalives == 0
    pair = make_pair(1, nat=True, settings=Settings(keep_alive=0.0))
    west, east = tunnel(nat=True)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    pair.run(100.0)
    assert pair.west.keepalives == 0
    (ike,) = pair.west.pluto.core.states.ikes.values()
    assert pair.west.pluto.core.timers.when((Timer.KEEPALIVE, ike.serial)) is None


def test_a_connection_deleted_while_its_peer_proves_itself_leaves_nothing() -> None:
    pair = make_pair(1)
    west, east = tunnel(keying_tries=1)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, lambda: bool(pair.east.pluto.core.states.ikes))
    pair.east.say("delete", name="net-net")
    pair.run(100.0)
    assert pair.west.empty() and pair.east.empty()
    pair.sane()
