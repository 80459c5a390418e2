# SPDX-License-Identifier: GPL-2.0-or-later
"""What an IPCOMP_SUPPORTED notification holds (RFC 7296 2.22, RFC 3173).

```
 0                   1                   2
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3
+-------------------------------+---------------+
|              CPI              | transform ID  |  attributes, of which there are none
+-------------------------------+---------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.numbers import IpcompId, NotifyType


@dataclass(frozen=True, slots=True)
class IpcompOffer:
    """A compression algorithm, and the Compression Parameter Index the sender wants to receive it under."""

    cpi: int
    transform: IpcompId

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the notification's data; WireError when it is too short or the CPI is 0, which names nothing."""
        reader = Reader(data)
        cpi, transform = reader.u16(), IpcompId(reader.u8())
        if not cpi:
            raise WireError("IPCOMP_SUPPORTED with CPI 0", NotifyType.INVALID_SYNTAX)
        return cls(cpi, transform)

    def emit(self) -> bytes:
        """The notification's data."""
        return Writer().u16(self.cpi).u8(self.transform).done()
