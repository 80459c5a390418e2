# SPDX-License-Identifier: GPL-2.0-or-later
"""Is the peer alive?"""

from __future__ import annotations

import pytest

from openswan.ike.effects import ChildGone, Gone, IkeGone, ProbeAnswered, RequestFailed
from openswan.ike.events import CreateChild, Probe
from tests.unit.ike.pair import Pair


@pytest.mark.parametrize("who", ["a", "b"])
def test_probe(who: str) -> None:
    pair = Pair().up()
    asker, other = (pair.a, pair.b) if who == "a" else (pair.b, pair.a)
    pair.now += 5
    asker.request(Probe(4))
    assert pair.peek(pair.wire[0]) == ()
    pair.run()
    assert asker.seen(ProbeAnswered) == [ProbeAnswered(4)]
    assert asker.sa.last_heard == other.sa.last_heard == pair.now


def test_dead_peer() -> None:
    pair = Pair().up()
    pair.filter = lambda _: False
    pair.a.request(Probe(4))
    pair.a.request(CreateChild(pair.child, 5))
    pair.pass_time(61)
    assert [e.request.token for e in pair.a.seen(RequestFailed)] == [4, 5]
    assert pair.a.seen(ChildGone)[0].reason is Gone.IKE_GONE
    assert pair.a.seen(IkeGone)[0].reason is Gone.TIMEOUT
    assert not pair.a.machines
    assert any(
        line.startswith("031 max number of retransmissions (6) reached STATE_PARENT_I3") for line in pair.a.logs()
    )


def test_probe_survives_loss() -> None:
    pair = Pair().up()
    start = len(pair.log)
    pair.filter = lambda _: len(pair.log) - start > 5
    pair.a.request(Probe(4))
    pair.pass_time(40)
    assert pair.a.seen(ProbeAnswered)
