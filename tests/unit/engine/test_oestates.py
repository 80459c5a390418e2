# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of opportunistic encryption: complete, sound, and deaf to hints."""

import pytest

from openswan.engine.oestates import LATE, MOVES, SEARCHING, SHUNTS, Act, Event, State, next_move

EROUTES = {Act.HOLD, Act.FAIL, Act.PASS, Act.DROP, Act.REJECT, Act.DENY, Act.TUNNEL, Act.FORGET}
"""Acts that say what packets meet from now on."""


def targets(state: State) -> set[State]:
    found: set[State] = set()
    for (source, _), move in MOVES.items():
        if source is state:
            found |= {move.to} if move.to is not None else set(SHUNTS)
    return found


def test_hints_never_do_anything() -> None:
    assert all(next_move(state, Event.HINT) is None for state in State)


def test_every_other_event_and_every_act_is_used() -> None:
    assert {event for _, event in MOVES} == set(Event) - {Event.HINT}
    assert {act for move in MOVES.values() for act in move.acts} == set(Act)


def test_every_state_is_reached_and_left() -> None:
    reached = {State.UNDECIDED}
    while more := {target for state in reached for target in targets(state)} - reached:
        reached |= more
    assert reached == set(State)
    for state in State:
        assert targets(state) - {state}, f"{state} is never left"


@pytest.mark.parametrize("state", list(State))
def test_a_tunnel_can_come_up_and_the_operator_can_end_it_in_every_state(state: State) -> None:
    up = next_move(state, Event.UP)
    assert up is not None and up.to is State.TUNNEL and Act.TUNNEL in up.acts
    removed = next_move(state, Event.REMOVED)
    if state is State.UNDECIDED:
        assert removed is None
    else:
        assert removed is not None and removed.to is State.UNDECIDED and Act.FORGET in removed.acts


@pytest.mark.parametrize("key", MOVES, ids=lambda key: f"{key[0].name}-{key[1].name}")
def test_a_change_of_what_packets_meet_is_carried_out(key: tuple[State, Event]) -> None:
    state, made = key[0], MOVES[key]
    if made.to is None:
        assert Act.FAIL in made.acts, "where failureshunt= leads, its eroute is there"
    elif made.to.meets != state.meets and not (state in SHUNTS and made.to in LATE):
        assert EROUTES & set(made.acts), f"{state} -> {made.to} without an eroute"
    if made.to in SHUNTS or made.to is None:
        assert Act.SETTLE in made.acts or made.to is state, "back-off and lifetime are set"
    if Act.FORGET in made.acts:
        assert made.to is State.UNDECIDED and made.acts[-1] is Act.FORGET


@pytest.mark.parametrize("state", SEARCHING)
def test_a_hold_ends(state: State) -> None:
    ended = next_move(state, Event.HOLD_TIMEOUT)
    assert ended is not None and ended.to in LATE and Act.FAIL in ended.acts


@pytest.mark.parametrize("state", [State.LOOKING, State.BOTH, State.LATE_LOOKING, State.LATE_BOTH, State.TUNNEL])
def test_a_bogus_answer_denies_whatever_the_group_says(state: State) -> None:
    """RFC 4322: failed validation is no missing record."""
    move = next_move(state, Event.BOGUS)
    assert move is not None and move.to is State.DROP and Act.DENY in move.acts


def test_a_weak_tunnel_is_closed_and_changes_nothing() -> None:
    for state in State:
        move = next_move(state, Event.WEAK)
        assert move is not None and move.to is state and move.acts == (Act.CLOSE,)


def test_a_tunnel_is_never_left_for_clear_text() -> None:
    assert targets(State.TUNNEL) == {State.TUNNEL, State.UNDECIDED, State.DROP}
