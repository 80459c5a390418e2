# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE SAs that end for a newer one, or come to nothing; refusals of groups' peers are in tests/sim/test_groups.py."""

from __future__ import annotations

from openswan.engine.timers import Timer
from tests.sim.pair import make_pair, tunnel
from tests.unit.engine.test_ikesas import up


def test_without_uniqueids_an_older_sa_stays() -> None:
    pair = up(uniqueids=False)
    pair.west.boot()
    pair.west.load(tunnel()[0])
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.west.up)
    pair.run(20.0)
    assert len(pair.east.pluto.core.states.ikes) == 2


def test_with_uniqueids_a_peer_that_remembers_nothing_ends_it() -> None:
    pair = up()
    pair.west.boot()
    pair.west.load(tunnel()[0])
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.west.up)
    pair.run(20.0)
    assert len([ike for ike in pair.east.pluto.core.states.ikes.values() if not ike.closing]) == 1
    assert any("peer says INITIAL_CONTACT on a newer SA" in line for line in pair.east.lines)


def test_one_that_comes_to_nothing_leaves_nothing_and_says_why() -> None:
    pair = make_pair(1)
    west, _ = tunnel(keying_tries=1)
    pair.west.load(west)
    pair.west.request("initiate", name="net-net")
    (serial,) = pair.west.pluto.core.states.ikes
    pair.run(200.0)
    conn = pair.west.pluto.core.conns.named["net-net"]
    assert pair.west.empty() and not conn.newest_ike and not conn.negotiating
    timers = pair.west.pluto.core.timers
    assert all(timers.when((timer, serial)) is None for timer in Timer)
    assert any(code for code, _ in pair.west.whack[pair.west.client])


def test_who_asks_for_a_conn_that_the_peer_is_ending_gets_a_new_one() -> None:
    pair = up()
    old = pair.west.pluto.core.conns.named["net-net"].newest_child
    pair.east.request("terminate", name="net-net")
    pair.west.request("initiate", name="net-net")
    asked = pair.west.client
    assert pair.run(5.0, lambda: asked not in pair.west.pluto.core.waiting)
    assert pair.west.up() and pair.west.pluto.core.conns.named["net-net"].newest_child != old
    assert not any(code >= 0 and "failed" in text for code, text in pair.west.whack[asked])
