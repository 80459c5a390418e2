# SPDX-License-Identifier: GPL-2.0-or-later
"""Where AH, ESP and IPComp go, new headers, checksums after a NAT."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from _fast.wrap import mend, outer, split
from openswan.base.drops import Drop
from openswan.klips.slow.ah import front
from tests.fast.rig import checksum, checksums_right, icmp_error, ip, tcp, udp

A4, B4, A6, B6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"
PAD6 = b"\x01\x04\0\0\0\0"


def v6(first: int, chain: bytes) -> bytes:
    return ip(A6, B6, first, chain)


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (udp(A4, B4, 1, 2), (0, 20, 9)),
        (b"\x46" + ip(A4, B4, 17, b"\x94\x04\0\0" + b"u" * 8)[1:], (0, 24, 9)),
        (udp(A6, B6, 1, 2), (0, 40, 6)),
        (v6(0, b"\x11\0" + PAD6 + b"u" * 8), (0, 48, 40)),
        # Destination options alone are behind; before a routing header they are in front.
        (v6(60, b"\x11\0" + PAD6 + b"u" * 8), (0, 40, 6)),
        (v6(0, b"\x3c\0" + PAD6 + b"\x11\0" + PAD6 + b"u" * 8), (0, 48, 40)),
        (v6(60, b"\x2b\0" + PAD6 + b"\x11\0\4\0\0\0\0\0" + b"u" * 8), (0, 56, 48)),
        (v6(43, b"\x3c\0\4\0\0\0\0\0" + b"\x11\0" + PAD6 + b"u" * 8), (0, 48, 40)),
        (v6(44, b"\x11\0\0\0\0\0\0\1" + b"u" * 8), (int(Drop.FRAGMENT), 0, 0)),
        (v6(60, b"\x2c\0" + PAD6 + b"\x11\0\0\0\0\0\0\1"), (int(Drop.FRAGMENT), 0, 0)),
        (ip(A4, B4, 17, b"u" * 8, df=False, frag=0x2000), (int(Drop.FRAGMENT), 0, 0)),
        (ip(A4, B4, 17, b"u" * 8, df=False, frag=5), (int(Drop.FRAGMENT), 0, 0)),
        (v6(0, b"\x11\x01" + PAD6), (int(Drop.MALFORMED), 0, 0)),
        (v6(0, b"\x11\0\1"), (int(Drop.MALFORMED), 0, 0)),
        (v6(0, b"\x11\xff" + bytes(2046)), (int(Drop.MALFORMED), 0, 0)),
        (v6(0, (b"\x00\0" + PAD6) * 9), (int(Drop.MALFORMED), 0, 0)),
    ],
)
def test_headers_that_stay_in_front(packet: bytes, expected: tuple[int, int, int]) -> None:
    assert split(packet) == expected
    at, next_at, why = front(packet)
    assert (int(why), at if not why else 0, next_at if not why else 0) == expected


@pytest.mark.parametrize("packet", [b"\x4f" + udp(A4, B4, 1, 2)[1:], b"\x44" + udp(A4, B4, 1, 2)[1:], v6(17, b"")[:39]])
def test_a_header_that_is_longer_than_the_packet_is_none(packet: bytes) -> None:
    assert split(packet) == (int(Drop.MALFORMED), 0, 0)


@pytest.mark.parametrize("inner", [udp(A4, B4, 1, 2), udp(A6, B6, 1, 2)])
@pytest.mark.parametrize(("src", "dst"), [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
def test_a_new_header_of_either_family_round_either(inner: bytes, src: str, dst: str) -> None:
    made = outer(inner, ip_address(src).packed, ip_address(dst).packed, 0xB9, 64, 7)
    kind = 4 if inner[0] >> 4 == 4 else 41
    expected = ip(src, dst, kind, inner, df=False, tos=0xB9, ident=7)
    assert made == expected


def test_a_nat_is_mended_in_every_checksum() -> None:
    seen, real = (A4, B4), ("10.9.8.7", "203.0.113.200")

    def moved(packet: bytes) -> bytes:
        rest = packet[:12] + ip_address(seen[0]).packed + ip_address(seen[1]).packed + packet[20:]
        return rest[:10] + b"\0\0" + rest[12:]

    for packet in (tcp(*real, 5, 6, b"data"), udp(*real, 5, 6, b"odd"), udp(*real, 5, 6, b"")):
        mended = mend(moved(packet), ip_address(real[0]).packed, ip_address(real[1]).packed)
        whole = mended[:10] + checksum(mended[:20]).to_bytes(2, "big") + mended[12:]
        assert checksums_right(whole) and not checksums_right(moved(packet))
    # No checksum stays none, and what has none is left alone.
    none = udp(*real, 5, 6, b"data")
    none = moved(none[:26] + b"\0\0" + none[28:])
    assert mend(none, ip_address(real[0]).packed, ip_address(real[1]).packed) == none
    for other in (ip(*seen, 47, b"g" * 30), ip(*seen, 6, b"short"), ip(*seen, 17, b"u")):
        assert mend(other, ip_address(real[0]).packed, ip_address(real[1]).packed) == other


def test_icmpv6_has_a_pseudo_header_too() -> None:
    there, here = "2001:db8:9::9", B6
    packet = icmp_error(there, here, b"q" * 40)
    natted = packet[:8] + ip_address(A6).packed + packet[24:]
    mended = mend(natted, ip_address(there).packed, ip_address(here).packed)
    assert checksums_right(mended) and not checksums_right(natted)


def test_no_addresses_no_mending() -> None:
    with pytest.raises(ValueError, match="addresses"):
        mend(udp(A4, B4, 1, 2), b"123", b"456")
    with pytest.raises(ValueError, match="addresses"):
        outer(udp(A4, B4, 1, 2), b"1234", b"12345")
