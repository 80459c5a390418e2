# SPDX-License-Identifier: GPL-2.0-or-later
"""A Quick Mode as a value: its moves, and that it shows no secrets."""

from __future__ import annotations

import pytest

from openswan.ike.events import CreateChild
from openswan.ike.v1.exchange import Quick
from openswan.ike.v1.states import State
from tests.unit.ike.v1.pair import Pair, quick


def test_moves_that_are_in_the_table_and_others() -> None:
    one = Quick(1, True, bytes(16), State.QUICK_I0, 0.0)
    assert not one.is_open
    one.move(State.QUICK_I1)
    assert one.is_open
    with pytest.raises(RuntimeError, match="no transition from STATE_QUICK_I1 to STATE_QUICK_R2"):
        one.move(State.QUICK_R2)


def test_what_is_over_keeps_no_secret_and_what_is_not_shows_none() -> None:
    pair = Pair().up()
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick()), pair.now))
    pair.deliver(*pair.wire.pop(0))
    [one] = pair.b.sa.quicks.values()
    assert one.agreement is not None and one.agreement.shared
    assert "shared" not in repr(one) and "reply" not in repr(one)
    pair.run()
    assert one.agreement is None and one.outstanding is None and next(iter(pair.a.sa.quicks.values())).pair is None
