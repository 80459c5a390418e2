# SPDX-License-Identifier: GPL-2.0-or-later
"""SAs that end by use: told once softly, once hard, and then nothing more goes through."""

from __future__ import annotations

import pytest

from openswan.base.drops import Drop
from openswan.plane.commands import Direction, Life
from openswan.plane.events import SaExpired, SaFirstUse
from tests.fast.rig import HERE, THERE, Rig, tcp, udp, vnet

PACKET = udp(HERE, THERE, 1, 2, bytes(72))
BACK = udp(THERE, HERE, 2, 1, bytes(72))


@pytest.mark.parametrize(
    "life", [Life(soft_packets=3, hard_packets=5), Life(soft_bytes=300, hard_bytes=500)], ids=["packets", "bytes"]
)
def test_outbound(rig: Rig, life: Life) -> None:
    rig.do(rig.sa(Direction.OUT, life=life))
    rig.eroute()
    for count, told in ((2, 0), (1, 1), (2, 0)):
        for _ in range(count):
            rig.send(PACKET)
            assert rig.opened() == PACKET
        assert rig.events(told, 0.05 if not told else 2.0) == [SaExpired(rig.out_said, False)] * told
    for _ in range(3):
        rig.send(PACKET)
    assert rig.events(1) == [SaExpired(rig.out_said, True)]
    rig.dropped(Drop.SA_EXPIRED, 3)
    assert rig.silent() and rig.klips.sas()[0].packets == 5


def test_inbound(rig: Rig) -> None:
    rig.do(rig.sa(Direction.IN, life=Life(soft_packets=3, hard_packets=5)))
    for n in range(8):
        rig.arrive(rig.seal(BACK))
        if n < 5:
            assert rig.received() == BACK
    assert rig.events(3) == [
        SaFirstUse(rig.in_said),
        SaExpired(rig.in_said, False),
        SaExpired(rig.in_said, True),
    ]
    rig.dropped(Drop.SA_EXPIRED, 3)
    assert rig.silent()


def test_a_super_packet_ends_where_the_life_does(rig: Rig) -> None:
    rig.do(rig.sa(Direction.OUT, life=Life(hard_packets=7)))
    rig.eroute()
    rig.send(tcp(HERE, THERE, 1, 2, bytes(10000)), vnet(1, 40, 1000, 20, 16))
    for _ in range(7):
        rig.opened()
    rig.dropped(Drop.SA_EXPIRED, 3)
    assert rig.silent() and rig.events(1) == [SaExpired(rig.out_said, True)]


def test_a_spent_counter_does_not_creep_on() -> None:
    rig = Rig(esn=True)
    try:
        rig.tunnel()
        cookie = rig.klips._sas.cookie(rig.out_said, Direction.OUT)
        last = 2**64 - 1 - 2**20
        rig.klips._engine.set_sequence(cookie, last)
        for _ in range(50):
            rig.send(PACKET)
        rig.dropped(Drop.SEQUENCE_EXHAUSTED, 50)
        assert rig.silent() and rig.klips._engine.sa(cookie)[2] == last
        # Forward only: the counter itself has not moved.
        rig.klips._engine.set_sequence(cookie, last)
        assert rig.events(1) == [SaExpired(rig.out_said, True)]
    finally:
        rig.close()
