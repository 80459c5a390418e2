# SPDX-License-Identifier: GPL-2.0-or-later
"""Identification payload: who speaks in phase 1, whose traffic is meant in phase 2 (RFC 2407 4.6.2).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+-------------------------------+
|    ID type    |  protocol ID  |             port              |
+---------------+---------------+-------------------------------+
|                      identification data                      |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import ClassVar, Self

from openswan.base.address import Address
from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v1.body import Payload
from openswan.wire.v1.numbers import IdType, NotifyType, PayloadType

ADDRESS_OCTETS = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}
SUBNET_OCTETS = {IdType.IPV4_ADDR_SUBNET: 4, IdType.IPV6_ADDR_SUBNET: 16}
RANGE_OCTETS = {IdType.IPV4_ADDR_RANGE: 4, IdType.IPV6_ADDR_RANGE: 16}
OCTETS = ADDRESS_OCTETS | {kind: 2 * one for kind, one in (SUBNET_OCTETS | RANGE_OCTETS).items()}
"""How long the data of each kind made of addresses is."""
NAMES = (IdType.FQDN, IdType.USER_FQDN)
MAX_NAME = 1024
"""Ours, octets: longer than any host or mailbox name (RFC 5321 4.5.3.1), short enough for a log line's sake."""


@dataclass(frozen=True, slots=True)
class Id(Payload):
    """IDii or IDir in phase 1, IDci or IDcr in Quick Mode; port 0 and protocol 0 mean any."""

    TYPE: ClassVar[PayloadType] = PayloadType.ID
    MALFORMED: ClassVar[NotifyType] = NotifyType.INVALID_ID_INFORMATION
    kind: IdType
    body: bytes
    """Address octets, name, DER: as the kind says."""
    protocol: int = 0
    port: int = 0

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read kind, protocol, port and data.

        WireError when addresses have not their family's length, a name holds control octets or is overlong, or there is
        no data.
        """
        kind, protocol, port = IdType(reader.u8()), reader.u8(), reader.u16()
        body = reader.rest()
        wanted = OCTETS.get(kind)
        if wanted is not None and len(body) != wanted:
            raise WireError(f"{kind} identity of {len(body)} octets, not {wanted}")
        if not body:
            raise WireError(f"empty {kind} identity")
        if kind in NAMES and (len(body) > MAX_NAME or any(octet < 0x20 or octet == 0x7F for octet in body)):
            raise WireError(f"{kind} identity is overlong or holds control characters")
        return cls(kind, body, protocol, port)

    def emit(self) -> bytes:
        """Kind, protocol, port, data: IDii_b and the like of RFC 2409 5."""
        return Writer().u8(self.kind).u8(self.protocol).u16(self.port).octets(self.body).done()

    def addresses(self) -> tuple[Address, Address] | None:
        """The first and the last address meant, None for names and the like.

        WireError (INVALID_ID_INFORMATION) when a mask has holes or a range is upside down.
        """
        if self.kind not in OCTETS:
            return None
        half = OCTETS[self.kind] if self.kind in ADDRESS_OCTETS else OCTETS[self.kind] // 2
        first, second = self.body[:half], self.body[half:] or self.body
        low, high = int.from_bytes(first, "big"), int.from_bytes(second, "big")
        if self.kind in SUBNET_OCTETS:
            rest = high ^ (1 << 8 * half) - 1
            if rest & rest + 1:
                raise WireError(f"{self.kind} identity whose mask has holes", NotifyType.INVALID_ID_INFORMATION)
            low, high = low & high, low | rest
        if low > high:
            raise WireError(f"{self.kind} identity that ends before it starts", NotifyType.INVALID_ID_INFORMATION)
        return ip_address(low.to_bytes(half, "big")), ip_address(high.to_bytes(half, "big"))
