# SPDX-License-Identifier: GPL-2.0-or-later
"""Key Exchange payload (RFC 7296 3.4).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-------------------------------+-------------------------------+
|   Diffie-Hellman group num    |           reserved            |
+-------------------------------+-------------------------------+
|                       key exchange data                       |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import DhId, PayloadType


@dataclass(frozen=True, slots=True)
class Ke(Payload):
    """A public value; crypto.dh checks its length and range against the group."""

    TYPE: ClassVar[PayloadType] = PayloadType.KE
    group: DhId
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read group and public value; WireError when the value is empty."""
        group = DhId(reader.u16())
        reader.u16()
        data = reader.rest()
        if not data:
            raise WireError("KE payload without key exchange data")
        return cls(group, data)

    def emit(self) -> bytes:
        """Group, reserved, public value."""
        return Writer().u16(self.group).u16(0).octets(self.data).done()
