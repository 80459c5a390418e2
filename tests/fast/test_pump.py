# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine as a whole: changes while packets flow, thousands of SAs, threads, descriptors, memory."""

from __future__ import annotations

import select
import threading
import time
from ipaddress import ip_network

import pytest

from openswan.base.said import Said, Shunt
from openswan.plane.commands import (
    DelSa,
    Direction,
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
