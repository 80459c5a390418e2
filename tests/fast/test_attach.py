# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptors given to the engine: how many, whose, and what happens to them."""

from __future__ import annotations

import gc
import os
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from _fast.pump import Engine
from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.klips.engine import Klips
from openswan.plane.commands import AttachDevice, AttachSocket, DetachDevice, DetachSocket

LOCAL = Endpoint(ip_address("127.0.0.1"), 4500)


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        yield made


def open_files() -> int:
    gc.collect()  # descriptors of what earlier tests left in reference cycles would go at any moment
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("count", [0, 3])
def test_as_many_descriptors_as_workers_and_at_least_one(sock: socket.socket, count: int) -> None:
    klips = Klips(workers=2)
    with pytest.raises(KlipsError, match=f"{count} descriptors for 2 workers"):
        klips.execute(AttachSocket(LOCAL, (sock.fileno(),) * count))
    with pytest.raises(KlipsError, match=f"{count} descriptors for 2 workers"):
        klips.execute(AttachDevice("ipsec0", "lo", (sock.fileno(),) * count, 1500))


def test_a_descriptor_that_cannot_be_had_leaves_nothing_behind(sock: socket.socket) -> None:
    klips = Klips(workers=2)
    before = open_files()
    with pytest.raises(KlipsError, match="socket cannot be duplicated"):
        klips.execute(AttachSocket(LOCAL, (sock.fileno(), 9999)))
    with open("/dev/null", "rb") as null, pytest.raises(KlipsError, match="cannot be waited for"):
        klips.execute(AttachSocket(LOCAL, (sock.fileno(), null.fileno())))
    assert open_files() == before + 0
    klips.execute(AttachSocket(LOCAL, (sock.fileno(), sock.fileno()), 1500, True))
    assert open_files() == before + 2


def test_a_slot_is_free_again_after_detaching(sock: socket.socket) -> None:
    klips = Klips(workers=3)
    klips.start()
    try:
        before = open_files()
        for count in (1, 2, 3, 1):
            queues = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
            klips.execute(AttachDevice("ipsec0", "lo", tuple(inside.detach() for _, inside in queues), 1500))
            klips.execute(AttachSocket(LOCAL, (sock.fileno(),) * count, 1500, True))
            with pytest.raises(KlipsError, match="already attached"):
                klips.execute(AttachSocket(LOCAL, (sock.fileno(),)))
            klips.execute(DetachDevice("ipsec0"))
            klips.execute(DetachSocket(LOCAL))
            for outside, _ in queues:
                outside.close()
    finally:
        klips.stop()
    klips.execute(AttachSocket(LOCAL, (sock.fileno(),)))
    klips.execute(DetachSocket(LOCAL))
    assert open_files() <= before


def test_slots_outside_the_tables_are_refused(sock: socket.socket) -> None:
    engine = Engine(0, 1)
    for slot in (-1, 64):
        with pytest.raises(ValueError):
            engine.attach_device(slot, (sock.fileno(),), 1500)
    for slot in (-1, 256):
        with pytest.raises(ValueError):
            engine.attach_socket(slot, (sock.fileno(),), False, 4, bytes(4), 4500, 1500)
    with pytest.raises(ValueError):
        engine.attach_socket(0, (sock.fileno(),), False, 4, bytes(16), 4500, 1500)


@pytest.mark.parametrize("slot", [-1, 0, 1 << 20])
def test_a_slot_with_nothing_in_it_is_refused(slot: int) -> None:
    # Above all not closed once more: the numbers of its descriptors are others' by then.
    engine = Engine(0, 1)
    for call in (
        engine.detach_device,
        engine.device,
        engine.detach_socket,
        engine.detach_intake,
        engine.intake_packets,
    ):
        with pytest.raises(ValueError, match="slot"):
            call(slot)
    for call in (lambda: engine.set_device_mtu(slot, 1500, 0), lambda: engine.set_socket_mtu(slot, 1500)):
        with pytest.raises(ValueError, match="slot"):
            call()


RING = struct.Struct("=7I")
"""struct tpacket_req3: octets of a block, blocks, of a frame, frames, time-out in ms, private octets, features."""


def test_a_ring_takes_the_slot_of_one_that_is_being_read(namespace: Callable[[Callable[[], Any]], Any]) -> None:
    def work() -> None:
        klips = Klips(workers=1)
        klips.start()
        engine = klips._engine
        before = open_files()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for n in range(60):
            # Of one size and another: what is read with the measures of the wrong one is read past its end.
            block = 4096 << n % 3
            with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as ring:
                ring.setsockopt(263, 10, 2)  # SOL_PACKET, PACKET_VERSION, TPACKET_V3
                ring.setsockopt(263, 5, RING.pack(block, 4, 2048, 4 * block // 2048, 1, 0, 0))  # PACKET_RX_RING
                ring.bind(("lo", 0x0800))
                engine.attach_intake(0, ring.fileno(), 1, block, 4)
            for _ in range(50):
                sender.sendto(bytes(1000), ("127.0.0.1", 9))
            engine.detach_intake(0)
        sender.close()
        assert sum(klips.drops().values()) == klips.drops()[Drop.MALFORMED]  # no raw ESP, all that was read
        klips.stop()
        assert open_files() == before

    namespace(work)
