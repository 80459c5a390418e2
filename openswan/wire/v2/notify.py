# SPDX-License-Identifier: GPL-2.0-or-later
"""Notify payload (RFC 7296 3.10).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+-------------------------------+
|  protocol ID  |   SPI size    |      notify message type      |
+---------------+---------------+-------------------------------+
|                   SPI, then notification data                 |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import NotifyType, PayloadType, ProtocolId


@dataclass(frozen=True, slots=True)
class Notify(Payload):
    """An error or a status. `kind` is its Notify Message Type; protocol and SPI only where an SA is meant."""

    TYPE: ClassVar[PayloadType] = PayloadType.NOTIFY
    kind: NotifyType
    data: bytes = b""
    protocol: ProtocolId = field(default=ProtocolId.NONE)
    spi: bytes = b""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a notification; WireError when the SPI runs past the end."""
        protocol, spi_size = ProtocolId(reader.u8()), reader.u8()
        kind = NotifyType(reader.u16())
        spi = reader.octets(spi_size)
        return cls(kind, reader.rest(), protocol, spi)

    def emit(self) -> bytes:
        """The notification."""
        out = Writer().u8(self.protocol).u8(len(self.spi)).u16(self.kind)
        return out.octets(self.spi).octets(self.data).done()

    @property
    def is_error(self) -> bool:
        """Does it report a failure?"""
        return self.kind.is_error
