# SPDX-License-Identifier: GPL-2.0-or-later
"""Attribute payload of Mode Config and XAUTH (draft-dukes-ike-mode-cfg-02 3.2, draft-beaulieu-ike-xauth-02).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+-------------------------------+
|     type      |   reserved    |          identifier           |
+---------------+---------------+-------------------------------+
|                           attributes                          |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.attribute import Attribute
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v1.body import Payload, reserved
from openswan.wire.v1.numbers import CfgAttribute, CfgType, PayloadType

MAX_ATTRIBUTES = 256
"""Ours: more than any gateway has to say."""
LEAST = 4
"""Octets of the shortest attribute."""


@dataclass(frozen=True, slots=True)
class Attributes(Payload):
    """A request for, or a grant of, addresses and the like; or a step of XAUTH. An empty value asks for one."""

    TYPE: ClassVar[PayloadType] = PayloadType.ATTRIBUTES
    kind: CfgType
    identifier: int = 0
    """Ties a reply to its request, an acknowledgement to what was set."""
    attributes: tuple[Attribute, ...] = ()
    padding: int = 0
    """Octets of zero behind them, fewer than an attribute has: what Openswan and libreswan fill the payload up with."""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read all attributes; WireError when one runs past the end or there are more than MAX_ATTRIBUTES."""
        kind = CfgType(reader.u8())
        reserved(reader, 1)
        identifier = reader.u16()
        found: list[Attribute] = []
        while (left := reader.remaining) >= LEAST:
            if len(found) >= MAX_ATTRIBUTES:
                raise WireError(f"more than {MAX_ATTRIBUTES} configuration attributes")
            found.append(Attribute.parse(reader))
        reserved(reader, left)
        return cls(kind, identifier, tuple(found), left)

    def emit(self) -> bytes:
        """Type, identifier, attributes."""
        out = Writer().u8(self.kind).u8(0).u16(self.identifier)
        said = b"".join(attribute.emit() for attribute in self.attributes)
        return out.octets(said + bytes(self.padding)).done()

    def values(self, kind: CfgAttribute) -> Iterator[bytes]:
        """The values of every attribute of that type, in order; a short one's as its two octets."""
        for attribute in self.attributes:
            if attribute.type == kind:
                value = attribute.value
                yield value.to_bytes(2, "big") if isinstance(value, int) else value
