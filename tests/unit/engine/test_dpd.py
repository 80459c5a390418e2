# SPDX-License-Identifier: GPL-2.0-or-later
"""When a peer is asked whether it lives."""

from openswan.engine.dpd import Liveness
from openswan.engine.timers import Timer
from tests.sim.pair import EAST, WEST, Pair, conn, end, make_pair


def shared(*delays: float) -> Pair:
    pair = make_pair(1)
    for n, delay in enumerate(delays):
        left, right = end(WEST, f"10.1.{n}.0/24", "@west"), end(EAST, f"10.2.{n}.0/24", "@east")
        pair.west.load(conn(f"c{n}", left, right, dpd_delay=delay))
        pair.east.load(conn(f"c{n}", left, right))
        pair.west.request("initiate", name=f"c{n}")
    assert pair.run(10.0, lambda: len(pair.west.klips.sas) == 2 * len(delays))
    return pair


def test_the_most_impatient_connection_decides() -> None:
    (ike,) = shared(30.0, 10.0, 0.0).west.pluto.core.states.ikes.values()
    assert Liveness.delay(ike) == 10.0


def test_nobody_asks_when_nobody_wants_to_know() -> None:
    pair = shared(0.0)
    pair.run(5.0)  # the path has been probed
    (ike,) = pair.west.pluto.core.states.ikes.values()
    assert Liveness.delay(ike) == 0.0
    assert pair.west.pluto.core.timers.when((Timer.LIVENESS, ike.serial)) is None
    before = len(pair.net.transcript)
    pair.run(300.0)
    assert len(pair.net.transcript) == before


def test_a_peer_that_has_just_been_heard_is_not_asked() -> None:
    pair = shared(10.0)
    pair.run(5.0)
    (ike,) = pair.west.pluto.core.states.ikes.values()
    before = len(pair.net.transcript)
    for _ in range(10):
        ike.machine.last_heard = pair.net.now
        pair.run(5.0)
    assert len(pair.net.transcript) == before
    pair.run(11.0)
    assert len(pair.net.transcript) == before + 2
