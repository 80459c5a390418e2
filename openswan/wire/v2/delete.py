# SPDX-License-Identifier: GPL-2.0-or-later
"""Delete payload (RFC 7296 3.11).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+-------------------------------+
|  protocol ID  |   SPI size    |         number of SPIs        |
+---------------+---------------+-------------------------------+
|                              SPIs                             |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import PayloadType, ProtocolId

SPI_SIZE = {ProtocolId.IKE: 0, ProtocolId.AH: 4, ProtocolId.ESP: 4}


@dataclass(frozen=True, slots=True)
class Delete(Payload):
    """SAs the sender no longer accepts: its own inbound SPIs, or (IKE, none listed) the IKE SA itself."""

    TYPE: ClassVar[PayloadType] = PayloadType.DELETE
    protocol: ProtocolId
    spis: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the SPIs; WireError on an unknown protocol, its wrong SPI size, or a count that is not what follows."""
        protocol, size, count = ProtocolId(reader.u8()), reader.u8(), reader.u16()
        if protocol not in SPI_SIZE:
            raise WireError(f"delete for protocol {protocol}")
        if size != SPI_SIZE[protocol] or (size == 0 and count):
            raise WireError(f"delete of {count} {protocol} SPIs of {size} octets")
        if reader.remaining != size * count:
            raise WireError(f"delete announces {count} SPIs and holds {reader.remaining} octets")
        return cls(protocol, tuple(reader.octets(size) for _ in range(count)))

    def emit(self) -> bytes:
        """Protocol, sizes, SPIs."""
        out = Writer().u8(self.protocol).u8(SPI_SIZE[self.protocol]).u16(len(self.spis))
        return out.octets(b"".join(self.spis)).done()
