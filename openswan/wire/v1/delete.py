# SPDX-License-Identifier: GPL-2.0-or-later
"""Delete payload (RFC 2408 3.15).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------------------------------------------------------+
|                              DOI                              |
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
from openswan.wire.v1.body import Payload
from openswan.wire.v1.numbers import Doi, NotifyType, PayloadType, ProtocolId

SPI_SIZES = {ProtocolId.ISAKMP: (16,), ProtocolId.AH: (4,), ProtocolId.ESP: (4,), ProtocolId.IPCOMP: (2, 4)}
"""Octets; an IPComp CPI comes alone or with two octets of zero before it (RFC 3173 4.1)."""
NAMES = {one: f"PROTO_{'' if one == ProtocolId.ISAKMP else 'IPSEC_'}{one.name}" for one in SPI_SIZES}
"""As the log has always said it."""


@dataclass(frozen=True, slots=True)
class Delete(Payload):
    """SAs the sender no longer accepts: its own inbound SPIs, or the cookies of ISAKMP SAs."""

    TYPE: ClassVar[PayloadType] = PayloadType.DELETE
    protocol: ProtocolId
    spis: tuple[bytes, ...]
    doi: Doi = Doi.IPSEC

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the SPIs.

        WireError: DOI_NOT_SUPPORTED, INVALID_PROTOCOL_ID, INVALID_SPI for a size that is not the protocol's, or a count
        that is not what follows.
        """
        doi, protocol, size, count = Doi(reader.u32()), ProtocolId(reader.u8()), reader.u8(), reader.u16()
        if doi not in (Doi.ISAKMP, Doi.IPSEC):
            raise WireError(f"delete of domain of interpretation {int(doi)}", NotifyType.DOI_NOT_SUPPORTED)
        if protocol not in SPI_SIZES:
            raise WireError(
                f"ignoring Delete SA payload: unknown Protocol ID ({int(protocol)})", NotifyType.INVALID_PROTOCOL_ID
            )
        if size not in SPI_SIZES[protocol]:
            why = f"bad SPI size ({size}) for {NAMES[protocol]}" if size else "no SPI"
            raise WireError(f"ignoring Delete SA payload: {why}", NotifyType.INVALID_SPI)
        if not count or reader.remaining != size * count:
            raise WireError("ignoring Delete SA payload: invalid payload size")
        return cls(protocol, tuple(reader.octets(size) for _ in range(count)), doi)

    def emit(self) -> bytes:
        """DOI, protocol, size, SPIs; WireError when there is none or they differ in length."""
        sizes = {len(spi) for spi in self.spis}
        if len(sizes) != 1:
            raise WireError("a delete names SPIs of one size", None)
        out = Writer().u32(self.doi).u8(self.protocol).u8(sizes.pop()).u16(len(self.spis))
        return out.octets(b"".join(self.spis)).done()
