# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of eroute ownership."""

import pytest

from openswan.base.said import Shunt
from openswan.engine.routing import (
    MOVES,
    NEGOTIATION_SHUNTS,
    PROSPECTIVE_SHUNTS,
    Act,
    RouteEvent,
    Routing,
    next_move,
)
from openswan.policy.connection import ShuntPolicy

EROUTE_ACTS = (Act.POLICY, Act.HOLD, Act.FAILURE, Act.TUNNEL)


def test_stories_are_the_classic_ones() -> None:
    assert [state.story for state in Routing] == [
        "unrouted",
        "unrouted HOLD",
        "eroute eclipsed",
        "prospective erouted",
        "erouted HOLD",
        "fail erouted",
        "erouted",
        "keyed, unrouted",
    ]


def test_routed_and_erouted() -> None:
    assert [s for s in Routing if s.routed] == [
        Routing.ROUTED_ECLIPSED,
        Routing.ROUTED_PROSPECTIVE,
        Routing.ROUTED_HOLD,
        Routing.ROUTED_FAILURE,
        Routing.ROUTED_TUNNEL,
    ]
    assert not Routing.ROUTED_ECLIPSED.erouted
    assert Routing.UNROUTED_HOLD.erouted


@pytest.mark.parametrize("state", Routing)
def test_every_state_can_be_unrouted_and_ends_without_anything(state: Routing) -> None:
    move = next_move(state, RouteEvent.UNROUTE)
    assert move is not None
    assert move.to is Routing.UNROUTED
    assert move.acts[-1] is Act.UNGUARD
    if state.erouted:
        assert Act.CLEAR in move.acts
    assert (Act.UNROUTE in move.acts) == state.routed


@pytest.mark.parametrize(("state", "event"), MOVES)
def test_the_guard_is_first_in_and_last_out(state: Routing, event: RouteEvent) -> None:
    acts = MOVES[state, event].acts
    if Act.GUARD in acts:
        assert acts[0] is Act.GUARD
    if Act.UNGUARD in acts:
        assert acts[-1] is Act.UNGUARD
        assert event is RouteEvent.UNROUTE


@pytest.mark.parametrize(("state", "event"), MOVES)
def test_a_state_owns_an_eroute_exactly_when_its_moves_say_so(state: Routing, event: RouteEvent) -> None:
    move = MOVES[state, event]
    if move.to.erouted and not state.erouted:
        assert any(act in EROUTE_ACTS for act in move.acts)
    if state.erouted and not move.to.erouted and move.to is not Routing.ROUTED_ECLIPSED:
        assert Act.CLEAR in move.acts


def test_a_rekeying_runs_no_updown() -> None:
    assert MOVES[Routing.ROUTED_TUNNEL, RouteEvent.SA_UP].acts == (Act.TUNNEL,)


def test_up_comes_after_the_eroute_and_before_the_route() -> None:
    acts = MOVES[Routing.UNROUTED, RouteEvent.SA_UP].acts
    assert acts.index(Act.TUNNEL) < acts.index(Act.UP) < acts.index(Act.ROUTE)


def test_after_the_last_sa_the_route_stays() -> None:
    move = MOVES[Routing.ROUTED_TUNNEL, RouteEvent.SA_DOWN]
    assert move.to is Routing.ROUTED_PROSPECTIVE
    assert move.acts == (Act.DOWN, Act.POLICY)


def test_down_comes_before_unroute() -> None:
    acts = MOVES[Routing.ROUTED_TUNNEL, RouteEvent.UNROUTE].acts
    assert acts.index(Act.DOWN) < acts.index(Act.CLEAR) < acts.index(Act.UNROUTE)


def test_what_is_not_in_the_table_is_no_move() -> None:
    assert next_move(Routing.UNROUTED, RouteEvent.SA_DOWN) is None


def test_every_shunt_policy_has_a_shunt_and_negotiation_fails_closed() -> None:
    assert set(PROSPECTIVE_SHUNTS) == set(ShuntPolicy) == set(NEGOTIATION_SHUNTS)
    assert [p for p, s in NEGOTIATION_SHUNTS.items() if s is Shunt.PASS] == [ShuntPolicy.PASS]


@pytest.mark.parametrize("state", Routing)
def test_losing_an_address_is_unrouting_with_the_guard_left_in(state: Routing) -> None:
    gone, unrouted = MOVES[state, RouteEvent.UNPLUG], MOVES[state, RouteEvent.UNROUTE]
    assert gone.to is unrouted.to
    assert (*gone.acts, Act.UNGUARD) == unrouted.acts
