# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench's shelf: packets on it stay as they are however many there are in one batch."""

from __future__ import annotations

import random
from ipaddress import ip_network

import pytest

from openswan.plane.commands import Direction, Mode
from openswan.policy.selector import Selector
from tests.fast.rig import Rig, udp


@pytest.mark.parametrize("size", [40, 1200])
def test_more_than_the_shelf_holds_comes_out_whole(rig: Rig, size: int) -> None:
    here = (Selector.of(ip_network("127.0.0.1/32")), Selector.of(ip_network("127.0.0.1/32")))
    rig.do(rig.sa(Direction.IN, selectors=(here,), mode=Mode.TRANSPORT))
    rng = random.Random(5)
    for _ in range(4):
        packets = [udp("127.0.0.1", "127.0.0.1", 1, 2, rng.randbytes(size)) for _ in range(80)]
        for packet in packets:
            rig.arrive(rig.seal(packet[20:], next_header=17))
        got = [rig.received()[20:] for _ in packets]
        assert got == [packet[20:] for packet in packets]
