# SPDX-License-Identifier: GPL-2.0-or-later
"""When a peer is asked whether it lives."""

from typing import Any

import pytest

from openswan.engine.dpd import Liveness
from openswan.engine.timers import Timer
from openswan.policy.connection import DpdAction
from tests.sim.pair import EAST, WEST, Pair, conn, end, make_pair, psk
from tests.sim.v1 import V1


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


def three(more: dict[str, Any], *actions: DpdAction) -> Pair:
    """Connections of a peer that calls; the last one is on an IKE SA of its own."""
    anybody = psk("%any", "%any")
    pair = make_pair(1, west_secrets=anybody, east_secrets=anybody)
    for n, action in enumerate(actions):
        names = ("@west", "@east") if action is not actions[-1] else ("@other-west", "@other-east")
        left, right = end(WEST, f"10.1.{n}.0/24", names[0]), end(EAST, f"10.2.{n}.0/24", names[1])
        pair.west.load(conn(f"c{n}", left, right, **more))
        pair.east.load(conn(f"c{n}", left, right, dpd_delay=10.0, dpd_timeout=30.0, dpd_action=action, **more))
        pair.west.request("initiate", name=f"c{n}")
    assert pair.run(10.0, lambda: len(pair.east.klips.sas) == 2 * len(actions))
    assert len([ike for ike in pair.east.pluto.core.states.ikes.values() if ike.established]) == 2
    return pair


@pytest.mark.parametrize("more", [V1, {}], ids=["ikev1", "ikev2"])
def test_one_that_restarts_by_peer_takes_along_all_that_share_the_peer(more: dict[str, Any]) -> None:
    pair = three(more, DpdAction.RESTART_BY_PEER, DpdAction.HOLD, DpdAction.CLEAR)
    pair.net.cut.add(pair.west.address)
    text = '"c0": DPD: Restarting all connections that share this peer'
    assert pair.run(120.0, lambda: text in pair.east.lines)
    pair.run(20.0)
    for name in ("c0", "c1", "c2"):
        said = [line for line in pair.east.lines if line.startswith(f'"{name}"') and "DPD" in line]
        assert any("Restarting Connection" in line or "beginning anew" in line for line in said), (name, said)
    assert pair.east.lines.count(text) == 1
    assert not any("%trap" in line or "Clearing" in line for line in pair.east.lines)
    pair.net.cut.clear()
    assert pair.run(300.0, lambda: len(pair.east.klips.sas) == 6)
    conns = pair.east.pluto.core.conns.named.values()
    assert pair.run(60.0, lambda: not any(one.restarting for one in conns))


@pytest.mark.parametrize("more", [V1, {}], ids=["ikev1", "ikev2"])
def test_what_shares_the_peer_stays_as_it_is_where_the_peer_lives(more: dict[str, Any]) -> None:
    pair = three(more, DpdAction.RESTART_BY_PEER, DpdAction.RESTART_BY_PEER, DpdAction.HOLD)
    old, other = sorted(pair.east.pluto.core.states.ikes.values(), key=lambda ike: len(ike.children), reverse=True)
    spis = old.machine.spi_i, old.machine.spi_r
    pair.net.blocks = lambda packet: isinstance(packet.body, bytes) and packet.body[:8] in spis
    assert pair.run(120.0, lambda: old.machine.ended)
    pair.run(60.0)
    [child] = other.children.values()
    assert child.conn.name == "c2" and not child.conn.restarting and not other.closing
    assert not any(line.startswith('"c2"') and "DPD:" in line and "enabled" not in line for line in pair.east.lines)
