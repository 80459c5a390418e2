# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.header promises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.errors import WireError
from openswan.wire.header import (
    HEADER_OCTETS,
    NO_SPI,
    Flags,
    Header,
    Natt,
    add_marker,
    classify_4500,
    strip_marker,
)
from openswan.wire.v2.numbers import ExchangeType, NotifyType, PayloadType

HEADER = Header(b"initiatr", b"responde", ExchangeType.IKE_AUTH, Flags.INITIATOR, 1, PayloadType.SK, HEADER_OCTETS)


def test_the_octets_are_where_the_drawing_says() -> None:
    data = HEADER.emit()
    assert data == b"initiatr" + b"responde" + bytes.fromhex("2e 20 23 08 00000001 0000001c")
    assert Header.parse(data) == HEADER


def test_flags() -> None:
    assert HEADER.from_initiator
    assert not HEADER.is_response
    answer = replace(HEADER, flags=Flags.RESPONSE)
    assert answer.is_response
    assert not answer.from_initiator


@pytest.mark.parametrize("octets", range(HEADER_OCTETS))
def test_a_datagram_of_any_length_below_a_header(octets: int) -> None:
    """CVE-2013-4564."""
    with pytest.raises(WireError) as caught:
        Header.parse(HEADER.emit()[:octets])
    assert caught.value.notify is None


@pytest.mark.parametrize("claimed", [0, 27, 29, 65535, 65536, 0xFFFFFFFF])
def test_the_length_must_be_the_datagrams(claimed: int) -> None:
    with pytest.raises(WireError) as caught:
        Header.parse(replace(HEADER, length=claimed).emit())
    assert caught.value.notify == NotifyType.INVALID_SYNTAX


@pytest.mark.parametrize("major", range(16))
def test_versions(major: int) -> None:
    """CVE-2013-4564: every major version is either ours, answered or ignored."""
    header = Header.parse(replace(HEADER, major=major, minor=3).emit())
    assert (header.major, header.minor) == (major, 3)
    if major == 2:
        header.require_v2()
        return
    with pytest.raises(WireError) as caught:
        header.require_v2()
    assert caught.value.notify == (NotifyType.INVALID_MAJOR_VERSION if major > 2 else None)


def test_unknown_numbers_travel() -> None:
    odd = Header(NO_SPI, NO_SPI, ExchangeType(240), Flags(0xC7), 7, PayloadType(250))
    assert Header.parse(odd.emit()) == odd
    assert str(odd.exchange) == "ExchangeType(240)"


def test_an_spi_of_another_length_is_not_emitted() -> None:
    with pytest.raises(WireError, match="8 octets"):
        replace(HEADER, spi_i=b"short").emit()


@pytest.mark.parametrize(
    ("datagram", "kind"),
    [
        (b"\xff", Natt.KEEPALIVE),
        (b"\0\0\0\0" + b"ike", Natt.IKE),
        (b"\0\0\0\0", Natt.IKE),
        (b"\0\0\1\0" + b"\0\0\0\1", Natt.ESP),
        (b"", Natt.RUNT),
        (b"\xff\xff", Natt.RUNT),
        (b"\0\0\0", Natt.RUNT),
        (b"\0\0\1\0\0\0\0", Natt.RUNT),
    ],
)
def test_what_arrives_on_4500(datagram: bytes, kind: Natt) -> None:
    assert classify_4500(datagram) is kind


def test_the_marker() -> None:
    assert strip_marker(add_marker(b"ike")) == b"ike"
    for bad in (b"", b"\0\0\0", b"\0\0\0\1ike"):
        with pytest.raises(WireError):
            strip_marker(bad)
