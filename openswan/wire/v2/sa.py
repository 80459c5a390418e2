# SPDX-License-Identifier: GPL-2.0-or-later
"""Security Association payload: proposals and their transforms (RFC 7296 3.3).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+-------------------------------+  proposal
| 0 last 2 more |   reserved    |        proposal length        |
+---------------+---------------+---------------+---------------+
| proposal num  |  protocol ID  |   SPI size    | transforms    |
+---------------+---------------+---------------+---------------+
|                      SPI, then transforms                     |
+---------------+---------------+-------------------------------+  transform
| 0 last 3 more |   reserved    |        transform length       |
+---------------+---------------+-------------------------------+
|transform type |   reserved    |          transform ID         |
+---------------+---------------+-------------------------------+
|                           attributes                          |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.attribute import Attribute
from openswan.wire.cursor import Reader, Writer
from openswan.wire.substructure import MORE_PROPOSALS, MORE_TRANSFORMS, emit_list, parse_list
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import TRANSFORM_IDS, AttributeType, PayloadType, ProtocolId, TransformType

MAX_PROPOSALS = 64
"""Ours: a peer that offers more is not negotiating."""


@dataclass(frozen=True, slots=True)
class Transform:
    """One algorithm on offer. `key_bits` is the Key Length attribute, None when there is none.

    `others` are attributes this project does not know, or a Key Length in a form RFC 7296 3.3.5 does not allow: such a
    transform is unacceptable (3.3.6), but the rest of its proposal is not.
    """

    type: TransformType
    id: int
    key_bits: int | None = None
    others: tuple[Attribute, ...] = ()

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read type, ID and attributes; the reader ends with the transform."""
        kind = TransformType(reader.u8())
        reader.u8()
        number = reader.u16()
        key_bits: int | None = None
        others: list[Attribute] = []
        while reader.remaining:
            attribute = Attribute.parse(reader)
            if attribute.type == AttributeType.KEY_LENGTH and isinstance(attribute.value, int) and key_bits is None:
                key_bits = attribute.value
            else:
                others.append(attribute)
        return cls(kind, number, key_bits, tuple(others))

    def emit(self) -> bytes:
        """Type, ID and attributes, without the substructure header."""
        out = Writer().u8(self.type).u8(0).u16(self.id)
        if self.key_bits is not None:
            out.octets(Attribute(AttributeType.KEY_LENGTH, self.key_bits).emit())
        for attribute in self.others:
            out.octets(attribute.emit())
        return out.done()

    def __str__(self) -> str:
        ids = TRANSFORM_IDS.get(self.type)
        name = str(ids(self.id)) if ids else f"{self.type}:{self.id}"
        return name if self.key_bits is None else f"{name}_{self.key_bits}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal; `spi` is 0, 4 or 8 octets (the caller checks which its exchange wants)."""

    num: int
    protocol: ProtocolId
    spi: bytes
    transforms: tuple[Transform, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a proposal after its substructure header; the reader ends with the proposal."""
        num, protocol, spi_size, count = (reader.u8() for _ in range(4))
        spi = reader.octets(spi_size)
        transforms = parse_list(reader, "transform", Transform.parse, MORE_TRANSFORMS, count)
        if len(transforms) != count:
            raise WireError(f"proposal {num} announces {count} transforms and has {len(transforms)}")
        return cls(num, ProtocolId(protocol), spi, transforms)

    def emit(self) -> bytes:
        """The proposal without its substructure header."""
        out = Writer().u8(self.num).u8(self.protocol).u8(len(self.spi)).u8(len(self.transforms)).octets(self.spi)
        return out.octets(emit_list([one.emit() for one in self.transforms], MORE_TRANSFORMS)).done()

    def of(self, kind: TransformType) -> tuple[Transform, ...]:
        """The transforms of one type, in order."""
        return tuple(t for t in self.transforms if t.type == kind)


@dataclass(frozen=True, slots=True)
class Sa(Payload):
    """An offer, or the one proposal chosen from it."""

    TYPE: ClassVar[PayloadType] = PayloadType.SA
    proposals: tuple[Proposal, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read all proposals; WireError when there is none or the chain of substructures is not consistent."""
        proposals = parse_list(reader, "proposal", Proposal.parse, MORE_PROPOSALS, MAX_PROPOSALS)
        if not proposals:
            raise WireError("SA payload without a proposal")
        return cls(proposals)

    def emit(self) -> bytes:
        """All proposals."""
        return emit_list([one.emit() for one in self.proposals], MORE_PROPOSALS)
