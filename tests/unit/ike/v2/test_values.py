# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be seen of an IKE SA, and which moves it makes."""

from __future__ import annotations

import pytest

from openswan.base.errors import IpsecError
from openswan.ike.events import Probe
from openswan.ike.v2.sa import IkeSaV2
from openswan.ike.v2.states import State
from tests.unit.ike.pair import ADDRESS_A, ADDRESS_B, Pair


def test_views() -> None:
    pair = Pair().up()
    a, b = pair.a.sa, pair.b.sa
    assert a.my_spi == b.peer_spi == a.spi_i and b.my_spi == a.peer_spi == b.spi_r
    assert str(a.peer_id) == "@b" and str(b.peer_id) == "@a"
    assert a.established == pair.now
    assert a.chosen == b.chosen
    fresh = IkeSaV2.responder(ADDRESS_B, ADDRESS_A, pair.b.ask, pair.rng_b, 0.0)
    with pytest.raises(IpsecError):
        fresh.need_policy()
    with pytest.raises(IpsecError):
        fresh.need_keys()


def test_where_it_stands() -> None:
    pair = Pair()
    pair.start()
    assert not (pair.a.sa.proving or pair.a.sa.is_keyed() or pair.a.sa.is_established)
    pair.step()
    assert pair.b.sa.is_keyed() and not pair.b.sa.proving
    pair.step()
    assert pair.a.sa.proving and pair.a.sa.is_keyed() and not pair.a.sa.is_established
    pair.run()
    assert pair.a.sa.is_established and pair.b.sa.is_established and not pair.a.sa.proving


def test_busy_while_an_answer_is_awaited() -> None:
    pair = Pair().up()
    assert not pair.a.sa.busy and pair.a.sa.task is pair.a.sa.outstanding is None
    pair.a.request(Probe(1))
    assert pair.a.sa.busy and pair.a.sa.tasks == (pair.a.sa.task,) and pair.a.sa.outstanding is not None
    pair.run()
    assert not pair.a.sa.busy


def test_a_move_that_is_not_in_the_table_is_a_bug() -> None:
    pair = Pair().up()
    with pytest.raises(RuntimeError, match="no transition"):
        pair.a.sa.move(State.I1)


def test_spis_differ_and_are_never_zero() -> None:
    sa = Pair().up().a.sa
    drawn = [sa.new_spi() for _ in range(100)]
    assert len(set(drawn)) == 100 and all(len(spi) == 8 and any(spi) for spi in drawn)
