# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptors of devices and sockets: taken, given back, dead."""

from __future__ import annotations

import os
import socket
import time
from ipaddress import ip_address

import pytest

from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.said import Shunt
from openswan.plane.commands import AttachDevice, AttachSocket, DelEroute, DetachDevice, DetachSocket
from tests.fast.rig import HERE, THERE, Rig, eventually, udp


def test_a_device_that_dies_does_not_spin(tunnel: Rig) -> None:
    tunnel.host.close()
    time.sleep(0.2)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1
    tunnel.arrive(tunnel.seal(udp(THERE, HERE, 1, 2)))
    tunnel.dropped(Drop.TUN_FAILED)


def test_descriptors_are_closed_when_they_are_detached(tunnel: Rig) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = open_files()
    for _ in range(50):
        ours, engines = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            local = Endpoint(ip_address("127.0.0.1"), sock.getsockname()[1])
            tunnel.do(AttachDevice("ipsec1", "lo", (engines.detach(),), 1500))
            tunnel.do(AttachSocket(local, (sock.fileno(),)))
            tunnel.do(DetachSocket(local))
            tunnel.do(DetachDevice("ipsec1"))
    eventually(
        lambda: (
            tunnel.klips._engine.waiting() == 0
            or not tunnel.klips.execute(DelEroute(tunnel.eroute(Shunt.DROP, src="10.7.0.0/16")))
        )
    )  # type: ignore[func-returns-value]
    eventually(lambda: open_files() <= before)
    tunnel.send(udp(HERE, THERE, 1, 2))
    assert tunnel.opened() == udp(HERE, THERE, 1, 2)


def test_a_slot_that_is_taken_or_not_there_is_refused(tunnel: Rig) -> None:
    engine = tunnel.klips._engine
    with pytest.raises(ValueError):
        engine.attach_device(64, (0,), 1500)
    with pytest.raises(ValueError):
        engine.attach_device(0, (0,), 1500)
    with pytest.raises(ValueError):
        engine.attach_device(5, (0,) * 9, 1500)
    with pytest.raises(ValueError):
        engine.attach_socket(5, (0,), False, 4, bytes(16), 4500, 1500)
