# SPDX-License-Identifier: GPL-2.0-or-later
"""One ISAKMP SA after another: whoever is left has the pairs, and nothing that was asked is forgotten."""

from __future__ import annotations

from openswan.ike.effects import ChildEstablished, ChildGone, Forget, Gone, IkeGone, RequestFailed
from openswan.ike.events import CreateChild, DeleteChild, DeleteIke
from openswan.ike.v1.effects import IsakmpReplaced
from openswan.ike.v1.succession import LINGER
from tests.unit.ike.v1.pair import Pair, mirrored, quick
from tests.unit.ike.v1.test_quickmodes import asked, stand


def successor(pair: Pair) -> Pair:
    """A second ISAKMP SA of the same two ends."""
    other = Pair()
    other.now, other.asked, other.b.sa.ask = pair.now, pair.asked, pair.asked
    return other.up()


def replaced(pair: Pair) -> Pair:
    """Another ISAKMP SA has taken the place of this one at both ends."""
    new = successor(pair)
    for old, heir in ((pair.a, new.a), (pair.b, new.b)):
        pair.collect(old, old.sa.supersede(heir.sa, pair.now))
        assert [one.successor for one in old.seen(IsakmpReplaced)] == [heir.sa]
    return new


def asking(pair: Pair) -> Pair:
    """A Quick Mode whose first message gets lost."""
    pair.asked.quick.append(mirrored(quick("10.8.0.0/16")))
    pair.collect(pair.a, pair.a.sa.request(CreateChild(quick("10.8.0.0/16"), 8), pair.now))
    pair.wire.clear()
    return pair


def test_a_successor_takes_the_children_and_what_is_under_way_ends_where_it_began() -> None:
    pair = asking(Pair().tunnel())
    new = replaced(pair)
    pair.tick().run()
    assert [one.token for one in pair.a.seen(ChildEstablished)][1:] == [8]
    assert len(new.a.sa.children) == len(new.b.sa.children) == 2
    [failed] = pair.a.sa.request(CreateChild(quick()), pair.now)
    assert isinstance(failed, RequestFailed)
    pair.later(LINGER)
    assert [one.reason for one in pair.a.seen(IkeGone)] == [Gone.REPLACED]
    assert not pair.a.seen(ChildGone) and not pair.b.seen(ChildGone) and len(new.a.sa.children) == 2
    assert pair.b.seen(IkeGone) and pair.a.seen(Forget)


def test_what_is_not_answered_under_the_old_one_is_asked_again_under_its_successor() -> None:
    pair = asking(Pair().tunnel())
    new = replaced(pair)
    pair.collect(pair.b, pair.b.sa.abandon(pair.now))
    while new.due() is None:
        pair.tick()
        pair.wire.clear()
    new.now = pair.now
    new.tick().run()
    assert [one.token for one in new.a.seen(ChildEstablished)] == [8] and not pair.a.seen(RequestFailed)


def test_pairs_go_back_to_the_older_one_when_the_peer_has_ended_the_younger() -> None:
    """The two ends disagreed on which is the better, and nobody has lost anything."""
    pair = Pair().tunnel()
    new = successor(pair)
    pair.collect(pair.b, pair.b.sa.supersede(new.b.sa, pair.now))
    new.ask(new.a, DeleteIke())
    assert [one.successor for one in new.b.seen(IsakmpReplaced)] == [pair.b.sa]
    assert len(pair.b.sa.children) == 1 and not new.b.seen(ChildGone) and pair.b.sa.heir is None
    pair.later(LINGER)
    assert pair.b.sa.is_established
    pair.ask(pair.a, DeleteIke())
    assert len(pair.b.seen(ChildGone)) == 1


def test_a_quick_mode_under_way_belongs_to_the_successor_in_the_end() -> None:
    pair = asked()
    pair.deliver(*pair.wire.pop(0))
    new = successor(pair)
    pair.collect(pair.b, pair.b.sa.supersede(new.b.sa, pair.now))
    pair.run()
    assert stand(pair) == (1, 1) and len(new.b.sa.children) == 1
    pair.later(LINGER)
    assert len(pair.b.seen(IsakmpReplaced)) == 2 and len(new.b.sa.children) == 1


def test_a_delete_on_the_old_isakmp_sa_is_still_heeded() -> None:
    pair = Pair().tunnel()
    [child] = pair.a.sa.children.values()
    new = successor(pair)
    pair.collect(pair.b, pair.b.sa.supersede(new.b.sa, pair.now))
    pair.ask(pair.a, DeleteChild(child.spi_in))
    assert not new.b.sa.children
