# SPDX-License-Identifier: GPL-2.0-or-later
"""Cutting whole packets: what a receiver would put together again is what was cut."""

from __future__ import annotations

from random import Random

import pytest

from _fast.fragment import cut
from openswan.base.drops import Drop
from tests.fast.rig import HERE, THERE, checksum, ip, join4, udp

HERE6, THERE6 = "fd01::5", "fd02::7"
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60


def header_right(packet: bytes) -> bool:
    """Is the IPv4 header checksum right?"""
    return checksum(packet[: (packet[0] & 15) * 4]) == 0


def with_options(packet: bytes, options: bytes) -> bytes:
    """An IPv4 packet with options (a multiple of 4 octets); its header checksum is wrong."""
    head = bytearray(packet[:20])
    head[0] = 0x45 + len(options) // 4
    head[2:4] = (len(packet) + len(options)).to_bytes(2, "big")
    return bytes(head) + options + packet[20:]


def extension(kind: int, after: int, size: int = 8) -> bytes:
    return bytes([after, size // 8 - 1]) + bytes([kind] * (size - 2))


def chain(*kinds: int, last: int = 17, payload: bytes = b"") -> bytes:
    """An IPv6 packet with these extension headers of 16 octets each."""
    body = b""
    for kind, after in zip(kinds, (*kinds, last)[1:], strict=True):
        body += extension(kind, after, 16)
    body += payload
    first = kinds[0] if kinds else last
    return b"\x60\0\0\0" + len(body).to_bytes(2, "big") + bytes([first, 64]) + bytes(range(32)) + body


@pytest.mark.parametrize("seed", range(30))
def test_ipv4_fragments_join_to_the_whole(seed: int) -> None:
    rng = Random(seed)
    packet = ip(HERE, THERE, 17, rng.randbytes(rng.randint(9, 9000)), df=False, ident=rng.randrange(65536))
    mtu = rng.randint(28, 3000)
    why, pieces = cut(packet, mtu)
    assert why == 0 and all(map(header_right, pieces))
    assert join4(pieces) == packet[20:]
    assert all(len(p) <= mtu and (len(p) - 20) % 8 == 0 for p in pieces[:-1]) and len(pieces[-1]) <= mtu
    assert {p[4:6] for p in pieces} == {packet[4:6]}
    assert [bool(p[6] & 0x20) for p in pieces] == [True] * (len(pieces) - 1) + [False]


def test_a_fragment_is_cut_further_and_keeps_its_place() -> None:
    whole = ip(HERE, THERE, 17, bytes(range(256)) * 16)
    first = cut(whole, 1500)[1]
    again = [piece for fragment in first for piece in cut(fragment, 300)[1]]
    assert join4(again) == whole[20:]
    assert [bool(p[6] & 0x20) for p in again] == [True] * (len(again) - 1) + [False]


def test_an_offset_that_would_wrap_is_refused() -> None:
    # What ends past 65,535 octets of datagram would carry into the flags.
    assert cut(ip(HERE, THERE, 17, bytes(64), df=False, frag=0x1FF8), 68) == (Drop.MALFORMED, [])
    assert len(cut(ip(HERE, THERE, 17, bytes(63), df=False, frag=0x1FF7), 60)[1]) == 2


def test_dont_fragment_stays_as_it_was() -> None:
    packet = bytearray(ip(HERE, THERE, 17, bytes(600)))
    packet[6] |= 0x40
    assert {p[6] & 0x40 for p in cut(bytes(packet), 300)[1]} == {0x40}


def test_only_options_with_the_copy_bit_go_into_later_fragments() -> None:
    record = b"\x07\x07\x04\0\0\0\0"  # record route: first fragment only
    strict = b"\x89\x07\x04\x0a\0\0\1"  # strict source route: every fragment
    packet = with_options(ip(HERE, THERE, 17, bytes(500)), b"\x01" + record + strict + b"\0")
    why, pieces = cut(packet, 200)
    assert why == 0 and pieces[0][20:36] == packet[20:36]
    assert {p[20:28] for p in pieces[1:]} == {strict + b"\0"} and {p[0] for p in pieces[1:]} == {0x47}
    assert join4(pieces) == packet[36:] and all(map(header_right, pieces))


@pytest.mark.parametrize("options", [b"\x07\x09\0\0", b"\x07\x01\0\0", b"\x01\x01\x01\x07", b"\x89\0\0\0"])
def test_options_that_lie(options: bytes) -> None:
    assert cut(with_options(ip(HERE, THERE, 17, bytes(500)), options), 200) == (Drop.MALFORMED, [])


@pytest.mark.parametrize("seed", range(20))
def test_ipv6_fragments_join_to_the_whole(seed: int) -> None:
    rng = Random(seed)
    packet = udp(HERE6, THERE6, 1, 2, rng.randbytes(rng.randint(20, 9000)))
    mtu = rng.randint(60, 3000)
    why, pieces = cut(packet, mtu, 0xA1B2C3D4)
    assert why == 0
    data = b""
    for n, piece in enumerate(pieces):
        field = int.from_bytes(piece[42:44], "big")
        assert piece[:4] == packet[:4] and piece[6] == FRAGMENT and piece[8:40] == packet[8:40]
        assert len(piece) <= mtu and int.from_bytes(piece[4:6], "big") == len(piece) - 40
        assert (piece[40], field & 0xFFF8, bool(field & 1)) == (17, len(data), n < len(pieces) - 1)
        assert piece[44:48] == b"\xa1\xb2\xc3\xd4"
        data += piece[48:]
    assert data == packet[40:]


@pytest.mark.parametrize(
    ("kinds", "kept"),
    [
        ((), 0),
        ((HOP_BY_HOP,), 1),
        ((DESTINATION,), 0),
        ((HOP_BY_HOP, DESTINATION), 1),
        ((HOP_BY_HOP, DESTINATION, ROUTING), 3),
        ((HOP_BY_HOP, DESTINATION, ROUTING, DESTINATION), 3),
        ((ROUTING,), 1),
    ],
)
def test_the_fragment_header_follows_what_routers_must_see(kinds: tuple[int, ...], kept: int) -> None:
    packet = chain(*kinds, last=50, payload=bytes(range(256)) * 4)
    why, pieces = cut(packet, 400, 7)
    assert why == 0
    at = 40 + 16 * kept
    nexts = [*kinds, 50]
    for piece in pieces:
        assert piece[at] == nexts[kept]
        assert piece[40 + 16 * (kept - 1) if kept else 6] == FRAGMENT
    assert b"".join(p[at + 8 :] for p in pieces) == packet[at:]


def test_what_cannot_be_cut() -> None:
    fragment = cut(chain(payload=bytes(900)), 400, 7)[1][0]
    assert cut(fragment, 200) == (Drop.MALFORMED, [])
    assert cut(chain(HOP_BY_HOP, payload=bytes(100))[:50], 200) == (Drop.MALFORMED, [])
    assert cut(chain(*[DESTINATION] * 9, payload=bytes(100)), 200) == (Drop.MALFORMED, [])
    # Seven headers parse, but not with a fragment header too; mobility (135) counts among them.
    assert cut(chain(*[HOP_BY_HOP] * 7, last=16, payload=bytes(900)), 400) == (Drop.MALFORMED, [])
    assert cut(chain(*[HOP_BY_HOP] * 6, 135, last=16, payload=bytes(900)), 400) == (Drop.MALFORMED, [])
    assert cut(chain(*[HOP_BY_HOP] * 5, 135, last=16, payload=bytes(900)), 400)[0] == 0
    assert cut(ip(HERE, THERE, 17, bytes(100)), 27) == (Drop.TOO_BIG, [])
    assert cut(ip(HERE, THERE, 17, bytes(100)), 28)[0] == 0
    assert cut(chain(payload=bytes(100)), 55) == (Drop.TOO_BIG, [])
    assert cut(chain(payload=bytes(100)), 56)[0] == 0


@pytest.mark.parametrize("packet", [chain(HOP_BY_HOP, ROUTING, payload=bytes(40)), ip(HERE, THERE, 17, bytes(60))])
def test_truncated_at_every_octet_never_crashes(packet: bytes) -> None:
    for n in range(len(packet)):
        why, pieces = cut(packet[:n], 80)
        assert why or sum(map(len, pieces)) >= 0
        assert all(len(p) <= 80 for p in pieces)


def test_what_fits_comes_out_whole_in_ipv4() -> None:
    packet = ip(HERE, THERE, 17, bytes(100))
    assert cut(packet, 120)[1] == [packet]
