# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs the kernel runs on packets, run here; how they fare there is seen in tests/netns/test_rawpath.py."""

from __future__ import annotations

import random
import socket
import struct
from ipaddress import ip_address

import pytest
from _fast.handoff import lane

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.host import packetsock as ps

OURS: list[Address] = [ip_address(each) for each in ("192.0.2.1", "2001:db8::1", "203.0.113.9", "2001:db8:9::1")]
LANE_FAILED = 0


def run(steps: ps.Program, packet: bytes, kind: int = 0, ethertype: int = 0x0800) -> int:
    """What a classic BPF program answers; an access beyond the packet ends it with 0."""
    a = x = at = 0
    while True:
        code, true, false, k = steps[at]
        at += 1
        if code in (ps.LOAD_BYTE, ps.LOAD_HALF, ps.LOAD_WORD, ps.LOAD_INDEXED):
            if k >= ps.ANCILLARY:
                a = {ps.AD_PROTOCOL: ethertype, ps.AD_PKTTYPE: kind}[k - ps.ANCILLARY]
                continue
            start = k + (x if code == ps.LOAD_INDEXED else 0)
            size = {ps.LOAD_BYTE: 1, ps.LOAD_HALF: 2}.get(code, 4)
            if start + size > len(packet):
                return 0
            a = int.from_bytes(packet[start : start + size], "big")
        elif code == ps.HEAD_LENGTH:
            x = (packet[k] & 15) * 4
        elif code == ps.INDEX:
            x = k
        elif code == ps.EQUAL:
            at += true if a == k else false
        elif code == ps.ANY_BIT:
            at += true if a & k else false
        elif code == ps.JUMP:
            at += k
        elif code == ps.TO_X:
            x = a
        elif code == ps.RIGHT:
            a >>= k
        elif code == ps.XOR_X:
            a ^= x
        elif code == ps.TIMES:
            a = a * k & 0xFFFFFFFF
        elif code == ps.MODULO:
            a %= k
        else:
            return k if code == ps.ANSWER else a


def packet4(to: Address, protocol: int = 50, frag: int = 0, first: int = 0x45, spi: int = 0x1001) -> bytes:
    """An IPv4 packet as far as the filter looks; options when `first` says so."""
    options = bytes(4 * ((first & 15) - 5))
    head = struct.pack("!BBHHHBBH4s4s", first, 0, 60, 1, frag, 64, protocol, 0, bytes(4), to.packed)
    return head + options + struct.pack("!II", spi, 1)


def packet6(to: Address, protocol: int = 50, spi: int = 0x1001) -> bytes:
    """The same for IPv6."""
    return struct.pack("!IHBB16s16sII", 6 << 28, 20, protocol, 64, bytes(16), to.packed, spi, 1)


def test_whole_esp_to_us_is_let_in() -> None:
    steps = ps.program(OURS)
    for each in OURS:
        made = packet4(each, frag=0x4000) if each.version == 4 else packet6(each)
        assert run(steps, made, ethertype=ps.ETHERTYPES[each.version]) == ps.WHOLE


@pytest.mark.parametrize("only", [OURS[:1], OURS[1:2]])
def test_one_family_alone(only: list[Address]) -> None:
    steps = ps.program(only)
    for each in OURS:
        made = packet4(each) if each.version == 4 else packet6(each)
        assert bool(run(steps, made, ethertype=ps.ETHERTYPES[each.version])) == (each in only)


def test_everything_else_stays_out() -> None:
    steps = ps.program(OURS)
    mine = OURS[0]
    for packet, kind, ethertype in (
        (packet4(mine, protocol=17), 0, 0x0800),
        (packet4(mine, frag=0x2000), 0, 0x0800),
        (packet4(mine, frag=0x0001), 0, 0x0800),
        (packet4(mine, frag=0x1FFF), 0, 0x0800),
        (packet4(mine, first=0x46), 0, 0x0800),
        (packet4(ip_address("192.0.2.2")), 0, 0x0800),
        (packet4(mine), 1, 0x0800),  # broadcast
        (packet4(mine), 3, 0x0800),  # for another host
        (packet4(mine), 4, 0x0800),  # our own
        (packet4(mine), 0, 0x0806),
        (packet4(mine), 0, 0x86DD),
        (packet6(OURS[1]), 0, 0x0800),
        (packet6(OURS[1], protocol=44), 0, 0x86DD),
        (packet6(ip_address("2001:db8::2")), 0, 0x86DD),
        (packet6(ip_address("2001:db9::1")), 0, 0x86DD),
        (b"", 0, 0x0800),
        (packet4(mine)[:19], 0, 0x0800),
    ):
        assert run(steps, packet, kind, ethertype) == 0


def test_jumps_of_the_longest_program_fit_their_octet() -> None:
    many = [ip_address(f"2001:db8::{n:x}") for n in range(1, ps.MOST_ADDRESSES + 1)]
    steps = ps.program(many)
    assert all(0 <= true < 256 and 0 <= false < 256 for _, true, false, _ in steps)
    assert all(run(steps, packet6(each), ethertype=0x86DD) for each in many)
    with pytest.raises(HostError, match="17 addresses"):
        ps.open_rings("lo", [*many, ip_address("192.0.2.1")], 1)


def test_lanes_are_the_engines(lanes: tuple[int, ...] = (2, 3, 8)) -> None:
    rng = random.Random(7)
    for count in lanes:
        steps = ps.lane_program(count)
        for _ in range(300):
            spi = rng.getrandbits(32)
            wanted = lane(spi, count) - 1
            assert run(steps, packet4(OURS[0], spi=spi)) == wanted
            assert run(steps, packet4(OURS[0], spi=spi, first=0x4F)) == wanted
            assert run(steps, packet6(OURS[1], spi=spi)) == wanted
        assert run(steps, b"\x00" * 60) == LANE_FAILED and run(steps, packet4(OURS[0])[:22]) == LANE_FAILED


def test_an_interface_that_is_not_there_has_no_rings() -> None:
    with pytest.raises(HostError, match="no packet ring on nowhere0"):
        ps.open_rings("nowhere0", OURS, 2)


def test_without_the_right_to_packet_sockets_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(ps.socket, "socket", refuse)
    with pytest.raises(HostError, match="Operation not permitted"):
        ps.open_link()
    with pytest.raises(HostError, match="Operation not permitted"):
        ps.open_rings("lo", OURS, 1)
