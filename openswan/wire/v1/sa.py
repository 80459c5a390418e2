# SPDX-License-Identifier: GPL-2.0-or-later
"""Security Association payload: proposals, transforms and their attributes (RFC 2407 4.6.1, RFC 2408 3.4 to 3.6).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------------------------------------------------------+
|                              DOI                              |
+---------------------------------------------------------------+
|                           situation                           |
+---------------+---------------+-------------------------------+  proposal
| 0 last 2 more |   reserved    |        proposal length        |
+---------------+---------------+---------------+---------------+
| proposal num  |  protocol ID  |   SPI size    | transforms    |
+---------------+---------------+---------------+---------------+
|                      SPI, then transforms                     |
+---------------+---------------+-------------------------------+  transform
| 0 last 3 more |   reserved    |        transform length       |
+---------------+---------------+-------------------------------+
| transform num | transform ID  |           reserved            |
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
from openswan.wire.v1.body import Payload, reserved
from openswan.wire.v1.numbers import Doi, NotifyType, PayloadType, ProtocolId

IDENTITY_ONLY = 1
"""SIT_IDENTITY_ONLY: the one situation without labels of secrecy and integrity (RFC 2407 4.2.1)."""
MAX_PROPOSALS = 64
"""Ours: a peer that offers more is not negotiating."""
MAX_ATTRIBUTES = 32
"""Ours, of one transform: twice as many as there are types."""
MAX_SPI = 16
"""Octets: a pair of cookies (RFC 2408 3.5)."""


def parse_attributes(reader: Reader) -> tuple[Attribute, ...]:
    """Read attributes up to the reader's end; WireError when one runs past it or there are more than MAX_ATTRIBUTES."""
    found: list[Attribute] = []
    while reader.remaining:
        if len(found) >= MAX_ATTRIBUTES:
            raise WireError(f"more than {MAX_ATTRIBUTES} attributes")
        found.append(Attribute.parse(reader))
    return tuple(found)


def emit_attributes(attributes: tuple[Attribute, ...]) -> bytes:
    """The attributes, each in the form it has."""
    return b"".join(attribute.emit() for attribute in attributes)


@dataclass(frozen=True, slots=True)
class Transform:
    """One offer: `id` is a number of the protocol's own enum (IsakmpId, AhId, EspId, IpcompId)."""

    num: int
    id: int
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a transform after its substructure header; the reader ends with the transform."""
        num, number = reader.u8(), reader.u8()
        reserved(reader, 2)
        return cls(num, number, parse_attributes(reader))

    def emit(self) -> bytes:
        """The transform without its substructure header."""
        return Writer().u8(self.num).u8(self.id).u16(0).octets(emit_attributes(self.attributes)).done()


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal; those of the same number belong together (RFC 2408 4.2).

    `spi` has 0 to 16 octets in phase 1, where its content means nothing (RFC 2408 3.5); the caller checks the others.
    """

    num: int
    protocol: ProtocolId
    spi: bytes
    transforms: tuple[Transform, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a proposal after its substructure header; the reader ends with the proposal."""
        num, protocol, spi_size, count = (reader.u8() for _ in range(4))
        if spi_size > MAX_SPI:
            raise WireError(f"proposal {num} with an SPI of {spi_size} octets, at most {MAX_SPI} are allowed")
        spi = reader.octets(spi_size)
        transforms = parse_list(reader, "transform", Transform.parse, MORE_TRANSFORMS, count, strict=True)
        if len(transforms) != count or not count:
            raise WireError(f"proposal {num} announces {count} transforms and has {len(transforms)}")
        return cls(num, ProtocolId(protocol), spi, transforms)

    def emit(self) -> bytes:
        """The proposal without its substructure header."""
        out = Writer().u8(self.num).u8(self.protocol).u8(len(self.spi)).u8(len(self.transforms)).octets(self.spi)
        return out.octets(emit_list([one.emit() for one in self.transforms], MORE_TRANSFORMS)).done()


@dataclass(frozen=True, slots=True)
class Sa(Payload):
    """An offer, or what was chosen of it; always of the IPsec DOI, situation SIT_IDENTITY_ONLY."""

    TYPE: ClassVar[PayloadType] = PayloadType.SA
    MALFORMED: ClassVar[NotifyType] = NotifyType.BAD_PROPOSAL_SYNTAX
    proposals: tuple[Proposal, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read all proposals.

        WireError: DOI_NOT_SUPPORTED, SITUATION_NOT_SUPPORTED (CVE-2015-3204: any bits may be set), or when there is no
        proposal or the substructures are not consistent.
        """
        doi = Doi(reader.u32())
        if doi != Doi.IPSEC:
            raise WireError(f"SA of domain of interpretation {int(doi)}", NotifyType.DOI_NOT_SUPPORTED)
        situation = reader.u32()
        if situation != IDENTITY_ONLY:
            raise WireError(f"SA of situation 0x{situation:x}", NotifyType.SITUATION_NOT_SUPPORTED)
        proposals = parse_list(reader, "proposal", Proposal.parse, MORE_PROPOSALS, MAX_PROPOSALS, strict=True)
        if not proposals:
            raise WireError("SA payload without a proposal")
        return cls(proposals)

    def emit(self) -> bytes:
        """DOI, situation, all proposals."""
        out = Writer().u32(Doi.IPSEC).u32(IDENTITY_ONLY)
        return out.octets(emit_list([one.emit() for one in self.proposals], MORE_PROPOSALS)).done()
