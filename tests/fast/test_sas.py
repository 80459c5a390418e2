# SPDX-License-Identifier: GPL-2.0-or-later
"""SAs by the thousand, their numbers, what is refused."""

from __future__ import annotations

import contextlib
from ipaddress import ip_network

import pytest

from openswan.base.drops import Drop
from openswan.base.said import Said
from openswan.plane.commands import Direction, Flush, SetEroute
from openswan.policy.selector import FlowKey
from tests.fast.rig import HERE, THERE, Rig, udp


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


def test_sequence_numbers_never_go_back(tunnel: Rig) -> None:
    cookie = tunnel.klips._sas.cookie(tunnel.out_said, Direction.OUT)
    tunnel.klips._engine.set_sequence(cookie, 100)
    with pytest.raises(ValueError):
        tunnel.klips._engine.set_sequence(cookie, 99)


def test_sequence_numbers_that_are_set_under_traffic_come_once(tunnel: Rig) -> None:
    # A number used twice would be an IV used twice.
    engine = tunnel.klips._engine
    cookie = tunnel.klips._sas.cookie(tunnel.out_said, Direction.OUT)
    numbers = []
    for _ in range(40):
        for n in range(20):
            tunnel.send(udp(HERE, THERE, 1, n))
        for _ in range(200):
            with contextlib.suppress(ValueError):
                engine.set_sequence(cookie, engine.sa(cookie)[2])
        numbers += [int.from_bytes(tunnel.wire()[4:8], "big") for _ in range(20)]
    assert numbers == sorted(set(numbers))


def test_slots_that_there_are_not_are_refused(tunnel: Rig) -> None:
    engine = tunnel.klips._engine
    cookie = tunnel.klips._sas.cookie(tunnel.out_said, Direction.OUT)
    for slot in (-2, 64):
        with pytest.raises(ValueError, match="device slot"):
            engine.set_sa_device(cookie, slot)
    way = (4, bytes(4), 4500, bytes(4), 4500, True)
    for slot in (-2, 256):
        with pytest.raises(ValueError, match="socket slot"):
            engine.move_sa(cookie, (*way, slot, 0, 0, 0, b""))


def test_what_is_gone_is_a_key_error(tunnel: Rig) -> None:
    engine = tunnel.klips._engine
    for call in (engine.sa, engine.describe, engine.partner, engine.del_sa, engine.eroutes_of):
        with pytest.raises(KeyError):
            call(1 << 40)
