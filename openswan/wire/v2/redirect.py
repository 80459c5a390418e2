# SPDX-License-Identifier: GPL-2.0-or-later
"""What REDIRECT and REDIRECTED_FROM notifications say (RFC 5685 9.2, 9.3).

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+-------------------------------+
| GW Ident Type |  GW Ident Len |  New Responder GW Identity    ~
+---------------+---------------+-------------------------------+
~  Nonce Data (REDIRECT in an IKE_SA_INIT response alone)       ~
+---------------------------------------------------------------+
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self

from openswan.base.address import Address
from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer

IPV4, IPV6, FQDN = 1, 2, 3
SIZES = {IPV4: 4, IPV6: 16}
MOST_NONCE = 256
"""Octets (RFC 7296 3.9)."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Another gateway, by address or by name, and the nonce of who is sent there."""

    gateway: Address | str
    nonce: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the data of a notification; WireError when there is no gateway in it."""
        reader = Reader(data)
        kind, size = reader.u8(), reader.u8()
        identity, nonce = reader.octets(size), reader.rest()
        if len(nonce) > MOST_NONCE:
            raise WireError(f"nonce of {len(nonce)} octets")
        if kind == FQDN and identity and all(0x21 <= octet < 0x7F for octet in identity):
            return cls(identity.decode("ascii"), nonce)
        if SIZES.get(kind) != size:
            raise WireError(f"gateway identity of type {kind} with {size} octets")
        return cls(ip_address(identity), nonce)

    def emit(self) -> bytes:
        """The data of a notification."""
        if isinstance(self.gateway, str):
            kind, identity = FQDN, self.gateway.encode("ascii")
        else:
            kind, identity = (IPV4 if self.gateway.version == 4 else IPV6), self.gateway.packed
        return Writer().u8(kind).u8(len(identity)).octets(identity).octets(self.nonce).done()
