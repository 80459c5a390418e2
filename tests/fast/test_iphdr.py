# SPDX-License-Identifier: GPL-2.0-or-later
"""Flow keys of every kind of packet, and every way a packet can lie."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from _fast.iphdr import clamp, parse, parse_quoted

from tests.fast.rig import HERE, THERE, checksums_right, icmp_error, ip, tcp, udp

HERE6, THERE6 = "fd01::5", "fd02::7"
A, B = ip_address(HERE).packed, ip_address(THERE).packed
A6, B6 = ip_address(HERE6).packed, ip_address(THERE6).packed


def test_flows() -> None:
    assert parse(udp(HERE, THERE, 5, 6)) == (4, A, B, 17, 5, 6, False)
    assert parse(tcp(HERE6, THERE6, 5, 6)) == (6, A6, B6, 6, 5, 6, False)
    assert parse(ip(HERE, THERE, 47, b"")) == (4, A, B, 47, 0, 0, False)
    assert parse(ip(HERE, THERE, 1, b"\x08\x01\0\0\0\0\0\0")) == (4, A, B, 1, 0x0801, 0x0801, False)
    assert parse(ip(HERE6, THERE6, 58, b"\x80\0\0\0\0\0\0\0")) == (6, A6, B6, 58, 0x8000, 0x8000, False)
    assert parse(ip(HERE, THERE, 17, b"\0\1\0\2data", df=False, frag=0x2000)) == (4, A, B, 17, 1, 2, False)
    assert parse(ip(HERE, THERE, 17, b"\0\1\0\2data", df=False, frag=1)) == (4, A, B, 17, 0, 0, True)


def test_ipv6_extension_headers() -> None:
    body = udp(HERE6, THERE6, 7, 8)[40:]
    assert parse(ip(HERE6, THERE6, 0, bytes([60, 0]) + bytes(6) + bytes([17, 1]) + bytes(14) + body)) == (
        6,
        A6,
        B6,
        17,
        7,
        8,
        False,
    )
    first, later = bytes([17, 0, 0, 1, 0, 0, 0, 1]), bytes([17, 0, 0, 8, 0, 0, 0, 1])
    assert parse(ip(HERE6, THERE6, 44, first + body)) == (6, A6, B6, 17, 7, 8, False)
    assert parse(ip(HERE6, THERE6, 44, later + body)) == (6, A6, B6, 17, 0, 0, True)
    endless = bytes([60, 0]) + bytes(6)
    assert parse(ip(HERE6, THERE6, 60, endless * 20)) is None
    assert parse(ip(HERE6, THERE6, 60, bytes([17, 255]) + bytes(14))) is None


@pytest.mark.parametrize("packet", [udp(HERE, THERE, 1, 2), tcp(HERE, THERE, 1, 2, b"x"), udp(HERE6, THERE6, 1, 2)])
def test_every_truncation_is_refused(packet: bytes) -> None:
    assert parse(packet) is not None
    assert all(parse(packet[:length]) is None for length in range(len(packet)))
    assert parse(packet + b"trailer") == parse(packet)


def test_lying_lengths_are_refused() -> None:
    good = udp(HERE, THERE, 1, 2)
    for bad in (
        b"\x44" + good[1:],
        b"\x4f" + good[1:],
        b"\x35" + good[1:],
        good[:2] + b"\x00\x13" + good[4:],
        good[:2] + b"\x00\x17" + good[4:],
        good[:2] + struct.pack("!H", len(good) + 1) + good[4:],
    ):
        assert parse(bad) is None
    # A first fragment that hides its TCP flags.
    assert parse(ip(HERE, THERE, 6, bytes(8), df=False, frag=0x2000)) is None


def test_quoted_packets_are_turned_round() -> None:
    about = tcp(HERE, THERE, 5, 6, b"data")
    assert parse_quoted(icmp_error("10.9.9.9", HERE, about[:28])) == (4, B, A, 6, 6, 5, False)
    assert parse_quoted(icmp_error("fd09::9", HERE6, udp(HERE6, THERE6, 5, 6)[:48], 1, 3)) == (
        6,
        B6,
        A6,
        17,
        6,
        5,
        False,
    )
    for useless in (
        icmp_error("10.9.9.9", "10.1.0.6", about[:28]),
        icmp_error("10.9.9.9", HERE, about[:23]),
        icmp_error("10.9.9.9", HERE, b""),
        icmp_error("10.9.9.9", HERE, about[:28], 8, 0),
        udp(HERE, THERE, 1, 2),
    ):
        assert parse_quoted(useless) is None
    whole = icmp_error("10.9.9.9", HERE, about[:28])
    for length in range(len(whole)):
        parse_quoted(whole[:2] + struct.pack("!H", length) + whole[4:length])


@pytest.mark.parametrize("src,dst", [(HERE, THERE), (HERE6, THERE6)])
@pytest.mark.parametrize("lead", [b"", b"\x01", b"\x01\x01", b"\x04\x02", b"\x03\x03\x07"])
def test_mss_is_lowered_at_odd_and_even_places(src: str, dst: str, lead: bytes) -> None:
    options = lead + struct.pack("!BBH", 2, 4, 1460)
    options += b"\0" * (-len(options) % 4)
    packet = tcp(src, dst, 1, 2, flags=2, options=options)
    lowered = clamp(packet, 1300)
    assert lowered == tcp(src, dst, 1, 2, flags=2, options=options.replace(b"\x05\xb4", b"\x05\x14"))
    assert checksums_right(lowered)
    assert clamp(packet, 1460) == clamp(packet, 9000) == packet


def test_mss_of_odd_or_lying_segments_is_left_alone() -> None:
    option = struct.pack("!BBH", 2, 4, 1460)
    for packet in (
        tcp(HERE, THERE, 1, 2, options=option),
        udp(HERE, THERE, 1, 2),
        tcp(HERE, THERE, 1, 2, flags=2, options=b"\0\0\0\0" + option),
        tcp(HERE, THERE, 1, 2, flags=2, options=b"\x08\x00" + option + b"\0\0"),
        tcp(HERE, THERE, 1, 2, flags=2, options=b"\x08\x20" + option + b"\0\0"),
        tcp(HERE, THERE, 1, 2, flags=2, options=b"\x01\x01\x01\x02"),
    ):
        assert clamp(packet, 1000) == packet
