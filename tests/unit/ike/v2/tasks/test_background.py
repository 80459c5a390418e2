# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions whose answer is not needed."""

from __future__ import annotations

from openswan.ike.effects import Heard, IkeGone, ProbeAnswered, Silent
from openswan.ike.events import CreateChild, Probe
from tests.unit.ike.pair import Pair


def deaf_pair() -> Pair:
    pair = Pair().up()
    pair.filter = lambda _: False
    return pair


def test_silence_means_nothing_while_nobody_waits() -> None:
    pair = deaf_pair()
    pair.a.request(Probe(4, quiet=True))
    pair.pass_time(1000)
    assert not pair.a.seen(Silent) and not pair.a.seen(IkeGone)
    assert not pair.a.sa.busy
    pair.filter = lambda _: True
    pair.pass_time(61)
    assert pair.a.seen(ProbeAnswered) == [ProbeAnswered(4)], "it has been asked now and then"


def test_once_another_request_waits_the_peer_has_all_the_time_any_request_has() -> None:
    pair = deaf_pair()
    pair.a.request(Probe(4, quiet=True))
    pair.pass_time(130)
    pair.a.request(CreateChild(pair.child, 5))
    pair.pass_time(59)
    assert pair.a.seen(Silent) and not pair.a.seen(IkeGone)
    pair.pass_time(2)
    assert pair.a.seen(IkeGone)


def test_what_waits_is_not_put_off_again_by_what_comes_later() -> None:
    pair = deaf_pair()
    pair.a.request(Probe(4, quiet=True))
    pair.a.request(CreateChild(pair.child, 5))
    pair.pass_time(40)
    pair.a.request(CreateChild(pair.child, 6))
    pair.pass_time(21)
    assert pair.a.seen(IkeGone)


def test_two_questions_of_that_kind_do_not_wait_for_each_other() -> None:
    pair = deaf_pair()
    pair.a.request(Probe(4, quiet=True))
    pair.a.request(Probe(5, quiet=True))
    pair.pass_time(1000)
    assert not pair.a.seen(IkeGone)
    pair.filter = lambda _: True
    pair.pass_time(61)
    assert pair.a.seen(ProbeAnswered) == [ProbeAnswered(4), ProbeAnswered(5)]
    assert not pair.a.seen(Heard), "it had never been called silent"


def test_it_gives_way_in_the_queue() -> None:
    pair = Pair().up()
    asked = 0
    while not pair.a.sa.queue:
        asked += 1
        pair.a.request(Probe(asked))
    pair.a.request(Probe(100, quiet=True))
    pair.a.request(Probe(101))
    pair.run()
    assert [effect.token for effect in pair.a.seen(ProbeAnswered)] == [*range(1, asked + 1), 101, 100]
