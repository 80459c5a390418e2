# SPDX-License-Identifier: GPL-2.0-or-later
"""Fragments put together: raced against the plain twin; bounded in places, holes and time; overlaps spoil."""

from __future__ import annotations

import random
import struct

import pytest

from _fast.fragment import cut
from _fast.join import OF_PAIR, PLACES, SECONDS, Joiner
from openswan.base.drops import Drop
from openswan.klips.slow.join import KEPT, Datagram
from tests.fast.rig import HERE, THERE, ip, udp

SIX = ("fd01::5", "fd02::7")
EXTENSIONS = struct.pack("!BB6x", 43, 0) + struct.pack("!BBBB4x", 60, 0, 4, 0) + struct.pack("!BB6x", 17, 0)
"""Hop-by-hop, routing, destination options: the first two go into every fragment."""


def datagram(version: int, size: int, rng: random.Random, extended: bool = False) -> bytes:
    ends = (HERE, THERE) if version == 4 else SIX
    packet = udp(*ends, 1000, 2000, rng.randbytes(size), df=False)
    if extended and version == 6:
        return ip(*ends, 0, EXTENSIONS + packet[40:])
    if extended:
        head = bytes([0x47]) + packet[1:20] + bytes((0x83, 7, 4, 10, 1, 0, 1, 0))
        total = struct.pack("!H", len(packet) + 8)
        return ip_sum(head[:2] + total + head[4:] + packet[20:])
    return packet


def ip_sum(packet: bytes) -> bytes:
    """The packet with its IPv4 header checksum made anew."""
    from tests.fast.rig import checksum

    head = (packet[0] & 15) * 4
    blank = packet[:10] + bytes(2) + packet[12:]
    return blank[:10] + struct.pack("!H", checksum(blank[:head])) + blank[12:]


def pieces(packet: bytes, mtu: int, ident: int = 7) -> list[bytes]:
    why, made = cut(packet, mtu, ident)
    assert why == 0 and len(made) > 1
    return list(made)


def piece4(start: int, body: bytes, more: bool, ident: int = 1, src: str = HERE, tos: int = 0) -> bytes:
    return ip(src, THERE, 17, body, df=False, frag=(0x2000 if more else 0) | start // 8, ident=ident, tos=tos)


def piece6(start: int, body: bytes, more: bool, ident: int = 1) -> bytes:
    return ip(*SIX, 44, struct.pack("!BBHI", 17, 0, start | more, ident) + body)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("extended", [False, True])
def test_any_order_makes_the_packet_again(version: int, extended: bool) -> None:
    rng = random.Random(version * 2 + extended)
    joiner = Joiner()
    for size in (1600, 3000, 20000, 65000):
        packet = datagram(version, size, rng, extended)
        for mtu in (576, 1280, 1500):
            parts = pieces(packet, mtu)
            for _ in range(3):
                rng.shuffle(parts)
                answers = [joiner.put(part) for part in parts]
                assert [why for why, _ in answers[:-1]] == [KEPT] * (len(parts) - 1)
                assert answers[-1] == (0, packet)
    assert not joiner.under_way


@pytest.mark.parametrize("version", [4, 6])
def test_the_plain_twin_agrees_on_random_pieces(version: int) -> None:
    rng = random.Random(version)
    whole = overlaps = copies = 0
    for turn in range(3000):
        joiner, twin = Joiner(), Datagram()
        size = rng.choice((64, 80, 200, 333))
        body = struct.pack("!HHHH", 1, 2, size, 0) + rng.randbytes(size - 8)
        cuts = sorted({0, *(rng.randrange(0, size, 8) for _ in range(4))})
        parts = [(a, b) for a, b in zip(cuts, [*cuts[1:], size], strict=True)]
        for _ in range(rng.choice((0, 0, 1, 2))):
            start = rng.randrange(0, size, 8)
            parts.append((start, min(size, start + rng.choice((8, 16, 64, 400)))))
        rng.shuffle(parts)
        damaged = rng.random() < 0.3
        for start, end in parts:
            text = body[start:end]
            more = end < size if rng.random() < 0.95 else end % 8 == 0
            if damaged and rng.random() < 0.2:
                text = bytes(len(text))
            if more and len(text) % 8:
                continue
            packet = piece4(start, text, more) if version == 4 else piece6(start, text, more)
            if start == 0 and not more:
                continue  # not a fragment at all, or one that meets no other
            why, got = joiner.put(packet)
            wanted, data = twin.put(packet[:20] if version == 4 else packet[:40], start, text, more)
            if wanted == 0:
                whole += 1
                first = data[4:6] == struct.pack("!H", size)
                assert why == 0 and got[20 if version == 4 else 40 :] == data, (turn, first)
                break
            overlaps += wanted == Drop.FRAGMENT_OVERLAP
            copies += wanted == Drop.FRAGMENT_LOST
            assert (why, got) == (wanted, b""), (turn, start, end, more)
    assert whole > 500 and overlaps > 200 and copies > 50


def test_overlaps_spoil_what_is_still_to_come() -> None:
    joiner = Joiner()
    assert joiner.put(piece4(0, bytes(16), True))[0] == KEPT
    assert joiner.put(piece4(8, b"x" * 16, True))[0] == Drop.FRAGMENT_OVERLAP
    assert joiner.lost == 2
    for part in (piece4(0, bytes(16), True), piece4(16, bytes(8), False)):
        assert joiner.put(part)[0] == Drop.FRAGMENT_OVERLAP
    assert joiner.lost == 4 and joiner.under_way == 1
    # The same number is good again when it has been forgotten.
    assert joiner.put(piece4(0, bytes(16), True), 2.0 + SECONDS)[0] == KEPT
    assert joiner.put(piece4(16, bytes(8), False), 2.0 + SECONDS)[0] == 0


def test_an_end_cannot_move() -> None:
    for second in (piece4(32, bytes(8), False), piece4(24, bytes(16), True), piece4(64, bytes(8), True)):
        joiner = Joiner()
        assert joiner.put(piece4(16, bytes(8), False))[0] == KEPT
        assert joiner.put(second)[0] == Drop.FRAGMENT_OVERLAP
    joiner = Joiner()
    assert joiner.put(piece4(64, bytes(8), True))[0] == KEPT
    assert joiner.put(piece4(16, bytes(8), False))[0] == Drop.FRAGMENT_OVERLAP


def test_a_datagram_is_given_up_in_time() -> None:
    joiner = Joiner()
    assert joiner.put(piece4(0, bytes(16), True), 1.0)[0] == KEPT
    assert joiner.put(piece4(16, bytes(8), False), 1.5 + SECONDS)[0] == KEPT
    assert (joiner.lost, joiner.under_way) == (1, 1)


def test_one_pair_displaces_only_its_own() -> None:
    joiner = Joiner()
    assert joiner.put(piece4(0, bytes(16), True, src="10.1.0.9"), 1.0)[0] == KEPT
    for ident in range(200):
        assert joiner.put(piece4(0, bytes(16), True, ident), 1.1 + ident / 1000)[0] == KEPT
    assert (joiner.under_way, joiner.lost) == (1 + OF_PAIR, 200 - OF_PAIR)
    assert joiner.put(piece4(16, bytes(8), False, src="10.1.0.9"), 1.4)[0] == 0


def test_places_are_bounded_and_the_oldest_goes_first() -> None:
    joiner = Joiner()
    for n in range(PLACES + 3):
        assert joiner.put(piece4(0, bytes(16), True, src=f"10.1.0.{n + 1}"), 1.0 + n / 1000)[0] == KEPT
    assert (joiner.under_way, joiner.lost) == (PLACES, 3)
    assert joiner.put(piece4(16, bytes(8), False, src="10.1.0.4"), 1.1)[0] == 0
    assert joiner.put(piece4(16, bytes(8), False, src="10.1.0.1"), 1.1)[0] == KEPT


def test_holes_are_bounded() -> None:
    joiner = Joiner()
    answers = [joiner.put(piece4(16 * n, bytes(8), True))[0] for n in range(100)]
    assert answers[:64] == [KEPT] * 64 and answers[64] == Drop.FRAGMENT_LOST
    assert set(answers[65:]) == {Drop.FRAGMENT_OVERLAP} and joiner.lost == 100


def test_pieces_of_different_owners_never_meet() -> None:
    joiner = Joiner()
    assert joiner.put(piece4(0, bytes(16), True), owner=1)[0] == KEPT
    assert joiner.put(piece4(16, bytes(8), False), owner=2)[0] == KEPT
    assert joiner.put(piece4(16, bytes(8), False), owner=1)[0] == 0


def test_congestion_on_one_piece_is_congestion_on_the_whole() -> None:
    for tos, mark, result in ((2, 3, 3), (2, 2, 2), (3, 3, 3), (0, 0, 0)):
        joiner = Joiner()
        joiner.put(piece4(0, bytes(16), True, tos=0xB8 | tos))
        why, packet = joiner.put(piece4(16, bytes(8), False, tos=0xB8 | mark))
        assert (why, packet[1]) == (0, 0xB8 | result)
        assert ip_sum(packet) == packet
    joiner = Joiner()
    joiner.put(piece4(0, bytes(16), True, tos=0))
    assert joiner.put(piece4(16, bytes(8), False, tos=3))[0] == Drop.CONGESTED and joiner.lost == 2


def test_an_ipv6_packet_in_one_fragment_meets_no_other() -> None:
    joiner = Joiner()
    body = struct.pack("!HHHH", 1, 2, 24, 0) + bytes(16)
    assert joiner.put(piece6(0, body[:16], True))[0] == KEPT
    assert joiner.put(piece6(0, body, False)) == (0, ip(*SIX, 17, body))
    assert joiner.put(piece6(16, body[16:], False)) == (0, ip(*SIX, 17, body))


@pytest.mark.parametrize("version", [4, 6])
def test_what_cannot_be_a_piece_is_malformed(version: int) -> None:
    joiner = Joiner()

    def put(start: int, body: bytes, more: bool) -> int:
        packet = piece4(start, body, more) if version == 4 else piece6(start, body, more)
        return joiner.put(packet)[0]

    for start, size, more in ((8, 0, True), (8, 0, False), (8, 7, True), (65528, 8, False), (65520, 400, True)):
        assert put(start, bytes(size), more) == Drop.MALFORMED, (start, size, more)
    good = piece4(8, bytes(40), True) if version == 4 else piece6(8, bytes(40), True)
    for n in range(len(good)):
        assert joiner.put(good[:n])[0] == Drop.MALFORMED
    assert joiner.under_way == 0 and joiner.lost == 5
    # The longest there is, and one octet more.
    room = 65535 - 20 if version == 4 else 65535 - 40 - 8
    last = room // 8 * 8
    assert put(last - 8, bytes(room - last + 8), False) == KEPT


def test_a_first_piece_with_longer_headers_makes_no_longer_packet() -> None:
    joiner = Joiner()
    assert joiner.put(piece4(65504, bytes(11), False))[0] == KEPT
    rng = random.Random(3)
    long_first = datagram(4, 65472, rng, extended=True)
    why, parts = cut(ip_sum(long_first), 65000)
    assert why == 0
    answers = {joiner.put(part)[0] for part in parts}
    assert Drop.FRAGMENT_OVERLAP in answers or Drop.MALFORMED in answers
