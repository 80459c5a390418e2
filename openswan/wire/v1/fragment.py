# SPDX-License-Identifier: GPL-2.0-or-later
"""A piece of a whole ISAKMP message, as Cisco and libreswan send it ([MS-IKEE] 2.2.3.1).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-------------------------------+---------------+---------------+
|          fragment ID          | piece's number| 1: the last   |
+-------------------------------+---------------+---------------+
|            octets of the message, its header included         |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v1.body import Payload
from openswan.wire.v1.numbers import PayloadType

LAST = 1
MAX_FRAGMENTS = 64
"""Ours: so many of the smallest sensible size are as long as any message with certificates."""


@dataclass(frozen=True, slots=True)
class Fragment(Payload):
    """One piece; it travels alone in its message, in clear, and what it belongs to is encrypted as ever."""

    TYPE: ClassVar[PayloadType] = PayloadType.FRAGMENT
    id: int
    """The same in all pieces of one message."""
    number: int
    """From 1."""
    last: bool
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read one piece; WireError when its number is not 1 to MAX_FRAGMENTS, its flags are unknown or it is empty."""
        identifier, number, flags = reader.u16(), reader.u8(), reader.u8()
        if not 1 <= number <= MAX_FRAGMENTS:
            raise WireError(f"fragment number {number}, 1 to {MAX_FRAGMENTS} are allowed")
        if flags & ~LAST:
            raise WireError(f"fragment flags 0x{flags:x}")
        data = reader.rest()
        if not data:
            raise WireError(f"fragment {number} is empty")
        return cls(identifier, number, bool(flags), data)

    def emit(self) -> bytes:
        """ID, number, flag, octets."""
        return Writer().u16(self.id).u8(self.number).u8(LAST if self.last else 0).octets(self.data).done()


def split(message: bytes, identifier: int, octets: int) -> list[Fragment]:
    """A whole message as pieces of at most `octets` octets; WireError when it takes more than MAX_FRAGMENTS."""
    pieces = [message[at : at + octets] for at in range(0, len(message), octets)]
    if len(pieces) > MAX_FRAGMENTS:
        raise WireError(f"message of {len(message)} octets takes more than {MAX_FRAGMENTS} fragments", None)
    return [Fragment(identifier, number, number == len(pieces), piece) for number, piece in enumerate(pieces, 1)]
