# SPDX-License-Identifier: GPL-2.0-or-later
"""What every part of an ISAKMP SA does."""

from __future__ import annotations

import pytest

from openswan.base.entropy import SeededRng
from openswan.ike.v1.core import Core, malformed
from openswan.ike.v1.states import State
from openswan.wire.v1.header import NO_COOKIE
from openswan.wire.v1.numbers import NotifyType
from tests.unit.ike.v1.pair import ADDRESS_A, ADDRESS_B, Asked


class Zeros:
    """An Rng that gives zeros first."""

    def __init__(self) -> None:
        self.drawn = 0

    def octets(self, count: int) -> bytes:
        self.drawn += 1
        return bytes(count) if self.drawn < 3 else b"\1" * count


def core(initiator: bool = True) -> Core:
    return Core(initiator, ADDRESS_A, ADDRESS_B, Asked(), SeededRng("c"), 5.0)


def test_a_cookie_is_never_zero() -> None:
    assert Core(True, ADDRESS_A, ADDRESS_B, Asked(), Zeros(), 0.0).cookie_i == b"\1" * 8
    assert core(False).cookie_i == core().cookie_r == NO_COOKIE


def test_moves_are_those_of_the_table() -> None:
    one = core()
    one.move(State.MAIN_I1)
    with pytest.raises(RuntimeError, match="no transition from STATE_MAIN_I1 to STATE_MAIN_I4"):
        one.move(State.MAIN_I4)


def test_what_is_not_known_yet_is_a_mistake_to_ask_for() -> None:
    one = core()
    for ask in (one.need_policy, one.need_chosen, one.need_offered, one.need_keys):
        with pytest.raises(RuntimeError, match="not known"):
            ask()


def test_effects_come_out_once() -> None:
    one = core()
    one.log("a line")
    assert len(one.drain()) == 1 and one.drain() == []
    assert malformed("x").notify == NotifyType.PAYLOAD_MALFORMED
    assert not one.is_established and core(False).deadline == 65.0
