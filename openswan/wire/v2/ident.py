# SPDX-License-Identifier: GPL-2.0-or-later
"""Identification payloads, initiator's and responder's (RFC 7296 3.5).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+-----------------------------------------------+
|    ID type    |                   reserved                    |
+---------------+-----------------------------------------------+
|                      identification data                      |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import IdType, PayloadType

ADDRESS_OCTETS = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}
NAMES = (IdType.FQDN, IdType.RFC822_ADDR)
MAX_NAME = 1024
"""Ours, octets: longer than any host or mailbox name (RFC 5321 4.5.3.1), short enough for a log line's sake."""


@dataclass(frozen=True, slots=True)
class _Id(Payload):
    kind: IdType
    body: bytes
    """Address octets, name, DER: as the kind says."""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read kind and data.

        WireError when an address has not its family's length, a name holds control octets (RFC 7296 3.5: no
        terminators) or is overlong, or any but ID_NULL is empty.
        """
        kind = IdType(reader.u8())
        reader.octets(3)
        body = reader.rest()
        wanted = ADDRESS_OCTETS.get(kind)
        if wanted is not None and len(body) != wanted:
            raise WireError(f"{kind} identity of {len(body)} octets, not {wanted}")
        if not body and kind != IdType.NULL:
            raise WireError(f"empty {kind} identity")
        if kind in NAMES and (len(body) > MAX_NAME or any(octet < 0x20 or octet == 0x7F for octet in body)):
            raise WireError(f"{kind} identity is overlong or holds control characters")
        return cls(kind, body)

    def emit(self) -> bytes:
        """Kind, reserved, data: also what AUTH covers as IDi' or IDr' (RFC 7296 2.15)."""
        return Writer().u8(self.kind).octets(bytes(3)).octets(self.body).done()


@dataclass(frozen=True, slots=True)
class IdI(_Id):
    """Who the initiator says it is."""

    TYPE: ClassVar[PayloadType] = PayloadType.ID_I


@dataclass(frozen=True, slots=True)
class IdR(_Id):
    """Who the responder is, or (from the initiator) whom it expects."""

    TYPE: ClassVar[PayloadType] = PayloadType.ID_R
