# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE and child SAs are replaced while packets flow both ways, and none of these is lost.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import re

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, conn
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import Pair, pair
from tests.netns.traffic import Flow, Receiver

CHILD = {"salifetime": "12s", "rekeymargin": "8s", "rekeyfuzz": "0%"}
IKE = {"ikelifetime": "13s", "rekeymargin": "8s", "rekeyfuzz": "0%"}


def spis(both: Pair) -> set[str]:
    """SPIs of west's SAs right now."""
    return set(re.findall(r"esp\.?0?x?([0-9a-f]{4,8})@", both.west.ipsec("spi").stdout))


def newest(both: Pair, what: str) -> int:
    """The serial number of west's newest ISAKMP or IPsec SA."""
    return max((int(n) for n in re.findall(rf"newest {what} SA: #(\d+)", both.west.status())), default=0)


def flows(lab: Lab) -> list[tuple[Flow, Receiver]]:
    """Two hundred datagrams a second, a hundred each way."""
    there = Receiver(lab.sunrise, "10.2.0.2", 7001)
    back = Receiver(lab.sunset, "10.1.0.2", 7002)
    return [
        (Flow(lab.sunset, "10.1.0.2", "10.2.0.2", 7001, b"<<there>>").start(), there),
        (Flow(lab.sunrise, "10.2.0.2", "10.1.0.2", 7002, b"<<back>>").start(), back),
    ]


def assert_all_arrived(running: list[tuple[Flow, Receiver]]) -> None:
    """Every number once and in order, no send refused."""
    for flow, heard in running:
        flow.stop()
        wait_for("the last packet", lambda h=heard, f=flow: len(h.got) >= f.sent or None, 2)
        assert not flow.errors, flow.errors
        numbers = heard.numbers(flow.marker)
        missing = sorted(set(range(flow.sent)) - set(numbers))
        assert not missing, f"{len(missing)} of {flow.sent} lost: {missing[:9]} ..."
        assert numbers == list(range(flow.sent)), "out of order or twice"


@pytest.mark.matrix
@pytest.mark.parametrize("side", ["initiator", "responder", "both"])
def test_child_sas_are_replaced_and_nothing_is_lost(lab: Lab, side: str) -> None:
    """Who rekeys is whose lifetime ends first; when both do at once the collision is settled."""
    hasty, calm = conn("net", NET4, auto="add", **CHILD), conn("net", NET4, auto="add")
    both = pair(lab, calm if side == "responder" else hasty, calm if side == "initiator" else hasty)
    both.up("net")
    first = spis(both)
    with Capture(lab.west) as wire:
        running = flows(lab)
        seen = {newest(both, "IPsec")}
        wait_for("three child SAs", lambda: seen.add(newest(both, "IPsec")) or len(seen) >= 3, 20, 0.3)
        assert_all_arrived(running)
        assert_quiet(wire, INNER)
    wait_for("the old SAs to go", lambda: len(spis(both)) == 2 and not spis(both) & first, 10)


@pytest.mark.matrix
@pytest.mark.parametrize("side", ["initiator", "responder", "both"])
def test_the_ike_sa_is_replaced_and_nothing_is_lost(lab: Lab, side: str) -> None:
    hasty, calm = conn("net", NET4, auto="add", **IKE), conn("net", NET4, auto="add")
    both = pair(lab, calm if side == "responder" else hasty, calm if side == "initiator" else hasty)
    both.up("net")
    before = spis(both)
    running = flows(lab)
    seen = {newest(both, "ISAKMP")}
    wait_for("three IKE SAs", lambda: seen.add(newest(both, "ISAKMP")) or len(seen) >= 3, 25, 0.3)
    assert_all_arrived(running)
    assert spis(both) == before, "the child SAs move over unchanged"
    both.west.ipsec("auto", "--down", "net")
    wait_for("both to be down", lambda: not both.west.tunnels() and not both.east.tunnels(), 5)


def test_up_again_replaces_a_child_sa_without_loss(lab: Lab) -> None:
    both = pair(lab, conn("net", NET4, auto="add"))
    both.up("net")
    first = spis(both)
    running = flows(lab)
    both.west.up("net")
    wait_for("new SAs", lambda: spis(both) - first, 5)
    assert_all_arrived(running)
