# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificate and Certificate Request payloads (RFC 2408 3.9, 3.10).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+-----------------------------------------------+
| cert encoding |    certificate data, or the authority's name  |
+---------------+                                               |
|                                                               |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v1.body import Payload
from openswan.wire.v1.numbers import CertEncoding, PayloadType


@dataclass(frozen=True, slots=True)
class Cert(Payload):
    """One certificate or revocation list; for the X509 encodings the data is DER."""

    TYPE: ClassVar[PayloadType] = PayloadType.CERT
    encoding: CertEncoding
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read encoding and data; WireError when there is no data."""
        encoding, data = CertEncoding(reader.u8()), reader.rest()
        if not data:
            raise WireError("CERT payload without a certificate")
        return cls(encoding, data)

    def emit(self) -> bytes:
        """Encoding and data."""
        return Writer().u8(self.encoding).octets(self.data).done()


@dataclass(frozen=True, slots=True)
class CertReq(Payload):
    """Which authority's certificates the sender takes; empty: any."""

    TYPE: ClassVar[PayloadType] = PayloadType.CERTREQ
    encoding: CertEncoding
    authority: bytes = b""
    """For X509_SIGNATURE the DER of a distinguished name."""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read encoding and authority."""
        return cls(CertEncoding(reader.u8()), reader.rest())

    def emit(self) -> bytes:
        """Encoding and authority."""
        return Writer().u8(self.encoding).octets(self.authority).done()
