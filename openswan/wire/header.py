# SPDX-License-Identifier: GPL-2.0-or-later
"""The IKE header, and what shares UDP 4500 with it (RFC 7296 3.1, RFC 3948 2).

```
                     1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------------------------------------------------------+
|                   initiator's SPI (8 octets)                  |
|                   responder's SPI (8 octets)                  |
+---------------+-------+-------+---------------+---------------+
|  next payload | major | minor | exchange type |     flags     |
+---------------+-------+-------+---------------+---------------+
|                          message ID                           |
+---------------------------------------------------------------+
|                 length of header and payloads                 |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, IntFlag
from typing import Self

from openswan.base.errors import WireError
from openswan.base.numbers import NON_ESP_MARKER
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.numbers import ExchangeType, NotifyType, PayloadType

HEADER_OCTETS = 28
SPI_OCTETS = 8
NO_SPI = bytes(SPI_OCTETS)
KEEPALIVE = b"\xff"
"""The NAT keepalive datagram (RFC 3948 2.3)."""
MAX_MESSAGE = 65535
"""Nothing longer fits in a UDP datagram; bounds what a length field can claim."""


class Flags(IntFlag):
    """Header flags of IKEv2; other bits are ignored on receipt (RFC 7296 3.1) and kept."""

    NONE = 0
    INITIATOR = 0x08
    """Sent by the original initiator of the IKE SA."""
    VERSION = 0x10
    RESPONSE = 0x20


@dataclass(frozen=True, slots=True)
class Header:
    """An IKE header. SPIs are octets as on the wire; IKEv1 cookies use the same two fields."""

    spi_i: bytes
    spi_r: bytes
    exchange: ExchangeType
    flags: Flags = Flags.NONE
    message_id: int = 0
    next_payload: PayloadType = PayloadType.NONE
    length: int = HEADER_OCTETS
    """Octets of the whole message; emitting a Message computes it."""
    major: int = 2
    minor: int = 0

    @property
    def is_response(self) -> bool:
        """Is the Response flag set?"""
        return bool(self.flags & Flags.RESPONSE)

    @property
    def from_initiator(self) -> bool:
        """Is the Initiator flag set: does the original initiator of the IKE SA speak?"""
        return bool(self.flags & Flags.INITIATOR)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the header of a whole message of any major version.

        WireError without a notification when the datagram is shorter than a header; INVALID_SYNTAX when the length
        field is not the length of `data`. `require_v2` checks the version.
        """
        if len(data) < HEADER_OCTETS:
            raise WireError(f"too small packet ({len(data)})", None)
        reader = Reader(data)
        spi_i, spi_r = reader.octets(SPI_OCTETS), reader.octets(SPI_OCTETS)
        next_payload, version, exchange, flags = (reader.u8() for _ in range(4))
        message_id, length = reader.u32(), reader.u32()
        header = cls(
            spi_i,
            spi_r,
            ExchangeType(exchange),
            Flags(flags),
            message_id,
            PayloadType(next_payload),
            length,
            version >> 4,
            version & 15,
        )
        if length != len(data) or length > MAX_MESSAGE:
            raise WireError(f"size ({len(data)}) differs from size specified in ISAKMP HDR ({length})")
        return header

    def require_v2(self) -> None:
        """WireError unless this is IKEv2: INVALID_MAJOR_VERSION for a higher version (RFC 7296 2.5), none for others.

        Minor versions are ignored, as section 2.5 says.
        """
        if self.major > 2:
            raise WireError(
                f"IKE version {self.major}.{self.minor} is not supported", NotifyType.INVALID_MAJOR_VERSION, b"\x20"
            )
        if self.major < 2:
            raise WireError(f"message of IKE version {self.major}.{self.minor} where IKEv2 is expected", None)

    def emit(self) -> bytes:
        """The 28 octets."""
        if len(self.spi_i) != SPI_OCTETS or len(self.spi_r) != SPI_OCTETS:
            raise WireError("an IKE SPI has 8 octets", None)
        out = Writer().octets(self.spi_i).octets(self.spi_r).u8(self.next_payload).u8(self.major << 4 | self.minor)
        return out.u8(self.exchange).u8(self.flags).u32(self.message_id).u32(self.length).done()

    def with_length(self, length: int, next_payload: PayloadType) -> Self:
        """The same header around `length` octets of message that start with `next_payload`."""
        return replace(self, length=length, next_payload=next_payload)


class Natt(Enum):
    """What a datagram on UDP 4500 is (RFC 3948 2)."""

    IKE = "IKE"
    ESP = "ESP"
    KEEPALIVE = "keepalive"
    RUNT = "runt"  # shorter than an ESP header and not a keepalive: to be dropped


def classify_4500(datagram: bytes) -> Natt:
    """Tell IKE, ESP and keepalives on UDP 4500 apart by their first octets."""
    if datagram == KEEPALIVE:
        return Natt.KEEPALIVE
    if datagram[:4] == NON_ESP_MARKER:
        return Natt.IKE
    return Natt.ESP if len(datagram) >= 8 else Natt.RUNT


def add_marker(message: bytes) -> bytes:
    """An IKE message as UDP 4500 carries it: behind the non-ESP marker."""
    return NON_ESP_MARKER + message


def strip_marker(datagram: bytes) -> bytes:
    """The IKE message of a UDP 4500 datagram; WireError (no notification) when the marker is missing."""
    if datagram[:4] != NON_ESP_MARKER:
        raise WireError("has no Non-ESP marker", None)
    return datagram[4:]
