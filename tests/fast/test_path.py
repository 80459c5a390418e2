# SPDX-License-Identifier: GPL-2.0-or-later
"""What fits through a path: the figure the engine works with against sealed packets of that very size."""

from __future__ import annotations

import pytest

from openswan.plane.commands import Direction, Encap
from tests.fast.rig import HERE, KEYS, THERE, Rig, udp


@pytest.mark.parametrize("cipher", sorted(KEYS))
@pytest.mark.parametrize("encap", [True, False])
@pytest.mark.parametrize("mtu", [576, 577, 1280, 1400, 1499, 1500, 9000])
def test_the_largest_inner_packet_fits_and_one_more_octet_does_not(cipher: str, encap: bool, mtu: int) -> None:
    rig = Rig(cipher, mtu=mtu)
    try:
        ports = Encap(rig.local.port, rig.remote.port) if encap else None  # raw: no socket here knows an MTU
        rig.do(rig.sa(Direction.OUT, encap=ports, mtu=mtu))
        rig.do(rig.sa(Direction.IN))
        room = next(v for v in rig.klips.sas() if v.direction is Direction.OUT).inner_mtu
        if encap:
            rig.eroute()
            rig.send(udp(HERE, THERE, 1, 2, bytes(room - 28)))
            assert len(rig.wire()) + 28 <= mtu
        # By the twin: header, IV and trailer as RFC 4303 2 counts them.
        head = 20 + (8 if encap else 0)
        sizes = [
            head + len(rig.from_engine.seal(1, 1, bytes(n), 4, bytes(rig.from_engine.iv_len))) for n in (room, room + 1)
        ]
        assert sizes[0] <= mtu < sizes[1]
    finally:
        rig.close()
