# SPDX-License-Identifier: GPL-2.0-or-later
"""What routers say about our packets: every form of it, every form of nonsense, and too much of it."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from openswan.engine.events import PathTooBig
from openswan.host.icmpsock import IcmpEar, parse_too_big
from tests.fast.rig import ip, udp

ENDS = {4: ("192.0.2.1", "198.51.100.2"), 6: ("2001:db8::1", "2001:db8:9::2")}
SPI = b"\x12\x34\x56\x78"
IKE = bytes(range(1, 17))


def too_big(version: int, mtu: int, quoted: bytes) -> bytes:
    kind, code = (3, 4) if version == 4 else (2, 0)
    return struct.pack("!BBHI", kind, code, 0, mtu) + quoted


def said(version: int, mtu: int, **more: object) -> PathTooBig:
    local, remote = (ip_address(end) for end in ENDS[version])
    return PathTooBig(local, remote, mtu, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", [4, 6])
def test_every_kind_of_packet_of_ours(version: int) -> None:
    src, dst = ENDS[version]
    esp = SPI + bytes(1400)
    cases = {
        ip(src, dst, 50, esp): {"spi": 0x12345678},
        ip(src, dst, 51, bytes(4) + esp): {"spi": 0x12345678},
        udp(src, dst, 4500, 4500, esp): {"spi": 0x12345678, "ports": (4500, 4500), "ike_spis": esp[:16]},
        udp(src, dst, 4500, 1025, bytes(4) + IKE + bytes(99)): {"ports": (4500, 1025), "ike_spis": IKE},
        udp(src, dst, 500, 500, IKE + bytes(99)): {"ports": (500, 500), "ike_spis": IKE},
    }
    for quoted, expected in cases.items():
        head = 20 if version == 4 else 40
        assert parse_too_big(too_big(version, 1400, quoted), version) == said(version, 1400, **expected)
        # Cut as short as routers may (RFC 792: 8 octets after the header), or anywhere else: nothing or the same SPI.
        for length in range(head + 60):
            event = parse_too_big(too_big(version, 1400, quoted[:length]), version)
            assert event is None or event.mtu == 1400
        if "spi" in expected and "ports" not in expected:
            assert parse_too_big(too_big(version, 1400, quoted[: head + 8]), version) == said(version, 1400, **expected)


def test_what_is_none_of_our_business() -> None:
    src, dst = ENDS[4]
    packet = ip(src, dst, 50, SPI + bytes(100))
    assert parse_too_big(struct.pack("!BBHI", 3, 1, 0, 0) + packet, 4) is None
    assert parse_too_big(too_big(6, 1400, packet), 6) is None
    assert parse_too_big(too_big(4, 1400, ip(src, dst, 6, bytes(100))), 4) is None
    assert parse_too_big(too_big(4, 1400, ip(src, dst, 50, bytes(100), df=False, frag=9)), 4) is None
    assert parse_too_big(too_big(4, 1400, b"\x41" + packet[1:]), 4) is None
    assert parse_too_big(b"", 4) is None


def test_no_more_than_so_many_a_second() -> None:
    heard: list[PathTooBig] = []
    ear = IcmpEar(heard.append, lambda: 7.0)
    src, dst = ENDS[4]
    outer = ip("203.0.113.9", src, 1, too_big(4, 1400, ip(src, dst, 50, SPI + bytes(100))))
    ear.take(outer, 4)
    ear.take(outer[:5], 4)
    ear.take(b"", 4)
    assert heard == [said(4, 1400, spi=0x12345678)]
