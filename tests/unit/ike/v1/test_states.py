# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of states: whole, without repetition, every state reachable and every way leading to the end."""

from __future__ import annotations

import pytest

from openswan.ike.v1.states import ALLOWED, ESTABLISHED, FURTHER, KEYED, TRANSITIONS, State


def reached(start: set[State]) -> set[State]:
    found = set(start)
    while more := {t.target for t in TRANSITIONS if t.source in found} - found:
        found |= more
    return found


def test_no_move_stands_twice_and_each_has_a_story() -> None:
    assert len(ALLOWED) == len(TRANSITIONS)
    assert all(row.story for row in TRANSITIONS)


def test_every_state_can_be_reached_and_left_for_good() -> None:
    assert reached({State.MAIN_I0, State.MAIN_R0, State.QUICK_I0, State.QUICK_R0}) == set(State)
    assert all(State.GONE in reached({state}) for state in State)
    assert not [t for t in TRANSITIONS if t.source is State.GONE]


def test_the_two_ends_and_the_two_phases_do_not_mix() -> None:
    for start in (State.MAIN_I0, State.MAIN_R0, State.QUICK_I0, State.QUICK_R0):
        kinds = [start.label[:-1], start.label[:-1].replace("MAIN", "AGGR")]
        rest = reached({start}) - FURTHER - {State.GONE}
        assert all(state.label[:-1] in kinds or state in KEYED for state in rest)
    assert KEYED < ESTABLISHED


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.MAIN_I1, 104),
        (State.MAIN_I2, 106),
        (State.MAIN_I3, 108),
        (State.MAIN_I4, 4),
        (State.MAIN_R3, 4),
        (State.QUICK_I1, 117),
        (State.QUICK_I2, 4),
        (State.GONE, 2),
    ],
)
def test_whack_codes(state: State, code: int) -> None:
    assert state.code == code
    assert str(state) == state.label
