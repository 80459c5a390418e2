# SPDX-License-Identifier: GPL-2.0-or-later
"""Probing a path: the largest size that gets through is found, and nothing else suffers by what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.ike.effects import ChildGone, Gone, IkeGone, PathProbed, ProbeAnswered, RequestFailed, Send
from openswan.ike.events import CreateChild, Probe, ProbePath
from tests.unit.ike.pair import Datagram, Pair, ike_policy

SIZES = (8900, 1460, 1360, 1240, 540)


def narrow(pair: Pair, most: int) -> None:
    """Datagrams of side a longer than this are lost."""
    pair.filter = lambda datagram: datagram.sender is not pair.a or len(datagram.data) <= most


@pytest.mark.parametrize(("most", "found"), [(9000, 8900), (8899, 1460), (1459, 1360), (1240, 1240), (600, 540)])
def test_the_largest_size_that_arrives(most: int, found: int) -> None:
    pair = Pair().up()
    narrow(pair, most)
    pair.a.request(ProbePath(SIZES, 0.25, 7))
    pair.pass_time(5)
    (told,) = pair.a.seen(PathProbed)
    assert told.token == 7 and found - 16 < told.octets <= found
    at = SIZES.index(found)
    assert told.refused == (SIZES[at - 1] if at else 0)
    # The window is open again, and the other side has taken one request, not five.
    pair.a.request(Probe(8))
    pair.pass_time(1)
    assert pair.a.seen(ProbeAnswered) == [ProbeAnswered(8)]


def test_every_fragment_of_a_test_has_df_and_totals_grow() -> None:
    pair = Pair().up()
    narrow(pair, 100)
    before = len(pair.a.effects)
    pair.a.request(ProbePath(SIZES, 0.25, 7))
    pair.pass_time(1.1)
    sent = [e for e in pair.a.effects[before:] if isinstance(e, Send)]
    totals = [int.from_bytes(e.data[34:36], "big") for e in sent]
    steps = sorted(set(totals))
    assert len(steps) == 5 and totals == [n for n in steps for _ in range(n)]
    for total, size in zip(steps, SIZES, strict=True):
        step = [e for e, n in zip(sent, totals, strict=True) if n == total]
        assert size - 16 < max(len(e.data) for e in step) <= size
        assert all(e.whole is (size != 540) for e in step)
        assert [int.from_bytes(e.data[32:34], "big") for e in step] == list(range(1, total + 1))


def test_a_request_that_waits_cuts_the_search_short() -> None:
    pair = Pair().up()
    narrow(pair, 1000)
    pair.a.request(ProbePath(SIZES, 0.25, 7))
    pair.pass_time(0.1)
    pair.a.request(CreateChild(pair.child, 9))
    pair.run()
    assert len(pair.a.installed) == 2
    (told,) = pair.a.seen(PathProbed)
    assert told.octets <= 540 and told.refused == 0


def test_a_probe_ends_nothing_but_a_request_that_waits_for_it_does() -> None:
    pair = Pair(ike_policy(retransmit_timeout=20.0)).up()
    pair.filter = lambda _: False
    pair.a.request(ProbePath(SIZES, 5.0, 7))
    pair.pass_time(1000)
    assert not pair.a.seen(IkeGone) and not pair.a.sa.busy
    pair.a.request(Probe(8))
    pair.pass_time(19)
    assert pair.a.sa.busy and not pair.a.seen(IkeGone)
    pair.pass_time(2)
    assert pair.a.seen(ChildGone)[0].reason is Gone.IKE_GONE and pair.a.seen(IkeGone)[0].reason is Gone.TIMEOUT


def test_a_peer_that_was_away_answers_in_the_end() -> None:
    pair = Pair(ike_policy(retransmit_timeout=20.0)).up()
    pair.filter = lambda _: False
    pair.a.request(ProbePath(SIZES, 0.25, 7))
    pair.pass_time(500)
    pair.filter = lambda _: True
    pair.a.request(Probe(8))
    pair.pass_time(3)
    assert pair.a.seen(ProbeAnswered) and len(pair.a.seen(PathProbed)) == 1


def test_an_answer_that_was_late_proves_what_was_sent_last() -> None:
    pair = Pair().up()
    pair.a.request(ProbePath(SIZES, 0.25, 7))
    kept: list[Datagram] = pair.wire[:]
    pair.wire.clear()
    sa = pair.a.sa
    pair.now += 0.25
    pair.a.do(sa, sa.timer(pair.now))
    pair.wire[:0] = kept
    pair.run()
    (told,) = pair.a.seen(PathProbed)
    assert 1444 < told.octets <= 1460 and told.refused == 8900


def test_a_peer_without_fragments_is_not_probed() -> None:
    pair = Pair(replace(ike_policy(), fragmentation=False)).up()
    pair.a.request(ProbePath(SIZES, 0.25, 7))
    pair.run()
    assert [e.request for e in pair.a.seen(RequestFailed)] == [ProbePath(SIZES, 0.25, 7)]
    assert not pair.a.seen(PathProbed) and pair.a.sa.is_established


def test_the_round_trip_is_that_of_an_exchange_without_repetition() -> None:
    pair = Pair().up()
    pair.a.request(Probe(1))
    pair.now += 0.3
    pair.run()
    assert pair.a.sa.round_trip == pytest.approx(0.3)
    pair.filter = lambda _: False
    pair.a.request(Probe(2))
    pair.pass_time(1)
    pair.filter = lambda _: True
    pair.pass_time(10)
    assert pair.a.sa.round_trip == pytest.approx(0.3)
