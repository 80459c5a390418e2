# SPDX-License-Identifier: GPL-2.0-or-later
"""What is read back of an SA is what was added."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.address import Endpoint
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.klips.engine import Klips
from openswan.klips.rows import SaRow
from openswan.plane.commands import AddSa, Direction, Encap, Life, Mode, MoveSa, SetEroute
from openswan.policy.selector import FlowKey, Selector

HERE, THERE = ip_address("192.0.2.1"), ip_address("192.0.2.2")
HERE6, THERE6 = ip_address("2001:db8::1"), ip_address("2001:db8::2")
PAIR = (Selector.of(ip_network("10.2.0.0/16"), 6, 443), Selector.of(ip_network("10.1.0.0/24"), 6))
OUT = AddSa(Said(IpProtocol.ESP, 0x1234, THERE), HERE, Direction.OUT, "aes_gcm_16", bytes(20), owner="net", serial=300)
IN = replace(OUT, said=Said(IpProtocol.ESP, 0x4321, HERE), src=THERE, direction=Direction.IN, selectors=(PAIR,))
KEY = bytes(16)
AH = Said(IpProtocol.AH, 0x100, THERE)


def row(command: AddSa, *more: MoveSa) -> SaRow:
    klips = Klips("auto", 1)
    for each in (command, *more):
        klips.execute(each)
    (cookie,) = klips._engine.cookies()
    return SaRow(*klips._engine.describe(cookie))


@pytest.mark.parametrize(
    "command",
    [
        OUT,
        IN,
        replace(OUT, esn=True, replay_window=4096, life=Life(1, 2, 3, 4), mode=Mode.TRANSPORT, device="ipsec7"),
        replace(
            IN, encap=Encap(4500, 1024), replay_window=0, cipher="null", enc_key=b"", integ="aes_xcbc_96", auth_key=KEY
        ),
        replace(OUT, said=AH, cipher="", enc_key=b"", integ="aes_128_gmac", auth_key=bytes(20), mode=Mode.TRANSPORT),
        replace(OUT, said=Said(IpProtocol.COMP, 2, THERE), cipher="deflate", enc_key=b"", mode=Mode.TRANSPORT),
        replace(OUT, said=Said(IpProtocol.IPIP, 0x100, THERE), cipher="", enc_key=b""),
        replace(
            OUT, said=Said(IpProtocol.ESP, 0x1234, THERE6), src=HERE6, encap=Encap(1, 65535), mtu=1400, unproven=True
        ),
    ],
)
def test_all_of_it(command: AddSa) -> None:
    it = row(command)
    assert (it.said, it.src, it.direction, it.mode) == (command.said, command.src, command.direction, command.mode)
    assert (it.cipher, it.integ, it.esn, it.window) == (
        command.cipher,
        command.integ,
        command.esn,
        command.replay_window,
    )
    assert (it.ports, it.life) == (
        (command.encap.src_port, command.encap.dst_port) if command.encap else None,
        command.life,
    )
    assert (it.note.owner, it.note.serial, it.note.device) == (command.owner, command.serial, command.device)
    assert (it.kept_mtu, it.unproven) == (command.mtu, command.unproven)


def test_python_keeps_next_to_nothing_of_a_pair() -> None:
    klips, count = Klips("auto", 1), 400
    lan = ip_network("10.0.0.0/8")
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for n in range(count):
            far, owner = ip_network((0xAC100000 + n, 32)), f"peer{n}"
            out = replace(OUT, said=Said(IpProtocol.ESP, 0x1000 + n, THERE), owner=owner)
            klips.execute(replace(IN, said=Said(IpProtocol.ESP, 0x100000 + n, HERE), owner=owner))
            klips.execute(out)
            klips.execute(SetEroute(FlowKey(lan, far), out.said, owner=owner, serial=300))
        del far, owner, out
        gc.collect()
        assert (tracemalloc.get_traced_memory()[0] - before) / count < 200
    finally:
        tracemalloc.stop()
    assert [view.owner for view in klips.sas()] == [f"peer{n}" for n in range(count) for _ in range(2)]
    assert all(view.target == Said(IpProtocol.ESP, 0x1000 + n, THERE) for n, view in enumerate(klips.eroutes()))


def test_selectors_are_an_inbound_ones() -> None:
    first, second = PAIR
    assert row(IN).selectors == (PAIR,) and row(replace(OUT, selectors=(PAIR,))).selectors == ()
    mixed = replace(IN, selectors=((first, replace(second, protocol=0)), (first, second)))
    assert row(mixed).selectors == (PAIR, PAIR)


def test_the_name_stays_where_the_path_goes() -> None:
    there = Endpoint(ip_address("198.51.100.9"), 4501)
    it = row(OUT, MoveSa(OUT.said, Endpoint(HERE, 4500), there))
    assert it.said == OUT.said and it.ends == (Endpoint(HERE, 4500), there) and it.ports == (4500, 4501)
