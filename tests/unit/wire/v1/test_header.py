# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.header promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.v1.header import NO_COOKIE, Flags, Header
from openswan.wire.v1.numbers import ExchangeType, NotifyType, PayloadType

HEADER = Header(b"initiatr", b"responde", ExchangeType.QUICK, Flags.ENCRYPTION, 1, PayloadType.HASH)


def changed(at: int, value: int) -> bytes:
    data = bytearray(HEADER.emit())
    data[at] = value
    return bytes(data)


def refused(data: bytes) -> int | None:
    with pytest.raises(WireError, match=r"^ISAKMP header: ") as caught:
        Header.parse(data)
    return caught.value.notify


def test_the_octets_are_where_the_drawing_says() -> None:
    data = HEADER.emit()
    assert data == b"initiatr" + b"responde" + bytes.fromhex("08 10 20 01 00000001 0000001c")
    assert Header.parse(data) == HEADER
    assert HEADER.is_encrypted
    assert HEADER.cookies == b"initiatrresponde"


@pytest.mark.parametrize("octets", range(28))
def test_a_datagram_of_any_length_below_a_header(octets: int) -> None:
    """CVE-2013-4564."""
    assert refused(HEADER.emit()[:octets]) is None


def test_the_length_must_be_the_datagrams() -> None:
    for length in (0, 27, 29, 65536, 0xFFFFFFFF):
        assert refused(HEADER.emit()[:24] + length.to_bytes(4, "big")) == NotifyType.UNEQUAL_PAYLOAD_LENGTHS


@pytest.mark.parametrize("version", [v for v in range(256) if v != 0x10])
def test_versions(version: int) -> None:
    """CVE-2013-4564."""
    minor = NotifyType.INVALID_MINOR_VERSION
    assert refused(changed(17, version)) == (minor if version >> 4 == 1 else NotifyType.INVALID_MAJOR_VERSION)


@pytest.mark.parametrize("flags", range(256))
def test_flags(flags: int) -> None:
    data = changed(19, flags)
    if flags < 8:
        assert Header.parse(data).flags == flags
        assert Header.parse(data).emit() == data
    else:
        assert refused(data) == NotifyType.INVALID_FLAGS


def test_every_exchange_and_payload_number_is_read() -> None:
    for number in range(256):
        assert Header.parse(changed(16, number)).next_payload == number
        assert Header.parse(changed(18, number)).exchange == number


def test_cookies() -> None:
    assert refused(NO_COOKIE + HEADER.emit()[8:]) == NotifyType.INVALID_COOKIE
    with pytest.raises(WireError):
        Header(b"short", NO_COOKIE, ExchangeType.MAIN).emit()
