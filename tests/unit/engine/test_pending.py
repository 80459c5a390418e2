# SPDX-License-Identifier: GPL-2.0-or-later
"""Children that wait for their IKE SA."""

from openswan.engine.conn import Conn
from openswan.engine.pending import Pending
from openswan.ike.events import CreateChild
from openswan.ike.policy import ChildPolicy
from tests.sim.pair import EAST, WEST, conn, end, make_pair


def request(token: int) -> CreateChild:
    return CreateChild(ChildPolicy("x", (), (), ()), token)


def test_first_come_first_served_and_called_off_is_gone() -> None:
    pending = Pending()
    for token in (3, 1, 2):
        pending.add(request(token))
    assert pending.cancel(1)
    assert not pending.cancel(1)
    assert len(pending) == 2
    assert [r.token for r in pending.release()] == [3, 2]
    assert len(pending) == 0 and pending.release() == []


def test_a_waiting_child_that_was_called_off_is_never_asked_for() -> None:
    pair = make_pair(1)
    for n in (1, 2):
        policy = conn(f"c{n}", end(WEST, f"10.1.{n}.0/24", "@west"), end(EAST, f"10.2.{n}.0/24", "@east"))
        pair.west.load(policy)
        pair.east.load(policy)
    pair.west.request("initiate", name="c1")
    client = pair.west.request("initiate", name="c2")
    pair.west.say("terminate", name="c2")
    assert client in pair.west.finished
    pair.run(30.0)
    assert len(pair.west.klips.sas) == len(pair.east.klips.sas) == 2
    found: Conn = pair.west.pluto.core.conns.named["c2"]
    assert not found.children and not found.negotiating
    assert pair.west.pluto.core.states.tokens == {}
