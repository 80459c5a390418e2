# SPDX-License-Identifier: GPL-2.0-or-later
"""Vendor ID payload (RFC 7296 3.12).

```
+---------------------------------------------------------------+
|                           vendor ID                           |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.wire.cursor import Reader
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import PayloadType


@dataclass(frozen=True, slots=True)
class VendorId(Payload):
    """What implementation speaks; any octets, compared whole or by prefix."""

    TYPE: ClassVar[PayloadType] = PayloadType.VENDOR
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Take the whole body."""
        return cls(reader.rest())

    def emit(self) -> bytes:
        """The ID."""
        return self.data
