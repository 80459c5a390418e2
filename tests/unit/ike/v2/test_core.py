# SPDX-License-Identifier: GPL-2.0-or-later
"""What all parts of an IKE SA share: the queue, the clock, the end."""

from __future__ import annotations

import pytest

from openswan.base.errors import IpsecError
from openswan.ike.effects import Gone, IkeGone, ProbeAnswered
from openswan.ike.events import CreateChild, Probe, RekeyIke
from openswan.ike.v2.core import HALF_OPEN
from openswan.ike.v2.msgid import LAST_ID
from openswan.ike.v2.sa import IkeSaV2
from openswan.ike.v2.states import State
from tests.unit.ike.pair import ADDRESS_A, ADDRESS_B, Pair


def test_one_request_at_a_time_in_order() -> None:
    pair = Pair().up()
    for token in range(1, 6):
        pair.a.request(Probe(token))
    assert len(pair.wire) == 1
    assert pair.a.sa.busy
    pair.run()
    assert [e.token for e in pair.a.seen(ProbeAnswered)] == [1, 2, 3, 4, 5]
    assert not pair.a.sa.busy


def test_both_ends_ask_at_once() -> None:
    pair = Pair().up()
    for token in range(1, 6):
        pair.a.request(Probe(token))
        pair.b.request(Probe(token))
    pair.run()
    assert len(pair.a.seen(ProbeAnswered)) == len(pair.b.seen(ProbeAnswered)) == 5


def test_used_up_message_ids_end_the_sa() -> None:
    pair = Pair().up()
    pair.a.sa.send_window.next_id = LAST_ID + 1
    pair.a.request(Probe(1))
    assert pair.a.seen(IkeGone)[0].reason is Gone.LOCAL
    assert not pair.wire


def test_half_open_responders_end() -> None:
    pair = Pair()
    pair.start()
    pair.step()
    assert pair.b.sa.next_timer() == pair.now + HALF_OPEN


def test_idle_machines_want_no_timer() -> None:
    pair = Pair().up()
    assert pair.a.sa.next_timer() is None and pair.b.sa.next_timer() is None
    assert pair.a.sa.timer(pair.now + 1e9) == []


def test_initiating_is_done_once_and_with_a_child() -> None:
    pair = Pair()
    sa = IkeSaV2.initiator(pair.ike, ADDRESS_A, ADDRESS_B, pair.a.ask, pair.rng_a, 0.0)
    with pytest.raises(IpsecError):
        sa.initiate([], 0.0)
    sa.initiate([CreateChild(pair.child)], 0.0)
    with pytest.raises(IpsecError):
        sa.initiate([CreateChild(pair.child)], 0.0)


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


def test_a_replaced_sa_that_is_never_deleted_goes_by_itself() -> None:
    pair = Pair().up()
    old = pair.b.sa
    pair.a.request(RekeyIke())
    pair.step()
    pair.step()
    # The Delete for the old SA never arrives.
    pair.wire.clear()
    pair.filter = lambda _: False
    pair.pass_time(121)
    assert old.state is State.GONE
    assert len(pair.b.installed) == 1
