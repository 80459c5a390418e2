# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames sealed straight into the outbox: the same packets as by way of a copy, opened by the slow twin."""

from __future__ import annotations

from random import Random

import pytest
from _fast.segment import cut

from openswan.base.drops import Drop
from openswan.base.said import Said
from openswan.klips.slow.esp import Esp
from openswan.plane.commands import Direction, Life, SetPathMtu
from openswan.plane.events import SaExpired
from tests.fast.rig import HERE, KEYS, OUT_SPI, THERE, VNET, Rig, checksums_right, mss_option, tcp, udp, vnet

HERE6, THERE6 = "fd01::5", "fd02::7"
SUITES = {
    "aes_gcm_8": (bytes(range(20)), "", b""),
    "aes_gcm_12": (bytes(range(28)), "", b""),
    "aes_gcm_16": (bytes(range(20)), "", b""),
}


def frames(rng: Random) -> list[tuple[bytes, bytes]]:
    """Single packets of every length modulo four, super-packets of both kinds and families: (vnet header, packet)."""
    made = []
    for n in range(12):
        v6 = n % 2
        src, dst = (HERE6, THERE6) if v6 else (HERE, THERE)
        made.append((VNET, udp(src, dst, 5, 6, rng.randbytes(rng.randint(0, 40)))))
        data, size = rng.randbytes(rng.randint(1, 20000)), rng.randint(90, 1300)
        head = 60 if v6 else 40
        made.append((vnet(4 if v6 else 1, head, size, head - 20, 16), tcp(src, dst, 5, 6, data, flags=0x19)))
        head -= 12
        made.append((vnet(5, head, size, head - 8, 6), udp(src, dst, 5, 6, data)))
    return made


@pytest.mark.parametrize("esn", [False, True])
@pytest.mark.parametrize("cipher", SUITES)
def test_every_segment_opens_to_what_the_cutter_makes(cipher: str, esn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in SUITES.items():
        monkeypatch.setitem(KEYS, name, key)
    rig = Rig(cipher, esn=esn)
    try:
        rig.tunnel()
        key, _, _ = SUITES[cipher]
        twin = Esp(cipher, key, esn=esn, window=4096)
        sequence = octets = 0
        for head, packet in frames(Random(1)):
            rig.send(packet, head)
            for piece in cut(head + packet)[1]:
                sealed = rig.wire()
                sequence += 1
                octets += len(piece)
                assert twin.open(sealed) == (Drop.NONE, piece, 41 if piece[0] >> 4 == 6 else 4, sequence)
                assert len(sealed) % 4 == 0 and len(sealed) - len(piece) - 18 - twin.icv_len < 4
        view = next(v for v in rig.klips.sas() if v.direction is Direction.OUT)
        assert (view.packets, view.octets) == (sequence, octets)
        assert sum(e.packets for e in rig.klips.eroutes()) == len(frames(Random(1)))
        assert sum(rig.klips.drops().values()) == 0
    finally:
        rig.close()


def test_a_super_packet_that_would_pass_an_end_goes_packet_by_packet(rig: Rig) -> None:
    rig.do(rig.sa(Direction.OUT, life=Life(soft_packets=12, hard_packets=15)))
    rig.eroute()
    frame = vnet(1, 40, 1000, 20, 16)
    for _ in range(2):
        rig.send(tcp(HERE, THERE, 5, 6, bytes(9500)), frame)
    assert len([rig.opened() for _ in range(15)]) == 15
    rig.dropped(Drop.SA_EXPIRED, 5)
    assert rig.events(2) == [SaExpired(rig.out_said, False), SaExpired(rig.out_said, True)]
    assert rig.silent(0.05)


def test_sequence_numbers_go_on_across_both_ways(tunnel: Rig) -> None:
    cookie = tunnel.klips._sas.cookie(tunnel.out_said, Direction.OUT)
    tunnel.klips._engine.set_sequence(cookie, 2**31 - 4)
    frame = vnet(1, 40, 1000, 20, 16)
    tunnel.send(udp(HERE, THERE, 1, 2))
    tunnel.send(tcp(HERE, THERE, 5, 6, bytes(4500)), frame)
    numbers = [int.from_bytes(tunnel.wire()[4:8], "big") for _ in range(6)]
    assert numbers == [2**31 - 3 + n for n in range(6)]
    assert tunnel.events(1) == [SaExpired(tunnel.out_said, False)]


def test_a_syn_s_mss_is_clamped_and_padding_by_wish_is_made(rig: Rig) -> None:
    rig.do(rig.sa(Direction.OUT))
    rig.eroute()
    rig.do(SetPathMtu(rig.out_said, 600))
    rig.send(tcp(HERE, THERE, 5, 6, flags=2, options=mss_option(1460)))
    got = rig.opened()
    assert int.from_bytes(got[42:44], "big") < 600 - 40 and checksums_right(got)
    padded = Said(rig.out_said.proto, OUT_SPI + 1, rig.out_said.dst)
    rig.do(rig.sa(Direction.OUT, padded, tfc=400))
    rig.eroute(padded)
    rig.send(udp(HERE, THERE, 1, 2))
    assert len(rig.wire()) > 400


def test_counters_of_two_sas_in_turn_are_each_their_own(rig: Rig) -> None:
    other = Said(rig.out_said.proto, OUT_SPI + 1, rig.out_said.dst)
    rig.do(rig.sa(Direction.OUT))
    rig.do(rig.sa(Direction.OUT, other))
    rig.eroute()
    rig.eroute(other, dst="10.2.9.0/24")
    rig.klips.stop()
    for n in range(30):
        rig.send(udp(HERE, THERE if n % 3 else "10.2.9.1", 1, 2, bytes(n)))
    rig.klips.start()
    for _ in range(30):
        rig.wire()
    packets = {view.said: view.packets for view in rig.klips.sas()}
    assert packets == {rig.out_said: 20, other: 10}
    assert sorted(e.packets for e in rig.klips.eroutes()) == [10, 20]
