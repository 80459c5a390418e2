# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.ip promises."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.errors import WireError
from openswan.wire import ip
from openswan.wire.ip import IpFields

A4, B4 = ip_address("192.0.2.1"), ip_address("198.51.100.2")
A6, B6 = ip_address("2001:db8::1"), ip_address("2001:db8::2")


def v4(protocol: int, body: bytes, options: bytes = b"", fragment: int = 0, total: int = -1) -> bytes:
    words = 5 + len(options) // 4
    length = words * 4 + len(body) if total < 0 else total
    head = bytes([0x40 | words, 0]) + length.to_bytes(2, "big") + bytes(2) + fragment.to_bytes(2, "big")
    return head + bytes([64, protocol, 0, 0]) + A4.packed + B4.packed + options + body


def v6(following: int, body: bytes) -> bytes:
    return bytes([0x60, 0, 0, 0]) + len(body).to_bytes(2, "big") + bytes([following, 64]) + A6.packed + B6.packed + body


PORTS = bytes.fromhex("d431 0050")


@pytest.mark.parametrize("protocol", [6, 17, 33, 132, 136])
def test_ports(protocol: int) -> None:
    assert ip.parse(v4(protocol, PORTS)) == IpFields(A4, B4, protocol, 54321, 80, offset=20, length=24)
    assert ip.parse(v6(protocol, PORTS)) == IpFields(A6, B6, protocol, 54321, 80, offset=40, length=44)


def test_icmp_type_and_code() -> None:
    assert ip.parse(v4(1, b"\x08\x00rest")).icmp == (8, 0)
    assert ip.parse(v6(58, b"\x80\x00rest")).icmp == (128, 0)


def test_protocols_without_ports() -> None:
    assert ip.parse(v4(50, b"")) == IpFields(A4, B4, 50, offset=20, length=20)
    assert ip.parse(v6(59, b"")).protocol == 59


def test_ipv4_options_and_what_follows_the_packet() -> None:
    fields = ip.parse(v4(17, PORTS, bytes(40)) + b"ethernet padding")
    assert (fields.offset, fields.src_port, fields.length) == (60, 54321, 64)


def test_fragments() -> None:
    assert ip.parse(v4(17, b"x", fragment=1)).later_fragment
    assert ip.parse(v4(17, PORTS, fragment=0x2000)).src_port == 54321
    assert ip.parse(v6(44, bytes.fromhex("11 00 0008 00000000"))).later_fragment
    first = ip.parse(v6(44, bytes.fromhex("11 00 0001 00000000") + PORTS))
    assert (first.protocol, first.src_port, first.later_fragment) == (17, 54321, False)


def test_ipv6_extension_headers() -> None:
    chain = bytes.fromhex("2b 00 000000000000") + bytes.fromhex("3c 01") + bytes(14) + bytes.fromhex("11 00") + bytes(6)
    fields = ip.parse(v6(0, chain + PORTS))
    assert (fields.protocol, fields.dst_port, fields.offset) == (17, 80, 40 + 32)
    with pytest.raises(WireError, match="extension headers"):
        ip.parse(v6(60, bytes.fromhex("3c00000000000000") * 17))


@pytest.mark.parametrize(
    "packet",
    [v4(17, PORTS), v4(1, b"\x08\x00", bytes(8)), v6(6, PORTS), v6(0, bytes.fromhex("11 00") + bytes(6) + PORTS)],
)
def test_truncated_at_each_octet(packet: bytes) -> None:
    for end in range(len(packet)):
        with pytest.raises(WireError):
            ip.parse(packet[:end])


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x50" + bytes(40),
        b"\x44" + v4(17, PORTS)[1:],
        v4(17, PORTS, total=19),
        v4(17, PORTS, total=25),
        v4(17, PORTS, total=22),
        v6(0, b"\x11\xff" + bytes(100)),
        v6(44, b"\x11\0\0"),
    ],
)
def test_lengths_that_disagree(packet: bytes) -> None:
    with pytest.raises(WireError):
        ip.parse(packet)


def test_the_checksum() -> None:
    assert ip.internet_checksum(b"") == 0xFFFF and ip.internet_checksum(b"\xff\xff") == 0
    assert ip.internet_checksum(b"\x01") == 0xFEFF
