# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark's path is the engine's: what it counts is what the engine would have sent and written."""

from __future__ import annotations

import socket
import struct

import pytest

from _fast.gauge import inbound, outbound
from openswan.base.drops import Drop
from tests.fast.rig import HERE, THERE, VNET, Rig, tcp, udp, vnet


def test_outbound_packets_are_sealed_and_thrown_away(tunnel: Rig) -> None:
    tunnel.klips.stop()
    worker = tunnel.klips._engine.worker(1)
    frames = [VNET + udp(HERE, THERE, 1, 2, bytes(1000))] * 3 + [VNET + udp(HERE, "10.9.9.9", 1, 2)]
    whole, bare, packets, octets = outbound(worker, 0, frames, 5)
    assert packets == 15 and octets == 15 * (8 + 8 + 1032 + 16) and 0 < bare < whole
    assert tunnel.klips.drops()[Drop.NO_EROUTE] == 5
    big = vnet(1, 40, 1000, 20, 16) + tcp(HERE, THERE, 1, 2, bytes(4500))
    assert outbound(worker, 0, [big], 1)[2] == 5
    with pytest.raises(ValueError, match="frames"):
        outbound(worker, 0, [], 1)


def test_inbound_packets_are_opened_and_thrown_away(tunnel: Rig) -> None:
    tunnel.klips.stop()
    tunnel.klips._engine.set_offload(0, True, True)
    worker = tunnel.klips._engine.worker(1)
    packets = [tunnel.seal(udp(THERE, HERE, 1, 2, bytes(1000))) for _ in range(10)]
    remote = (
        struct.pack("=H", socket.AF_INET) + tunnel.remote.port.to_bytes(2, "big") + bytes((127, 0, 0, 1)) + bytes(20)
    )
    whole, bare, count, octets = inbound(worker, 0, remote, packets, 4)
    assert count == 8 and octets == sum(map(len, packets[:8])) and 0 < bare < whole
    assert inbound(worker, 0, remote, packets[:4], 4)[2] == 4
    assert tunnel.klips.drops()[Drop.REPLAY] == 4
    tunnel.klips.start()
    with pytest.raises(TimeoutError):
        tunnel.received(0.2)
    with pytest.raises(ValueError, match="packets"):
        inbound(worker, 0, b"", packets, 4)
