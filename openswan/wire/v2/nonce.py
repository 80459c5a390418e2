# SPDX-License-Identifier: GPL-2.0-or-later
"""Nonce payload (RFC 7296 3.9).

```
+---------------------------------------------------------------+
|                    16 to 256 octets of nonce                  |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import PayloadType

MIN_NONCE = 16
MAX_NONCE = 256


@dataclass(frozen=True, slots=True)
class Nonce(Payload):
    """Ni or Nr."""

    TYPE: ClassVar[PayloadType] = PayloadType.NONCE
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the nonce; WireError when it has not 16 to 256 octets."""
        if not MIN_NONCE <= reader.remaining <= MAX_NONCE:
            raise WireError(f"nonce of {reader.remaining} octets, {MIN_NONCE} to {MAX_NONCE} are allowed")
        return cls(reader.rest())

    def emit(self) -> bytes:
        """The nonce."""
        return self.data
