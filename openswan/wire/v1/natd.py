# SPDX-License-Identifier: GPL-2.0-or-later
"""NAT Discovery and NAT Original Address payloads (RFC 3947 3.2, 5.2; drafts 02 and 03 under numbers of their own).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------------------------------------------------------+  NAT-D
|         HASH(CKY-I | CKY-R | IP address | port)               |
+---------------+-----------------------------------------------+  NAT-OA
|    ID type    |                   reserved                    |
+---------------+-----------------------------------------------+
|                 IPv4 address or IPv6 address                  |
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
from openswan.wire.v1.body import Opaque, Payload, reserved
from openswan.wire.v1.ident import ADDRESS_OCTETS
from openswan.wire.v1.numbers import IdType, PayloadType


@dataclass(frozen=True, slots=True)
class NatD(Opaque):
    """The hash, by phase 1's hash algorithm, of one end's address and port as its sender sees them."""

    TYPE: ClassVar[PayloadType] = PayloadType.NAT_D
    LEAST: ClassVar[int] = 16
    MOST: ClassVar[int] = 64


@dataclass(frozen=True, slots=True)
class NatDDraft(NatD):
    """The same under the drafts' number."""

    TYPE: ClassVar[PayloadType] = PayloadType.NAT_D_DRAFT


@dataclass(frozen=True, slots=True)
class NatOa(Payload):
    """The address an end of a transport mode SA has on its own side of the NAT, for its peer's checksums."""

    TYPE: ClassVar[PayloadType] = PayloadType.NAT_OA
    address: Address

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the address; WireError when its type is another or its length wrong."""
        kind = IdType(reader.u8())
        reserved(reader, 3)
        body = reader.rest()
        if kind not in ADDRESS_OCTETS or len(body) != ADDRESS_OCTETS[kind]:
            raise WireError(f"original address of type {kind} in {len(body)} octets")
        return cls(ip_address(body))

    def emit(self) -> bytes:
        """Type, reserved, address."""
        kind = IdType.IPV4_ADDR if self.address.version == 4 else IdType.IPV6_ADDR
        return Writer().u8(kind).octets(bytes(3)).octets(self.address.packed).done()


@dataclass(frozen=True, slots=True)
class NatOaDraft(NatOa):
    """The same under the drafts' number."""

    TYPE: ClassVar[PayloadType] = PayloadType.NAT_OA_DRAFT
