# SPDX-License-Identifier: GPL-2.0-or-later
"""What the packet threads tell, as events."""

from __future__ import annotations

from openswan.base.said import Shunt
from openswan.plane.commands import DelSa, Direction
from openswan.plane.events import Acquire, IkeDatagram, SaFirstUse, UnknownSpi
from tests.fast.rig import HERE, THERE, Rig, udp


def test_a_trap_met_tells_the_flow_and_whose_it_is(rig: Rig) -> None:
    trap = rig.eroute(Shunt.TRAP)
    rig.send(udp(HERE, THERE, 1, 2))
    (event,) = rig.events()
    assert isinstance(event, Acquire) and (event.trap, event.owner) == (trap, "net")
    assert str(event.flow.src) == f"{HERE}/32" and str(event.flow.dst) == f"{THERE}/32"


def test_ike_and_unknown_spis_come_with_their_endpoints(rig: Rig) -> None:
    rig.arrive(bytes(4) + b"ike")
    rig.arrive(rig.seal(udp(THERE, HERE, 1, 2), spi=0x4321))
    ike, unknown = rig.events(2)
    assert ike == IkeDatagram(rig.local, rig.remote, b"ike")
    assert unknown == UnknownSpi(rig.local, rig.remote, 0x4321)


def test_what_an_sa_told_before_it_went_is_left_out(rig: Rig) -> None:
    rig.do(rig.sa(Direction.IN))
    rig.arrive(rig.seal(udp(THERE, HERE, 1, 2)))
    rig.received()
    assert rig.events() == [SaFirstUse(rig.in_said)]
    rig.do(DelSa(rig.in_said))
    rig.do(rig.sa(Direction.IN))
    rig.arrive(rig.seal(udp(THERE, HERE, 1, 2)))
    rig.received()
    rig.do(DelSa(rig.in_said))
    assert rig.klips.poll_events() == []
