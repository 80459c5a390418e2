# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams that may not be cut: octet for octet what the kernel would have sent, with DF."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.address import Endpoint
from openswan.host.wholesock import DF, WholeSender, whole_packet
from tests.fast.rig import udp


@pytest.mark.parametrize("ends", [("192.0.2.1", "198.51.100.2"), ("2001:db8::1", "2001:db8:9::2")])
@pytest.mark.parametrize("size", [0, 1, 1000, 1452])
def test_the_packet(ends: tuple[str, str], size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    local, remote = (Endpoint(ip_address(end), port) for end, port in zip(ends, (4500, 4501), strict=True))
    packet = bytearray(whole_packet(local, remote, data))
    twin = bytearray(udp(*ends, 4500, 4501, data))
    if local.address.version == 4:
        assert int.from_bytes(packet[6:8], "big") == DF
        # Left to the kernel: identification and header checksum.
        for each in (packet, twin):
            each[4:6] = each[10:12] = b"\0\0"
    assert packet == twin


def test_it_goes_out_whole_and_what_cannot_go_is_lost() -> None:
    sender = WholeSender()
    here = Endpoint(ip_address("127.0.0.1"), 40000)
    sender.send(here, Endpoint(ip_address("127.0.0.1"), 40001), b"x" * 100)
    sender.send(here, Endpoint(ip_address("127.0.0.1"), 40001), b"x" * 65600)
    sender.close()
    sender.close()
