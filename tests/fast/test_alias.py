# SPDX-License-Identifier: GPL-2.0-or-later
"""One address for another: packets are what they would be, had they been made with the other address at once."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network
from random import Random

import pytest
from _fast.alias import translate

from openswan.base.drops import Drop
from openswan.plane.commands import Direction
from openswan.policy.selector import Selector
from tests.fast.rig import (
    HERE,
    THERE,
    VNET,
    Rig,
    checksum,
    checksums_right,
    icmp_error,
    ip,
    pseudo,
    tcp,
    udp,
    vnet,
)

GIVEN = "100.64.0.3"
HERE6, THERE6, GIVEN6 = "fd01::5", "fd02::7", "fd64::3"
FAMILIES = [(HERE, GIVEN, THERE), (HERE6, GIVEN6, THERE6)]
TCPV4 = 1


def turned(packet: bytes, own: str, given: str, way: str, header: bytes = VNET) -> bytes:
    frame, told = translate(header + packet, ip_address(own).packed, ip_address(given).packed, way)
    assert told and frame[:10] == header
    return frame[10:]


def made(kind: str, src: str, dst: str, payload: bytes) -> bytes:
    if kind == "tcp":
        return tcp(src, dst, 5, 6, payload)
    if kind == "udp":
        return udp(src, dst, 5, 6, payload)
    v6 = ip_address(src).version == 6
    body = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 1, 2) + payload
    total = checksum((pseudo(src, dst, 58, len(body)) if v6 else b"") + body)
    return ip(src, dst, 58 if v6 else 1, body[:2] + struct.pack("!H", total) + body[4:])


@pytest.mark.parametrize(("own", "given", "peer"), FAMILIES)
@pytest.mark.parametrize("kind", ["tcp", "udp", "echo"])
def test_it_is_as_if_it_had_been_made_so(own: str, given: str, peer: str, kind: str) -> None:
    random = Random(kind + own)
    for length in (*range(20), 1001, 1400):
        payload = random.randbytes(length)
        leaves, comes = made(kind, own, peer, payload), made(kind, peer, given, payload)
        assert turned(leaves, own, given, "out") == made(kind, given, peer, payload)
        assert turned(made(kind, given, peer, payload), own, given, "back") == leaves
        assert turned(comes, own, given, "in") == made(kind, peer, own, payload)


@pytest.mark.parametrize(("own", "given", "peer"), FAMILIES)
def test_others_stay_as_they_are(own: str, given: str, peer: str) -> None:
    for packet in (udp(peer, own, 1, 2), udp(peer, peer, 1, 2), udp(given, peer, 1, 2)):
        assert turned(packet, own, given, "out") == packet
    for packet in (udp(given, peer, 1, 2), udp(peer, own, 1, 2)):
        assert turned(packet, own, given, "in") == packet


def test_a_udp_checksum_of_zero() -> None:
    packet = udp(HERE, THERE, 1, 2)
    none = packet[:26] + b"\0\0" + packet[28:]
    wanted = udp(GIVEN, THERE, 1, 2)
    assert turned(none, HERE, GIVEN, "out") == wanted[:26] + b"\0\0" + wanted[28:]
    own, given, peer = FAMILIES[1]
    packet, wanted = udp(own, peer, 1, 2), udp(given, peer, 1, 2)
    assert turned(packet[:46] + b"\0\0" + packet[48:], own, given, "out") == wanted[:46] + b"\0\0" + wanted[48:]
    # One that comes out as zero is sent as its other form (RFC 768).
    zeros = 0
    for n in range(0x10000):
        wanted = udp(GIVEN, THERE, 1, n, b"xy")
        if wanted[26:28] == b"\xff\xff":
            zeros += 1
            assert turned(udp(HERE, THERE, 1, n, b"xy"), HERE, GIVEN, "out") == wanted
    assert zeros


def test_a_wrong_checksum_stays_wrong() -> None:
    packet = bytearray(tcp(HERE, THERE, 5, 6, b"data"))
    packet[-1] ^= 1
    assert not checksums_right(turned(bytes(packet), HERE, GIVEN, "out"))


@pytest.mark.parametrize(("own", "given", "peer"), FAMILIES)
@pytest.mark.parametrize(("kind", "offset"), [("tcp", 16), ("udp", 6)])
def test_a_checksum_that_waits_for_the_rest(own: str, given: str, peer: str, kind: str, offset: int) -> None:
    head, number = (40, 6 if kind == "tcp" else 17) if ":" in own else (20, 6 if kind == "tcp" else 17)

    def waiting(src: str) -> bytes:
        packet = made(kind, src, peer, b"odd")
        part = 0xFFFF ^ checksum(pseudo(src, peer, number, len(packet) - head))
        return packet[: head + offset] + struct.pack("!H", part) + packet[head + offset + 2 :]

    header = vnet(0, 0, 0, head, offset)
    assert turned(waiting(own), own, given, "out", header) == waiting(given)
    assert turned(waiting(given), own, given, "back", header) == waiting(own)


def test_fragments() -> None:
    whole = udp(HERE, THERE, 5, 6, bytes(range(200)))
    wanted = udp(GIVEN, THERE, 5, 6, bytes(range(200)))
    for frag, part in ((0x2000, slice(20, 100)), (10, slice(100, None))):
        piece = ip(HERE, THERE, 17, whole[part], df=False, frag=frag)
        assert turned(piece, HERE, GIVEN, "out") == ip(GIVEN, THERE, 17, wanted[part], df=False, frag=frag)
    later = bytes([17, 0, 0, 8, 0, 0, 0, 1]) + bytes(range(40))
    piece = ip(HERE6, THERE6, 44, later)
    assert turned(piece, HERE6, GIVEN6, "out") == ip(GIVEN6, THERE6, 44, later)


@pytest.mark.parametrize(("own", "given", "peer"), FAMILIES)
@pytest.mark.parametrize("kind", ["tcp", "udp", "echo"])
@pytest.mark.parametrize("cut", [28, 48, 61, 1000])
def test_what_icmp_errors_quote(own: str, given: str, peer: str, kind: str, cut: int) -> None:
    def error(src: str, dst: str, about: bytes) -> bytes:
        return icmp_error(src, dst, about[: max(cut, 48) if ":" in own else cut])

    came, left = made(kind, peer, own, b"0123456789abcdef"), made(kind, own, peer, b"0123456789abcdef")
    as_it_came, as_it_left = made(kind, peer, given, b"0123456789abcdef"), made(kind, given, peer, b"0123456789abcdef")
    assert turned(error(own, peer, came), own, given, "out") == error(given, peer, as_it_came)
    assert turned(error(peer, given, as_it_left), own, given, "in") == error(peer, own, left)


def aliased(rig: Rig, own: str, given: str, peer: str) -> None:
    inner = Selector.of(ip_network(given)), Selector.of(ip_network(peer))
    alias = ip_address(own), ip_address(given)
    rig.do(rig.sa(Direction.IN, selectors=(inner[::-1],), alias=alias))
    rig.do(rig.sa(Direction.OUT, selectors=(inner,), alias=alias))
    rig.eroute(src=own, dst=peer)


@pytest.mark.parametrize(("own", "given", "peer"), FAMILIES)
def test_a_tunnel(rig: Rig, own: str, given: str, peer: str) -> None:
    aliased(rig, own, given, peer)
    rig.send(udp(own, peer, 1, 2, b"there"))
    assert rig.opened() == udp(given, peer, 1, 2, b"there")
    rig.arrive(rig.seal(udp(peer, given, 2, 1, b"back")))
    assert rig.received() == udp(peer, own, 2, 1, b"back")
    # The SA is for the address given alone: our own is nothing the peer may send to.
    rig.arrive(rig.seal(udp(peer, own, 2, 1)))
    rig.dropped(Drop.SELECTOR_MISMATCH)
    head, router = (20, "10.9.9.9") if ":" not in own else (40, "fd09::9")
    rig.arrive(rig.seal(icmp_error(router, given, udp(given, peer, 1, 2)[:48])))
    assert rig.received()[head + 8 :][:head] == udp(own, peer, 1, 2)[:head]


def test_super_packets(rig: Rig) -> None:
    aliased(rig, HERE, GIVEN, THERE)
    rig.send(tcp(HERE, THERE, 5, 6, bytes(range(250)) * 10), vnet(TCPV4, 40, 1000, 20, 16))
    segments = [rig.opened() for _ in range(3)]
    assert all(map(checksums_right, segments))
    assert all(each[12:16] == ip_address(GIVEN).packed for each in segments)
    assert b"".join(each[40:] for each in segments) == bytes(range(250)) * 10


def test_its_sender_is_told_of_what_it_sent(rig: Rig) -> None:
    aliased(rig, HERE, GIVEN, THERE)
    packet = udp(HERE, THERE, 1, 2, bytes(1450))
    rig.send(packet)
    answer = rig.received()
    assert answer[20:22] == b"\x03\x04" and answer[16:20] == ip_address(HERE).packed
    assert packet.startswith(answer[28:])
    rig.dropped(Drop.TOO_BIG)


def test_the_other_family_is_refused(rig: Rig) -> None:
    alias = ip_address(HERE), ip_address(GIVEN6)
    assert "other family" in rig.refused(rig.sa(Direction.OUT, alias=alias))
