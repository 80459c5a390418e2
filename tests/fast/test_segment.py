# SPDX-License-Identifier: GPL-2.0-or-later
"""Cutting super-packets, on random sizes."""

from __future__ import annotations

import struct
from random import Random

import pytest
from _fast.segment import cut

from openswan.base.drops import Drop
from tests.fast.rig import HERE, THERE, checksums_right, tcp, udp

HERE6, THERE6 = "fd01::5", "fd02::7"


def vnet(flags: int, kind: int, size: int, start: int = 0, offset: int = 0) -> bytes:
    return struct.pack("<BBHHHH", flags, kind, 0, size, start, offset)


@pytest.mark.parametrize("seed", range(20))
def test_pieces_join_to_the_whole(seed: int) -> None:
    rng = Random(seed)
    v6, is_tcp = rng.random() < 0.5, rng.random() < 0.6
    src, dst = (HERE6, THERE6) if v6 else (HERE, THERE)
    data = rng.randbytes(rng.randint(2, 60000))
    size = rng.randint(max(1, len(data) // 500), 3000)
    options = b"\x01" * rng.choice([0, 4, 12, 40])
    packet = (
        tcp(src, dst, 1, 2, data, options=options, seq=2**32 - 5000, ident=9) if is_tcp else udp(src, dst, 1, 2, data)
    )
    kind = (4 if v6 else 1) if is_tcp else 5
    head = len(packet) - len(data)
    why, pieces = cut(vnet(1, kind, size) + packet)
    assert why == 0 and all(map(checksums_right, pieces))
    assert b"".join(p[head:] for p in pieces) == data
    assert [len(p) - head for p in pieces[:-1]] == [min(size, len(data))] * (len(pieces) - 1)
    if is_tcp:
        at = head - 20 - len(options)
        assert [int.from_bytes(p[at + 4 : at + 8], "big") for p in pieces] == [
            (2**32 - 5000 + n * size) % 2**32 for n in range(len(pieces))
        ]
        if not v6:
            assert [int.from_bytes(p[4:6], "big") for p in pieces] == [9 + n for n in range(len(pieces))]


def test_a_limit_cuts_tcp_smaller_and_nothing_else() -> None:
    data = bytes(5000)
    assert max(map(len, cut(vnet(1, 1, 1448) + tcp(HERE, THERE, 1, 2, data), 1200)[1])) == 1200
    assert max(map(len, cut(vnet(1, 5, 1400) + udp(HERE, THERE, 1, 2, data), 1200)[1])) == 1428
    assert cut(bytes(10) + tcp(HERE, THERE, 1, 2, data), 1200)[1] == [tcp(HERE, THERE, 1, 2, data)]


def test_cwr_stays_with_the_first_and_fin_and_psh_with_the_last() -> None:
    pieces = cut(vnet(1, 1 | 0x80, 10) + tcp(HERE, THERE, 1, 2, bytes(30), flags=0x99))[1]
    assert [p[33] for p in pieces] == [0x90, 0x10, 0x19]


def test_frames_that_lie() -> None:
    packet = tcp(HERE, THERE, 1, 2, bytes(3000))
    for header in (
        vnet(1, 4, 1000),
        vnet(1, 1, 0),
        vnet(1, 2, 1000),
        vnet(1, 5, 1000),
        vnet(1, 0, 0, 3030, 16),
        vnet(1, 0, 0, 0, 16),
        vnet(1, 0, 0, 65535, 65535),
        vnet(1, 0, 0, 19, 16),
    ):
        assert cut(header + packet) == (Drop.MALFORMED, [])
    for length in range(10 + 41):
        assert cut((vnet(1, 1, 1000) + packet)[:length])[1] == []
    assert cut(vnet(1, 1, 10) + tcp(HERE, THERE, 1, 2)) == (Drop.MALFORMED, [])


def test_a_checksum_never_lands_in_the_ip_header() -> None:
    # 30 octets in stands the destination of IPv6, which policy has matched already.
    assert cut(vnet(1, 0, 0, 20, 10) + udp(HERE6, THERE6, 1, 2)) == (Drop.MALFORMED, [])
    assert cut(vnet(1, 0, 0, 40, 6) + udp(HERE6, THERE6, 1, 2))[0] == 0


@pytest.mark.parametrize("seed", range(30))
def test_what_is_cut_where_it_stands_is_the_same(seed: int) -> None:
    rng = Random(seed)
    for _ in range(20):
        v6, is_tcp = rng.random() < 0.5, rng.random() < 0.6
        src, dst = (HERE6, THERE6) if v6 else (HERE, THERE)
        data = rng.randbytes(rng.choice([1, 2, 39, 41, rng.randint(1, 9000), rng.randint(1, 65000)]))
        flags = rng.choice([0x10, 0x18, 0x19, 0x99, 0xFF])
        options = b"\x01" * rng.choice([0, 4, 12, 40])
        packet = (
            tcp(src, dst, 1, 2, data, flags=flags, options=options, seq=rng.getrandbits(32), ident=rng.getrandbits(16))
            if is_tcp
            else udp(src, dst, 1, 2, data)
        )
        kind = (4 if v6 else 1) if is_tcp else 5
        size = rng.choice([1, 7, 40, 88, 1386, 1400, 3000, 65535])
        if len(data) > size * 700:
            size = 700
        limit = rng.choice([0, 0, 576, 1400])
        head = vnet(1, kind, size) if rng.random() < 0.8 else vnet(1, 0, 0, len(packet) - len(data) - 8, 6)
        if not head[1] and is_tcp:
            head = vnet(0, 0, 0)
        there = cut(head + packet, limit)
        assert cut(head + packet, limit, True) == there and there[0] == 0
        assert all(map(checksums_right, there[1])) or not head[1]


def test_headers_too_long_to_be_put_in_place_are_copied() -> None:
    packet = tcp(HERE6, THERE6, 1, 2, bytes(range(256)) * 10)
    # A hop-by-hop header of 120 octets of padding (RFC 8200 4.2, 4.3).
    longer = bytearray(packet[:40] + bytes([6, 14, 1, 116]) + bytes(116) + packet[40:])
    longer[4:6], longer[6] = (len(longer) - 40).to_bytes(2, "big"), 0
    frame = vnet(1, 4, 1000) + bytes(longer)
    assert cut(frame) == cut(frame, 0, True) and len(cut(frame)[1]) == 3
