# SPDX-License-Identifier: GPL-2.0-or-later
"""Notification payload, and what DPD and RESPONDER_LIFETIME put into it (RFC 2408 3.14, RFC 2407 4.6.3, RFC 3706 5.3).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------------------------------------------------------+
|                              DOI                              |
+---------------+---------------+-------------------------------+
|  protocol ID  |   SPI size    |      notify message type      |
+---------------+---------------+-------------------------------+
|                   SPI, then notification data                 |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.attribute import Attribute
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v1.body import Payload
from openswan.wire.v1.numbers import Doi, NotifyType, PayloadType, ProtocolId
from openswan.wire.v1.sa import MAX_SPI, parse_attributes


@dataclass(frozen=True, slots=True)
class Notify(Payload):
    """An error or a status. An SPI of the ISAKMP SA is both cookies, initiator's first."""

    TYPE: ClassVar[PayloadType] = PayloadType.NOTIFY
    kind: NotifyType
    data: bytes = b""
    protocol: ProtocolId = ProtocolId.ISAKMP
    spi: bytes = b""
    doi: Doi = Doi.IPSEC

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a notification of any DOI; WireError when the SPI runs past the end or is longer than two cookies."""
        doi, protocol, spi_size = Doi(reader.u32()), ProtocolId(reader.u8()), reader.u8()
        kind = NotifyType(reader.u16())
        if spi_size > MAX_SPI:
            raise WireError(f"notification with an SPI of {spi_size} octets, at most {MAX_SPI} are allowed")
        spi = reader.octets(spi_size)
        return cls(kind, reader.rest(), protocol, spi, doi)

    def emit(self) -> bytes:
        """The notification."""
        out = Writer().u32(self.doi).u8(self.protocol).u8(len(self.spi)).u16(self.kind)
        return out.octets(self.spi).octets(self.data).done()

    @property
    def is_error(self) -> bool:
        """Does it report a failure?"""
        return self.kind.is_error

    @classmethod
    def dpd(cls, kind: NotifyType, cookies: bytes, sequence: int) -> Self:
        """R_U_THERE or R_U_THERE_ACK with its sequence number, of the ISAKMP SA of these two cookies (RFC 3706 5.3)."""
        return cls(kind, Writer().u32(sequence).done(), ProtocolId.ISAKMP, cookies)

    def sequence(self) -> int:
        """DPD's sequence number; WireError when the data are not four octets."""
        if len(self.data) != 4:
            raise WireError(f"{self.kind} with {len(self.data)} octets of data, not 4", NotifyType.PAYLOAD_MALFORMED)
        return int.from_bytes(self.data, "big")

    def attributes(self) -> tuple[Attribute, ...]:
        """The data as a list of attributes, as RESPONDER_LIFETIME has them; WireError when they are none."""
        return parse_attributes(Reader(self.data))
