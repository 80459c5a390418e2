# SPDX-License-Identifier: GPL-2.0-or-later
"""Marked packets: what they say, that their checksums are right, and where the mark is."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.wire.ip import internet_checksum, parse
from openswan.wire.probe import PLACES, finished, probe_packet

MARK = b"0123456789abcdef"
ENDS = {4: ("10.1.0.1", "10.2.0.2"), 6: ("2001:db8:1::1", "2001:db8:2::2")}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", [17, 6, 1, 58, 47])
def test_a_probe(version: int, protocol: int) -> None:
    src, dst = map(ip_address, ENDS[version])
    packet = probe_packet(src, dst, protocol, (33434, 9), MARK)
    found = parse(packet)
    assert (found.src, found.dst, found.protocol, found.length) == (src, dst, protocol, len(packet))
    assert packet.find(MARK) in PLACES and packet.endswith(MARK)
    body = packet[found.offset :]
    if protocol in (6, 17):
        assert (found.src_port, found.dst_port) == (33434, 9)
    if protocol in (1, 58):
        assert found.icmp == (8 if protocol == 1 else 128, 0)
    if protocol != 47:
        pseudo = b"" if protocol == 1 else src.packed + dst.packed + bytes(2) + bytes((0, len(body), 0, 0, 0, protocol))
        assert internet_checksum(pseudo + body) == 0


def test_a_sum_of_zero_is_written_otherwise_in_udp() -> None:
    """RFC 768: 0 says that there is none."""
    src, dst = map(ip_address, ENDS[4])
    plain = int.from_bytes(probe_packet(src, dst, 17, (1, 9), bytes(2))[26:28], "big")
    packet = probe_packet(src, dst, 17, (1, 9), plain.to_bytes(2, "big"))
    assert packet[26:28] == b"\xff\xff"


@pytest.mark.parametrize("version", [4, 6])
def test_what_no_kernel_finishes_has_its_header_checksum(version: int) -> None:
    src, dst = map(ip_address, ENDS[version])
    packet = finished(probe_packet(src, dst, 17, (1, 9), b"mark"))
    assert version == 6 or internet_checksum(packet[:20]) == 0
    assert finished(packet)[:8] == packet[:8] and len(packet) == (32 if version == 4 else 52)
