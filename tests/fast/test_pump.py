# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine as a whole: changes while packets flow, thousands of SAs, threads, descriptors, memory."""

from __future__ import annotations

import os
import resource
import select
import socket
import threading
import time
from ipaddress import ip_address, ip_network

import pytest

from _fast.pump import Engine
from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.said import Said, Shunt
from openswan.plane.commands import (
    AttachDevice,
    AttachSocket,
    DelEroute,
    DelSa,
    DetachDevice,
    DetachSocket,
    Direction,
    Flush,
    SetEroute,
)
from openswan.policy.selector import FlowKey
from tests.fast.rig import HERE, THERE, Rig, eventually, udp


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_eroutes_and_sas_are_replaced_while_packets_flow(workers: int) -> None:
    rig = Rig(workers=workers)
    try:
        rig.tunnel()
        stop = threading.Event()
        sent = 0

        def flood() -> None:
            nonlocal sent
            while not stop.is_set():
                rig.send(udp(HERE, THERE, 1, sent % 65535 + 1))
                sent += 1
                if sent % 50 == 0:
                    time.sleep(0.001)

        thread = threading.Thread(target=flood)
        thread.start()
        got = 0
        rig.peer.setblocking(False)

        def drain() -> None:
            nonlocal got
            while select.select([rig.peer], [], [], 0)[0]:
                rig.peer.recv(2000)
                got += 1

        # Make before break, over and over: a new SA, the eroute onto it, the old SA away.
        said = rig.out_said
        for n in range(300):
            new = Said(said.proto, 0x9000 + n, said.dst)
            rig.do(rig.sa(Direction.OUT, new))
            rig.eroute(new)
            rig.do(SetEroute(FlowKey(ip_network("10.50.0.0/16"), ip_network(f"10.{n % 200}.0.0/16")), Shunt.DROP))
            rig.do(DelSa(said))
            said = new
            drain()
        stop.set()
        thread.join()
        eventually(lambda: drain() or got >= sent, 5, lambda: f"{got} of {sent}, {rig.klips.drops()}")  # type: ignore[func-returns-value]
        assert got == sent and sum(rig.klips.drops().values()) == 0
        eventually(lambda: rig.klips._engine.waiting() == 0 or rig.klips.eroutes() == [], 2)
    finally:
        rig.close()


def test_five_thousand_sas_and_eroutes(rig: Rig) -> None:
    rig.tunnel()
    for n in range(5000):
        said = Said(rig.out_said.proto, 0x10000 + n, rig.out_said.dst)
        rig.do(rig.sa(Direction.OUT, said))
        rig.do(rig.sa(Direction.IN, Said(said.proto, said.spi, rig.local.address)))
        net = f"172.{16 + (n >> 12)}.{n >> 4 & 255}.{(n & 15) << 4}/28"
        rig.do(SetEroute(FlowKey(ip_network("10.1.0.0/16"), ip_network(net)), said))
    assert len(rig.klips.sas()) == 10002 and len(rig.klips.eroutes()) == 5002
    rig.send(udp(HERE, "172.17.3.35", 1, 2))
    assert int.from_bytes(rig.wire()[:4], "big") == 0x10000 + (1 << 12 | 3 << 4 | 2)
    rig.do(Flush())
    assert rig.klips.sas() == [] and rig.klips.eroutes() == []
    rig.send(udp(HERE, THERE, 1, 2))
    rig.dropped(Drop.NO_EROUTE)


def test_an_idle_engine_uses_no_cpu(tunnel: Rig) -> None:
    time.sleep(0.2)
    before = resource.getrusage(resource.RUSAGE_SELF)
    time.sleep(1)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.02


def test_a_device_that_dies_does_not_spin(tunnel: Rig) -> None:
    tunnel.host.close()
    time.sleep(0.2)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1
    tunnel.arrive(tunnel.seal(udp(THERE, HERE, 1, 2)))
    tunnel.dropped(Drop.TUN_FAILED)


def test_stop_and_start_again(tunnel: Rig) -> None:
    for _ in range(5):
        tunnel.klips.stop()
        assert not [t for t in threading.enumerate() if t.name.startswith("klips-")]
        tunnel.klips.start()
        tunnel.klips.start()
        tunnel.send(udp(HERE, THERE, 1, 2))
        assert tunnel.opened() == udp(HERE, THERE, 1, 2)


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


def test_memory_does_not_grow_with_churn(tunnel: Rig) -> None:
    def churn(rounds: int) -> int:
        for n in range(rounds):
            said = Said(tunnel.out_said.proto, 0x7000 + n % 50, tunnel.out_said.dst)
            tunnel.do(tunnel.sa(Direction.OUT, said))
            key = tunnel.eroute(said, dst=f"10.3.{n % 256}.0/24")
            tunnel.uneroute(key)
            tunnel.do(DelSa(said))
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4096

    churn(500)
    before = churn(500)
    assert churn(5000) - before < 3 << 20


def test_the_number_of_workers_is_checked() -> None:
    for workers in (0, 9, -1):
        with pytest.raises(ValueError):
            Engine(0, workers)
    with pytest.raises(ValueError):
        Engine(0, 1).run(2)


def test_sequence_numbers_never_go_back(tunnel: Rig) -> None:
    cookie = tunnel.klips._cookie(tunnel.out_said, Direction.OUT)
    tunnel.klips._engine.set_sequence(cookie, 100)
    with pytest.raises(ValueError):
        tunnel.klips._engine.set_sequence(cookie, 99)


def test_an_unknown_sa_is_refused_and_the_engine_goes_on(tunnel: Rig) -> None:
    engine = tunnel.klips._engine
    key = engine.eroutes()[0][0]
    with pytest.raises(KeyError):
        engine.bind_eroute(key, 1 << 40)
    # On a lock that was kept this would wait for ever.
    waiter = threading.Thread(target=engine.eroutes, daemon=True)
    waiter.start()
    waiter.join(2)
    assert not waiter.is_alive()
