# SPDX-License-Identifier: GPL-2.0-or-later
"""Hints that a peer may speak the other version alone: once, and only where it can be that."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.engine.versions import of_version
from openswan.wire.header import NO_SPI
from tests.sim.pair import EAST, WEST, Pair, tunnel
from tests.sim.v1 import v1_pair, v1_tunnel


def hints(pair: Pair) -> list[str]:
    return [line for line in pair.west.lines if " alone: " in line]


@pytest.mark.parametrize("version", [1, 2])
def test_silence_is_a_hint_once_whatever_keyingtries_says(version: int) -> None:
    pair = v1_pair()
    pair.west.load((v1_tunnel if version == 1 else tunnel)(retransmit_timeout=3.0)[0])
    pair.net.cut.add(pair.east.address)
    pair.west.request("initiate", name="net-net")
    pair.run(60.0)
    [hint] = hints(pair)
    assert f"if {EAST} speaks IKEv{3 - version} alone: " in hint and "ikev2=no" in hint


@pytest.mark.parametrize("version", [1, 2])
def test_who_has_taken_a_proposal_speaks_our_version(version: int) -> None:
    pair = v1_pair()
    west, east = (v1_tunnel if version == 1 else tunnel)(keying_tries=1, retransmit_timeout=4.0)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    [ike] = pair.west.pluto.core.states.ikes.values()
    assert pair.run(5.0, lambda: ike.machine.spi_r != NO_SPI)
    pair.net.cut.add(pair.east.address)
    pair.run(30.0)
    assert not pair.up() and not hints(pair)


def test_connections_are_told_apart_by_version() -> None:
    pair = v1_pair()
    pair.east.load(v1_tunnel()[1])
    ends = ip_address(EAST), ip_address(WEST)
    core = pair.east.pluto.core
    found = of_version(core, 1, *ends)
    assert found is not None and found.name == "net-net" and of_version(core, 2, *ends) is None
