# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptors given to the engine: how many, whose, and what happens to them."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from _fast.pump import Engine
from openswan.base.address import Endpoint
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
