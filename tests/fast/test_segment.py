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
