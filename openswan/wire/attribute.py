# SPDX-License-Identifier: GPL-2.0-or-later
"""Data attributes, type-value or type-length-value, as both IKE versions use them (RFC 7296 3.3.5, RFC 2408 3.3).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-----------------------------+-------------------------------+
|F|        attribute type       | F=1: value     F=0: length    |
+-+-----------------------------+-------------------------------+
|                  F=0: value of that many octets               |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from openswan.wire.cursor import Reader, Writer

SHORT = 0x8000
"""The format bit: the value is the two octets that follow."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; `value` is an int in the short form and octets in the long one."""

    type: int
    value: int | bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read one attribute; WireError when its length runs past the end."""
        head = reader.u16()
        if head & SHORT:
            return cls(head & ~SHORT, reader.u16())
        return cls(head, reader.octets(reader.u16()))

    def emit(self) -> bytes:
        """The attribute as on the wire."""
        if isinstance(self.value, int):
            return Writer().u16(self.type | SHORT).u16(self.value).done()
        return Writer().u16(self.type).u16(len(self.value)).octets(self.value).done()
