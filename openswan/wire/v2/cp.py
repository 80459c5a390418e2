# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration payload (RFC 7296 3.15).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+-----------------------------------------------+
|   CFG type    |                   reserved                    |
+-+-------------+---------------+-------------------------------+  attribute
|R|       attribute type        |             length            |
+-+-----------------------------+-------------------------------+
|                              value                            |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import CfgAttribute, CfgType, PayloadType

MAX_ATTRIBUTES = 256
"""Ours: more than any gateway has to say."""


@dataclass(frozen=True, slots=True)
class CpAttribute:
    """One attribute; an empty value in a request asks for one."""

    type: CfgAttribute
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class Cp(Payload):
    """A request for, or a grant of, addresses and the like."""

    TYPE: ClassVar[PayloadType] = PayloadType.CP
    kind: CfgType
    attributes: tuple[CpAttribute, ...] = ()

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read all attributes; WireError when one runs past the end or there are more than MAX_ATTRIBUTES."""
        kind = CfgType(reader.u8())
        reader.octets(3)
        found: list[CpAttribute] = []
        while reader.remaining:
            if len(found) >= MAX_ATTRIBUTES:
                raise WireError(f"more than {MAX_ATTRIBUTES} configuration attributes")
            number = CfgAttribute(reader.u16() & 0x7FFF)
            found.append(CpAttribute(number, reader.octets(reader.u16())))
        return cls(kind, tuple(found))

    def emit(self) -> bytes:
        """Type and attributes."""
        out = Writer().u8(self.kind).octets(bytes(3))
        for attribute in self.attributes:
            out.u16(attribute.type).u16(len(attribute.value)).octets(attribute.value)
        return out.done()
