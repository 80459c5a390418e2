# SPDX-License-Identifier: GPL-2.0-or-later
"""Encrypted Fragment payload (RFC 7383 2.5).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+-+-------------+-------------------------------+
| first inside  |C|  reserved   |        payload length         |
+---------------+-+-------------+-------------------------------+
|        fragment number        |        total fragments        |
+-------------------------------+-------------------------------+
|        IV, encrypted content with padding, ICV as in SK       |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import PayloadType
from openswan.wire.v2.sk import Sealed, split

MAX_FRAGMENTS = 128
"""Ours: 128 fragments of the smallest sensible size exceed the largest message."""


@dataclass(frozen=True, slots=True)
class Skf(Payload):
    """One fragment; only the first names the first payload inside, the others say NONE."""

    TYPE: ClassVar[PayloadType] = PayloadType.SKF
    first_inner: PayloadType
    number: int
    total: int
    body: bytes
    """IV, ciphertext, ICV."""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read numbers and body; WireError when they are not 1 <= number <= total <= MAX_FRAGMENTS."""
        number, total = reader.u16(), reader.u16()
        if not 1 <= number <= total <= MAX_FRAGMENTS:
            raise WireError(f"fragment {number} of {total}")
        return cls(PayloadType.NONE, number, total, reader.rest())

    def emit(self) -> bytes:
        """Numbers, IV, ciphertext, ICV."""
        return Writer().u16(self.number).u16(self.total).octets(self.body).done()

    def split(self, iv_octets: int, icv_octets: int, block: int = 1) -> Sealed:
        """Cut the body; WireError when nothing is left for the ciphertext or it is not whole cipher blocks."""
        return split(self.body, iv_octets, icv_octets, block)
