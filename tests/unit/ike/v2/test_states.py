# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of states: whole, without repetition, every state reachable and every way leading to the end."""

from __future__ import annotations

import pytest

from openswan.ike.v2.states import ALLOWED, TRANSITIONS, State
from tests.unit.ike.pair import Pair


def test_no_move_stands_twice_and_each_has_a_story() -> None:
    assert len(ALLOWED) == len(TRANSITIONS)
    assert all(row.story for row in TRANSITIONS)


def test_every_state_can_be_reached_and_left_for_good() -> None:
    def from_(start: set[State]) -> set[State]:
        found = set(start)
        while more := {t.target for t in TRANSITIONS if t.source in found} - found:
            found |= more
        return found

    assert from_({State.I0, State.R0}) == set(State)
    assert all(State.GONE in from_({state}) for state in State)
    assert not [t for t in TRANSITIONS if t.source is State.GONE]


@pytest.mark.parametrize(
    ("state", "code"),
    [(State.I1, 133), (State.I2, 134), (State.I3, 4), (State.R1, 136), (State.R2, 4), (State.GONE, 2)],
)
def test_whack_codes(state: State, code: int) -> None:
    assert state.code == code


def test_labels_are_the_classic_names() -> None:
    assert str(State.I1) == "STATE_PARENT_I1"
    assert State.R2.story == "received v2I2, PARENT SA established"


def test_a_move_that_is_not_in_the_table_is_refused() -> None:
    pair = Pair().up()
    with pytest.raises(RuntimeError, match="no transition from STATE_PARENT_I3 to STATE_PARENT_I1"):
        pair.a.sa.move(State.I1)
