# SPDX-License-Identifier: GPL-2.0-or-later
"""Closing children: by either end, by both at once, several, unknown ones, of other protocols."""

from __future__ import annotations

import pytest

from openswan.ike.effects import ChildGone, Gone, RequestFailed
from openswan.ike.events import CreateChild, DeleteChild
from openswan.wire.v2.delete import Delete
from openswan.wire.v2.numbers import ProtocolId
from tests.unit.ike.pair import Pair


@pytest.mark.parametrize("who", ["a", "b"])
def test_delete(who: str) -> None:
    pair = Pair().up()
    asker, other = (pair.a, pair.b) if who == "a" else (pair.b, pair.a)
    spi = next(iter(asker.installed))
    theirs = next(iter(other.installed))
    asker.request(DeleteChild(spi, 3))
    (delete,) = pair.peek(pair.wire[0])
    assert delete == Delete(ProtocolId.ESP, (spi.to_bytes(4, "big"),))
    # The inbound half stays until the peer has heard.
    assert spi in asker.installed
    pair.step()
    assert not other.installed
    (answer,) = pair.peek(pair.wire[0])
    assert answer == Delete(ProtocolId.ESP, (theirs.to_bytes(4, "big"),))
    pair.run()
    assert asker.seen(ChildGone) == [ChildGone(spi, theirs, Gone.LOCAL, 0, 3)]
    assert other.seen(ChildGone) == [ChildGone(theirs, spi, Gone.PEER, 0, 0)]
    assert asker.sa.is_established and other.sa.is_established


def test_both_at_once_name_nothing_in_their_answers() -> None:
    pair = Pair().up()
    pair.a.request(DeleteChild(next(iter(pair.a.installed))))
    pair.b.request(DeleteChild(next(iter(pair.b.installed))))
    pair.step()
    pair.step()
    assert [pair.peek(datagram) for datagram in pair.wire] == [(), ()]
    pair.run()
    assert not pair.a.installed and not pair.b.installed
    assert len(pair.a.seen(ChildGone)) == len(pair.b.seen(ChildGone)) == 1


def test_several_in_one_message_twice_and_unknown() -> None:
    pair = Pair().up()
    pair.a.request(CreateChild(pair.child))
    pair.run()
    spis = [spi.to_bytes(4, "big") for spi in pair.a.installed]
    message = [Delete(ProtocolId.ESP, (*spis, *spis, b"\1\2\3\4")), Delete(ProtocolId.AH, tuple(spis))]
    pair.inject(pair.a, pair.forge(pair.a, 37, message))
    assert not pair.b.installed
    (answer,) = pair.peek(pair.wire[-1])
    assert isinstance(answer, Delete) and len(answer.spis) == 2
    assert pair.b.sa.is_established


def test_only_unknown_ones_are_answered_with_nothing() -> None:
    pair = Pair().up()
    pair.inject(pair.a, pair.forge(pair.a, 37, [Delete(ProtocolId.ESP, (b"\1\2\3\4",))]))
    assert pair.peek(pair.wire[-1]) == ()
    assert len(pair.b.installed) == 1


def test_our_own_inbound_spi_is_not_a_name_the_peer_may_use() -> None:
    pair = Pair().up()
    spi = next(iter(pair.b.installed)).to_bytes(4, "big")
    pair.inject(pair.a, pair.forge(pair.a, 37, [Delete(ProtocolId.ESP, (spi,))]))
    assert len(pair.b.installed) == 1


def test_twice_by_us() -> None:
    pair = Pair().up()
    spi = next(iter(pair.a.installed))
    pair.a.request(DeleteChild(spi))
    pair.a.request(DeleteChild(spi, 8))
    assert pair.a.seen(RequestFailed)[-1].request.token == 8
    pair.run()
    assert not pair.a.installed
