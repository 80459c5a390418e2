# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.ident promises."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.errors import WireError
from openswan.wire.v1.ident import MAX_NAME, OCTETS, Id
from openswan.wire.v1.numbers import IdType, NotifyType
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(Id(IdType.FQDN, b"east.example")) == bytes.fromhex("02000000") + b"east.example"
    assert round_trip(Id(IdType.IPV4_ADDR, b"\xc0\0\2\1", 17, 1701)) == bytes.fromhex("011106a5 c0000201")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        *((kind, bytes(octets)) for kind, octets in OCTETS.items()),
        (IdType.FQDN, b"x" * MAX_NAME),
        (IdType.USER_FQDN, b"u@h"),
        (IdType.DER_ASN1_DN, b"\x30\x00"),
        (IdType.KEY_ID, bytes(65000)),
        (IdType(200), b"anything\0at\nall"),
    ],
)
def test_smallest_and_largest(kind: IdType, body: bytes) -> None:
    round_trip(Id(kind, body, 255, 65535))


@pytest.mark.parametrize("kind", OCTETS)
def test_addresses_have_their_length(kind: IdType) -> None:
    """An IPv6 subnet cut short is what made a decoder read too far (ikev1_id_ipv6_addr_subnet-oobr)."""
    for octets in range(70):
        assert survives(Id, bytes([kind, 0, 0, 0]) + bytes(octets)) == (octets == OCTETS[kind])


@pytest.mark.parametrize("kind", range(256))
def test_no_kind_may_be_empty(kind: int) -> None:
    """CVE-2014-2891, CVE-2023-38711."""
    assert not survives(Id, bytes([kind, 0, 0, 0]))
    round_trip(Id(IdType(kind), bytes(OCTETS.get(IdType(kind), 0)) or b"x"))


@pytest.mark.parametrize("body", [b"x" * (MAX_NAME + 1), b"east\0.example", b"east\r\n000 forged log line", b"\x1b[2J"])
def test_names_never_bring_line_breaks_into_the_log(body: bytes) -> None:
    assert not survives(Id, bytes([IdType.FQDN, 0, 0, 0]) + body)
    assert not survives(Id, bytes([IdType.USER_FQDN, 0, 0, 0]) + body)


def test_cut_short() -> None:
    for kind, octets in OCTETS.items():
        refuses_every_cut(Id(kind, bytes(octets)))


@pytest.mark.parametrize(
    ("kind", "octets", "first", "last"),
    [
        (IdType.IPV4_ADDR, "c0000201", "192.0.2.1", "192.0.2.1"),
        (IdType.IPV4_ADDR_SUBNET, "c0000201 ffffff00", "192.0.2.0", "192.0.2.255"),
        (IdType.IPV4_ADDR_SUBNET, "00000000 00000000", "0.0.0.0", "255.255.255.255"),
        (IdType.IPV4_ADDR_SUBNET, "c0000201 ffffffff", "192.0.2.1", "192.0.2.1"),
        (IdType.IPV4_ADDR_RANGE, "c0000201 c0000207", "192.0.2.1", "192.0.2.7"),
        (IdType.IPV6_ADDR, "20010db8" + "00" * 12, "2001:db8::", "2001:db8::"),
        (IdType.IPV6_ADDR_SUBNET, "20010db8" + "00" * 12 + "ffffffff" + "00" * 12, "2001:db8::",
         "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        (IdType.IPV6_ADDR_RANGE, "00" * 15 + "01" + "00" * 15 + "02", "::1", "::2"),
    ],
)  # fmt: skip
def test_addresses_meant(kind: IdType, octets: str, first: str, last: str) -> None:
    assert Id(kind, bytes.fromhex(octets)).addresses() == (ip_address(first), ip_address(last))


@pytest.mark.parametrize(
    ("kind", "octets"),
    [
        (IdType.IPV4_ADDR_SUBNET, "c0000200 ff00ff00"),
        (IdType.IPV4_ADDR_SUBNET, "c0000200 00ffffff"),
        (IdType.IPV4_ADDR_RANGE, "c0000207 c0000201"),
        (IdType.IPV6_ADDR_SUBNET, "00" * 16 + "ff" * 15 + "01"),
    ],
)
def test_masks_with_holes_and_ranges_upside_down(kind: IdType, octets: str) -> None:
    with pytest.raises(WireError) as caught:
        Id(kind, bytes.fromhex(octets)).addresses()
    assert caught.value.notify == NotifyType.INVALID_ID_INFORMATION


def test_names_have_no_addresses() -> None:
    assert Id(IdType.FQDN, b"east.example").addresses() is None
