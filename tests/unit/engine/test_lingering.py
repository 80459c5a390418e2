# SPDX-License-Identifier: GPL-2.0-or-later
"""What has been replaced receives as long as the peer has not heard of it, and no longer."""

from __future__ import annotations

from openswan.engine.lingering import MOST
from openswan.engine.settings import LINGER
from openswan.engine.statedb import ChildState
from openswan.ike.effects import Gone
from tests.sim.pair import Pair, SimHost
from tests.sim.test_rekey import traffic
from tests.sim.v1 import v1_up


def one_of_two(**more: object) -> tuple[Pair, ChildState]:
    """East sends by one of two pairs; what west has of that one."""
    pair = v1_up(**more)  # type: ignore[arg-type]
    pair.west.request("initiate", name="net-net")
    pair.run(2.0)
    states = pair.east.pluto.core.states
    (conn,) = pair.east.pluto.core.conns.unique.values()
    return pair, pair.west.pluto.core.states.by_esp[states.children[conn.owner].spi_out]


def close(host: SimHost, child: ChildState) -> None:
    """It has been replaced, says this end."""
    core = host.pluto.core
    core.now = host.net.now
    host.pluto.brain.children.close(child, Gone.REPLACED)
    effects, core.effects = core.effects, []
    for effect in effects:
        host.perform(effect)
    host._arm()


def test_a_delete_that_gets_lost_is_said_again_while_packets_come() -> None:
    pair, child = one_of_two()
    pair.net.blocks = lambda packet: isinstance(packet.body, bytes)
    close(pair.west, child)
    traffic(pair, 4.0, 1.0)
    pair.net.blocks = lambda packet: False
    traffic(pair, 16.0, 1.0)
    assert not pair.missing() and any("saying Delete once more" in line for line in pair.west.lines)
    assert child.said_in not in pair.west.klips.sas
    assert any(f"received Delete SA(0x{child.spi_in:08x})" in line for line in pair.east.lines)
    pair.sane()


def test_without_packets_it_goes_at_once() -> None:
    pair, child = one_of_two()
    close(pair.west, child)
    pair.run(LINGER + 0.1)
    assert child.said_in not in pair.west.klips.sas and not pair.west.pluto.brain.lingering.watched


def test_a_peer_that_never_listens_is_not_listened_to_for_ever() -> None:
    pair, child = one_of_two()
    pair.net.blocks = lambda packet: isinstance(packet.body, bytes)
    close(pair.west, child)
    traffic(pair, MOST + 2 * LINGER, 1.0)
    assert child.said_in not in pair.west.klips.sas and not pair.west.pluto.brain.lingering.watched


def test_nothing_outlives_its_life() -> None:
    pair, child = one_of_two(ipsec_lifetime=40.0, rekey=False)
    pair.run(20.0)
    pair.net.blocks = lambda packet: isinstance(packet.body, bytes)
    close(pair.west, child)
    traffic(pair, 20.0 + 2 * LINGER, 1.0)
    assert child.said_in not in pair.west.klips.sas


def test_down_means_that_nothing_comes_in_any_more() -> None:
    pair, child = one_of_two()
    pair.net.blocks = lambda packet: isinstance(packet.body, bytes)
    close(pair.west, child)
    traffic(pair, 2 * LINGER, 1.0)
    assert child.said_in in pair.west.klips.sas
    pair.west.request("terminate", name="net-net")
    assert not pair.west.klips.sas
