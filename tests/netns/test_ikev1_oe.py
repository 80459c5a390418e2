# SPDX-License-Identifier: GPL-2.0-or-later
"""Opportunistic encryption over IKEv1 between hosts that have nothing of each other but what the DNS says.

The world is that of test_oedns: west and east with resolvers that check signatures, NSD behind them.
"""

from __future__ import annotations

import pytest

from tests.netns.capture import Capture
from tests.netns.conns import conn
from tests.netns.lab import Lab
from tests.netns.test_oedns import (
    EAST,
    FIRST,
    RECORDS,
    SECOND,
    WEST,
    clear_between,
    ipseckey,
    txt,
    world_of,
)
from tests.netns.traffic import ping

V1 = {
    "left": "%defaultroute",
    "right": "%opportunisticgroup",
    "authby": "rsasig",
    "ikev2": "no",
    "keyingtries": "1",
    "auto": "route",
}
"""A group as it was in the days of IKEv1."""
OLD = conn("private", V1, failureshunt="drop") + conn("private-or-clear", V1, failureshunt="passthrough")


@pytest.mark.matrix
@pytest.mark.parametrize("records", ["ipseckey-rsa", "txt", "txt-and-key"])
def test_the_first_ping_waits_for_dns_and_main_mode(lab: Lab, records: str) -> None:
    key, text = RECORDS[records]
    world = world_of(lab, text)
    east = world.host("east", key, conf=OLD, private=f"{WEST}\n")
    west = world.host("west", FIRST, conf=OLD, private=f"{EAST}\n")
    with Capture(lab.west) as wire:
        assert ping(lab.west, EAST, 3, wait=5).received == 3, west.log() + east.log()
        assert clear_between(wire, WEST, EAST) == []
    assert ping(lab.east, WEST, 1, wait=2).received == 1
    assert "STATE_MAIN_I4" in west.log() and "STATE_QUICK_R2" in east.log()


def test_a_host_behind_a_gateway_calls_by_delegation(lab: Lab) -> None:
    """sunrise, behind east, has east as its gateway, says a TXT record; west looks that up before it answers."""
    zones = {"10.in-addr.arpa": txt("2.0.2", SECOND, EAST)}
    world = world_of(lab, ipseckey(2, SECOND), zones=zones)
    inner = conn("private", V1, leftsubnet="10.2.0.0/24", failureshunt="drop")
    west = world.host("west", FIRST, conf=OLD, private=f"10.2.0.0/24\n{EAST}\n")
    east = world.host("east", SECOND, conf=inner, private=f"{WEST}\n")
    with Capture(lab.west) as wire:
        assert ping(lab.sunrise, WEST, 3, wait=8).received == 3, west.log() + east.log()
        assert clear_between(wire, WEST, "10.2.0.2") == []
    assert west.logged("the gateways of 10.2.0.2 are being looked up, before Quick Mode is answered")


def test_a_host_without_a_record_goes_the_way_of_its_group(lab: Lab) -> None:
    world = world_of(lab)
    west = world.host("west", FIRST, conf=OLD, private="10.2.0.2\n", private_or_clear="10.2.0.1\n")
    with Capture(lab.west) as wire:
        assert ping(lab.west, "10.2.0.1", 3, wait=5).received == 3
        assert ping(lab.west, "10.2.0.2", 2, wait=2).received == 0
        assert clear_between(wire, WEST, "10.2.0.2") == []
        assert not wire.packets(lambda s: s.kind == "ike")
    assert "%pass" in west.ipsec("eroute").stdout
