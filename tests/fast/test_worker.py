# SPDX-License-Identifier: GPL-2.0-or-later
"""Several workers at one tunnel: an SA has one of them, whoever reads its packets, and order is kept."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest
from _fast.handoff import lane

from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.said import Said
from openswan.klips.engine import Klips
from openswan.plane.commands import AddSa, AttachDevice, AttachSocket, DetachDevice, DetachSocket, Direction
from tests.fast.rig import HERE, IN_SPI, OUT_SPI, THERE, Rig, eventually, udp

WORKERS = 4


class Wide(Rig):
    """A rig whose ipsec0 has a queue for each worker, and whose wire may have several sockets."""

    def __init__(self, lanes: int = 1, spread: bool = False) -> None:
        super().__init__(workers=WORKERS)
        self.do(DetachDevice("ipsec0"))
        self.do(DetachSocket(self.local))
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(WORKERS)]
        self.hosts = [host for host, _ in pairs]
        for each in (*self.hosts, *(inside for _, inside in pairs)):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.do(AttachDevice("ipsec0", "lo", tuple(inside.detach() for _, inside in pairs), 1500))
        # Sockets that do not share a port stand for a group: this test is the kernel that chooses among them.
        self.socks = [self.sock]
        for _ in range(lanes - 1):
            more = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            more.bind(("127.0.0.1", 0))
            self.socks.append(more)
        self.do(AttachSocket(self.local, tuple(each.fileno() for each in self.socks), 1500, spread))

    def close(self) -> None:
        super().close()
        for each in (*self.hosts, *self.socks):
            each.close()


@contextmanager
def wide(lanes: int = 1, spread: bool = False) -> Iterator[Wide]:
    rig = Wide(lanes, spread)
    try:
        yield rig
    finally:
        rig.close()


def test_an_outbound_sa_keeps_its_order_whichever_queue_a_packet_comes_by() -> None:
    with wide() as rig:
        rig.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        rig.tunnel()
        count = 3000
        for n in range(count):
            rig.hosts[n % WORKERS].send(bytes(10) + udp(HERE, THERE, n % WORKERS + 1, 9, struct.pack("!I", n)))
        seen: dict[int, list[int]] = {}
        for sequence in range(1, count + 1):
            datagram = rig.wire()
            # One worker alone numbers and sends: nothing is out of order on the wire, so no window is too small.
            assert struct.unpack_from("!II", datagram) == (OUT_SPI, sequence)
            why, inner, _, _ = rig.from_engine.open(datagram)
            assert why is Drop.NONE
            (port,), (n,) = struct.unpack_from("!H", inner, 20), struct.unpack_from("!I", inner, 28)
            seen.setdefault(port, []).append(n)
        assert all(numbers == sorted(numbers) for numbers in seen.values()) and len(seen) == WORKERS
        assert sum(rig.klips.drops().values()) == 0
        assert rig.klips.sas()[1].packets == rig.klips.eroutes()[0].packets == count
        assert rig.klips.devices()[0].tx_packets == count


def test_inbound_packets_of_an_sa_come_out_of_its_workers_queue() -> None:
    with wide(WORKERS, spread=True) as rig:
        # Sockets without a group are read in any order: the window is wide enough for that.
        rig.do(rig.sa(Direction.IN, replay_window=4096))
        mine = lane(IN_SPI, WORKERS) - 1
        for n in range(200):
            # A kernel that chose wrongly (UDP_GRO joins what two SAs send) costs a copy, never the order.
            there = rig.socks[n % WORKERS].getsockname()
            rig.peer.sendto(rig.seal(udp(THERE, HERE, 5, 6, struct.pack("!I", n))), there)
        eventually(lambda: rig.klips.devices()[0].rx_packets == 200, say=lambda: str(rig.klips.drops()))
        rig.hosts[mine].settimeout(2)
        got = [struct.unpack_from("!I", rig.hosts[mine].recv(2000), 10 + 28)[0] for _ in range(200)]
        assert sorted(got) == list(range(200))
        for queue in range(WORKERS):
            own = [n for n in got if n % WORKERS == queue]
            assert own == sorted(own)


@pytest.mark.parametrize("lanes,spread", [(1, False), (2, True), (3, False), (WORKERS, True)])
def test_fewer_sockets_than_workers(lanes: int, spread: bool) -> None:
    with wide(lanes, spread) as rig:
        rig.tunnel()
        for n in range(WORKERS):
            rig.hosts[n].send(bytes(10) + udp(HERE, THERE, n + 1, 2))
        assert sorted(rig.opened() for _ in range(WORKERS)) == sorted(
            udp(HERE, THERE, n + 1, 2) for n in range(WORKERS)
        )
        rig.arrive(rig.seal(udp(THERE, HERE, 1, 2)))
        eventually(lambda: rig.klips.devices()[0].rx_packets == 1)


def test_a_device_with_fewer_queues_than_workers_is_shared() -> None:
    rig = Rig(workers=3)
    try:
        rig.tunnel()
        for n in range(300):
            rig.send(udp(HERE, THERE, 1, n + 1))
        assert [rig.opened() for _ in range(300)] == [udp(HERE, THERE, 1, n + 1) for n in range(300)]
        rig.arrive(rig.seal(udp(THERE, HERE, 1, 2)))
        assert rig.received() == udp(THERE, HERE, 1, 2)
    finally:
        rig.close()


def test_a_worker_that_does_not_keep_up_costs_counted_packets() -> None:
    with wide() as rig:
        rig.tunnel()
        rig.hosts[0].send(bytes(10) + udp(HERE, THERE, 1, 2))
        rig.wire()
        # The worker that sent the first has the SA; an inbox has a megabyte, more than that is lost, and counted.
        for _ in range(3000):
            rig.hosts[1].send(bytes(10) + udp(HERE, THERE, 2, 2, bytes(1000)))
        eventually(
            lambda: rig.klips.sas()[1].packets + rig.klips.drops()[Drop.WORKER_BUSY] == 3001,
            5,
            lambda: str(rig.klips.drops()),
        )


def test_workers_have_their_own_part_of_each_command() -> None:
    klips = Klips(workers=2)
    assert klips.workers == 2
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        local = Endpoint(ip_address("127.0.0.1"), sock.getsockname()[1])
        klips.execute(AttachSocket(local, (sock.fileno(),)))
        before = len(os.listdir("/proc/self/fd"))
        klips.execute(DetachSocket(local))
        klips.execute(AttachSocket(local, (sock.fileno(), sock.fileno()), 1500, True))
        klips.execute(
            AddSa(
                Said(50, OUT_SPI, local.address),
                local.address,
                Direction.OUT,
                "aes_gcm_16",
                bytes(20),
                peer_said=Said(50, IN_SPI, local.address),
            )
        )
        klips.execute(DetachSocket(local))
        klips.start()
        klips.stop()
        assert len(os.listdir("/proc/self/fd")) <= before
