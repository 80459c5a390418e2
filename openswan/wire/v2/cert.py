# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificate and Certificate Request payloads (RFC 7296 3.6, 3.7).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+-----------------------------------------------+
| cert encoding |        certificate data, or SHA-1 hashes      |
+---------------+        of the authorities' public keys        |
|                                                               |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import CertEncoding, PayloadType

HASH_OCTETS = 20
HASHED = (CertEncoding.X509_SIGNATURE, CertEncoding.HASH_AND_URL, CertEncoding.HASH_AND_URL_BUNDLE)
"""Encodings whose request is a list of hashes (RFC 7296 3.7)."""
MOST_URL = 2048
"""Octets of a certificate's URL."""


@dataclass(frozen=True, slots=True)
class Cert(Payload):
    """One certificate; for X509_SIGNATURE the data is DER."""

    TYPE: ClassVar[PayloadType] = PayloadType.CERT
    encoding: CertEncoding
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read encoding and data; WireError when there is no data."""
        encoding = CertEncoding(reader.u8())
        data = reader.rest()
        if not data:
            raise WireError("CERT payload without a certificate")
        return cls(encoding, data)

    def emit(self) -> bytes:
        """Encoding and data."""
        return Writer().u8(self.encoding).octets(self.data).done()


@dataclass(frozen=True, slots=True)
class CertReq(Payload):
    """Which authorities the sender trusts; empty: any."""

    TYPE: ClassVar[PayloadType] = PayloadType.CERTREQ
    encoding: CertEncoding
    authority: bytes = b""
    """For X509_SIGNATURE concatenated 20-octet SHA-1 hashes of SubjectPublicKeyInfo."""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read encoding and authorities; WireError when hashes are not whole."""
        encoding = CertEncoding(reader.u8())
        authority = reader.rest()
        if encoding in HASHED and len(authority) % HASH_OCTETS:
            raise WireError(
                f"certificate request of {len(authority)} octets is not a list of {HASH_OCTETS}-octet hashes"
            )
        return cls(encoding, authority)

    def emit(self) -> bytes:
        """Encoding and authorities."""
        return Writer().u8(self.encoding).octets(self.authority).done()

    def hashes(self) -> tuple[bytes, ...]:
        """The authorities' hashes one by one; none for encodings that have no hashes."""
        if self.encoding not in HASHED:
            return ()
        return tuple(self.authority[at : at + HASH_OCTETS] for at in range(0, len(self.authority), HASH_OCTETS))


@dataclass(frozen=True, slots=True)
class HashUrl:
    """The data of a CERT payload with encoding HASH_AND_URL: which certificate, and where (RFC 7296 3.6).

    ```
    +---------------------------------------------------------------+
    |            SHA-1 hash of the certificate, 20 octets           |
    +---------------------------------------------------------------+
    |            URL, ASCII, to the end                             |
    +---------------------------------------------------------------+
    ```
    """

    digest: bytes
    url: str

    @classmethod
    def of(cls, base: str, certificate: bytes) -> Self:
        """A certificate (DER) that is at `base` followed by its hash in lower-case hexadecimal."""
        digest = hashlib.sha1(certificate, usedforsecurity=False).digest()
        return cls(digest, base + digest.hex())

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read hash and URL; WireError when one is missing, or the URL is too long or not printable ASCII."""
        digest, url = data[:HASH_OCTETS], data[HASH_OCTETS:]
        if not url:
            raise WireError(f"hash and URL of a certificate in {len(data)} octets: one of them is missing")
        if len(url) > MOST_URL or not all(0x21 <= octet <= 0x7E for octet in url):
            raise WireError(f"hash and URL of a certificate: {len(url)} octets that are no URL")
        return cls(digest, url.decode("ascii"))

    def emit(self) -> bytes:
        """Hash and URL."""
        return self.digest + self.url.encode("ascii")

    def names(self, certificate: bytes) -> bool:
        """Is it that certificate (DER)?"""
        return hashlib.sha1(certificate, usedforsecurity=False).digest() == self.digest
