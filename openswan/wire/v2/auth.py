# SPDX-License-Identifier: GPL-2.0-or-later
"""Authentication payload (RFC 7296 3.8) and the blob of method 14 (RFC 7427 3).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+-----------------------------------------------+
|  auth method  |                   reserved                    |
+---------------+-----------------------------------------------+
|                      authentication data                      |
+---------------------------------------------------------------+

method 14:
+---------------+-----------------------------------------------+
| ASN.1 length  | AlgorithmIdentifier (DER), then the signature |
+---------------+-----------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import AuthMethod, PayloadType


@dataclass(frozen=True, slots=True)
class Auth(Payload):
    """Proof of identity: a MAC or a signature."""

    TYPE: ClassVar[PayloadType] = PayloadType.AUTH
    method: AuthMethod
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read method and data; WireError when there is no data."""
        method = AuthMethod(reader.u8())
        reader.octets(3)
        data = reader.rest()
        if not data:
            raise WireError("AUTH payload without authentication data")
        return cls(method, data)

    def emit(self) -> bytes:
        """Method, reserved, data."""
        return Writer().u8(self.method).octets(bytes(3)).octets(self.data).done()


@dataclass(frozen=True, slots=True)
class DigitalSignature:
    """What method 14 puts into the authentication data."""

    algorithm: bytes
    """DER AlgorithmIdentifier."""
    signature: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Split authentication data; WireError when either half is empty."""
        algorithm = reader.octets(reader.u8())
        signature = reader.rest()
        if not algorithm or not signature:
            raise WireError("digital signature without algorithm or signature")
        return cls(algorithm, signature)

    def emit(self) -> bytes:
        """Length, AlgorithmIdentifier, signature."""
        return Writer().u8(len(self.algorithm)).octets(self.algorithm).octets(self.signature).done()
