# SPDX-License-Identifier: GPL-2.0-or-later
"""Data of a SUPPORTED_AUTH_METHODS notification: ways to be authenticated, one announcement each (RFC 9593 3.2).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+---------------+
|    length 2   |  auth method  |                                  shared key, null
+---------------+---------------+---------------+
|    length 3   |  auth method  |   cert link   |                  RSA with SHA-1, ECDSA of RFC 4754
+---------------+---------------+---------------+---------------+
|   length > 3  |  auth method  |   cert link   | Algorithm-     |  digital signature
+---------------+---------------+---------------+ Identifier (DER)
```
"""

from __future__ import annotations

from dataclasses import dataclass

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.numbers import AuthMethod

MOST = 64
"""Announcements that are read; a list with more is cut there."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One way; `algorithm` is the AlgorithmIdentifier of method 14, empty for the others."""

    method: AuthMethod
    link: int | None = None
    """The certificate request of the message it goes with, from 1; 0: none in particular; None: not of that form."""
    algorithm: bytes = b""

    def emit(self) -> bytes:
        """Length, method and what follows."""
        tail = b"" if self.link is None else bytes([self.link]) + self.algorithm
        return Writer().u8(2 + len(tail)).u8(self.method).octets(tail).done()


def parse(data: bytes) -> tuple[Announcement, ...]:
    """The announcements in their order; WireError when one has not the length it says."""
    reader = Reader(data)
    found: list[Announcement] = []
    while reader.remaining and len(found) < MOST:
        length = reader.u8()
        if length < 2:
            raise WireError(f"authentication method announced in {length} octets", None)
        method, tail = AuthMethod(reader.u8()), reader.octets(length - 2)
        found.append(Announcement(method, tail[0] if tail else None, tail[1:]))
    return tuple(found)


def emit(announcements: tuple[Announcement, ...]) -> bytes:
    """The notification's data."""
    return b"".join(one.emit() for one in announcements)
