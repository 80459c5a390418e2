# SPDX-License-Identifier: GPL-2.0-or-later
"""Extensible Authentication payload: one EAP packet (RFC 7296 3.16, RFC 3748 4).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+-------------------------------+
|     code      |  identifier   |            length             |
+---------------+---------------+-------------------------------+
|     type      |  type data (requests and responses only)
+---------------+-----------------------------------------------
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.base.numbers import OpenIntEnum
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import PayloadType


class EapCode(OpenIntEnum):
    """RFC 3748 4."""

    REQUEST = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


class EapType(OpenIntEnum):
    """Methods (IANA "Extensible Authentication Protocol (EAP) Registry")."""

    NONE = 0
    IDENTITY = 1
    NOTIFICATION = 2
    NAK = 3
    MD5 = 4
    OTP = 5
    GTC = 6
    TLS = 13
    SIM = 18
    TTLS = 21
    AKA = 23
    PEAP = 25
    MSCHAPV2 = 26
    EXPANDED = 254


TYPED = (EapCode.REQUEST, EapCode.RESPONSE)
HEADER = 4


@dataclass(frozen=True, slots=True)
class Eap(Payload):
    """A packet; success and failure have neither type nor data."""

    TYPE: ClassVar[PayloadType] = PayloadType.EAP
    code: EapCode
    identifier: int
    """0 to 255; a response bears its request's."""
    kind: EapType = EapType.NONE
    data: bytes = b""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read one packet, which fills its payload; WireError for another length or code, or a missing type."""
        whole = reader.remaining
        code, identifier, length = EapCode(reader.u8()), reader.u8(), reader.u16()
        if length != whole:
            raise WireError(f"EAP packet says {length} octets and has {whole}")
        if code in TYPED:
            kind = EapType(reader.u8())
            if kind == EapType.NONE:
                raise WireError(f"EAP {code.name} without a type")
            return cls(code, identifier, kind, reader.rest())
        if code not in (EapCode.SUCCESS, EapCode.FAILURE) or length != HEADER:
            raise WireError(f"EAP packet of code {int(code)} and {length} octets")
        return cls(code, identifier)

    def emit(self) -> bytes:
        """Code, identifier, length, type, data."""
        body = bytes([self.kind]) + self.data if self.code in TYPED else b""
        return Writer().u8(self.code).u8(self.identifier).u16(HEADER + len(body)).octets(body).done()
