# SPDX-License-Identifier: GPL-2.0-or-later
"""What all parts of an IKE SA share: the queue, the clock, the end."""

from __future__ import annotations

import pytest

from openswan.base.errors import IpsecError
from openswan.ike.effects import Gone, IkeGone, ProbeAnswered, RequestFailed
from openswan.ike.events import CreateChild, DeleteChild, Probe, RekeyChild, RekeyIke
from openswan.ike.v2.core import HALF_OPEN
from openswan.ike.v2.msgid import LAST_ID
from openswan.ike.v2.sa import IkeSaV2
from openswan.ike.v2.states import State
from tests.unit.ike.pair import ADDRESS_A, ADDRESS_B, Pair, ike_policy


def test_one_request_at_a_time_in_order() -> None:
    pair = Pair(ike_policy(window=1)).up()
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


def test_requests_fill_the_window_and_answers_come_in_any_order() -> None:
    pair = Pair(ike_policy(window=4)).up()
    for token in range(1, 8):
        pair.a.request(Probe(token))
    assert len(pair.wire) == 4
    pair.wire.reverse()
    for _ in range(4):
        pair.step()
    pair.wire[:] = [pair.wire[1], pair.wire[3], pair.wire[0], pair.wire[2]]
    pair.step()
    pair.step()
    # Those that are answered are not the oldest.
    assert [e.token for e in pair.a.seen(ProbeAnswered)] == [3, 1]
    pair.run()
    assert sorted(e.token for e in pair.a.seen(ProbeAnswered)) == list(range(1, 8))
    assert not pair.a.sa.busy


def test_nothing_runs_beside_the_rekeying_of_the_ike_sa() -> None:
    pair = Pair().up()
    pair.a.request(Probe(1))
    pair.a.request(RekeyIke())
    pair.a.request(Probe(2))
    assert len(pair.wire) == 1
    pair.run()
    assert [e.token for e in pair.a.seen(ProbeAnswered)] == [1, 2]
    pair.agree()


def test_a_peer_without_a_window_gets_one_request_at_a_time() -> None:
    pair = Pair(ike_policy(), ike_policy("@b", "@a", window=1)).up()
    for token in (1, 2):
        pair.a.request(Probe(token))
    assert len(pair.wire) == 1
    pair.run()
    pair.a.request(RekeyIke())
    pair.run()
    assert pair.a.sa.send_window.peer_size == 1 and pair.b.sa.send_window.peer_size == 1


def test_a_rekeyed_ike_sa_begins_with_a_window_of_one() -> None:
    pair = Pair(ike_policy(window=4)).up()
    pair.a.request(RekeyIke())
    pair.run()
    assert pair.a.sa.send_window.peer_size == 1
    for token in (1, 2, 3):
        pair.a.request(Probe(token))
    assert len(pair.wire) == 1
    pair.run()
    assert pair.a.sa.send_window.peer_size == 4 and pair.b.sa.send_window.peer_size == 4
    assert [e.token for e in pair.a.seen(ProbeAnswered)] == [1, 2, 3]


def test_a_lost_answer_inside_the_window_is_repeated() -> None:
    pair = Pair(ike_policy(window=4)).up()
    for token in range(1, 5):
        pair.a.request(Probe(token))
    for _ in range(4):
        pair.step()
    del pair.wire[1]
    pair.run()
    assert [e.token for e in pair.a.seen(ProbeAnswered)] == [1, 3, 4]
    pair.pass_time(2.0)
    assert sorted(e.token for e in pair.a.seen(ProbeAnswered)) == [1, 2, 3, 4]


def test_children_side_by_side() -> None:
    pair = Pair().up()
    for token in range(2, 7):
        pair.a.request(CreateChild(pair.child, token))
        pair.b.request(CreateChild(pair.b.ask.children[0], token))
    assert len(pair.wire) == 10
    pair.wire.reverse()
    pair.run()
    assert len(pair.a.installed) == 11
    pair.agree()


def test_a_child_is_rekeyed_once_at_a_time_and_closed_once() -> None:
    pair = Pair().up()
    (spi,) = pair.a.installed
    pair.a.request(RekeyChild(spi, 1))
    pair.a.request(RekeyChild(spi, 2))
    assert [e.request.token for e in pair.a.seen(RequestFailed)] == [2]
    pair.run()
    (spi,) = pair.a.installed
    pair.a.request(RekeyChild(spi, 3))
    pair.a.request(DeleteChild(spi, 4))
    pair.wire.reverse()
    pair.run()
    pair.agree()


def test_what_was_put_off_goes_before_what_has_come_since() -> None:
    """Its packets have waited longest: behind hundreds of new requests they would be given up."""
    pair = Pair(ike_policy(window=1)).up()
    core = pair.a.sa
    for token in (1, 2, 3, 4):
        pair.a.request(Probe(token))
    put_off = [core.queue.popleft() for _ in range(2)]
    core.deferred = [(pair.now + 1.0, task) for task in put_off]
    pair.now += 1.0
    pair.a.do(core, core.timer(pair.now))
    pair.run()
    assert [e.token for e in pair.a.seen(ProbeAnswered)] == [1, 2, 3, 4]
