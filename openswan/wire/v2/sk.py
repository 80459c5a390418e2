# SPDX-License-Identifier: GPL-2.0-or-later
"""Encrypted payload: lengths and padding only; whoever has the keys encrypts (RFC 7296 3.14, RFC 5282).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+-+-------------+-------------------------------+
| first inside  |C|  reserved   |        payload length         |
+---------------+-+-------------+-------------------------------+
|                     initialization vector                     |
+---------------------------------------------------------------+
|          encrypted: payloads, padding, pad length             |
+---------------------------------------------------------------+
|                      integrity check value                    |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import PayloadType


@dataclass(frozen=True, slots=True)
class Sealed:
    """The three parts of an encrypted body."""

    iv: bytes
    ciphertext: bytes
    icv: bytes


@dataclass(frozen=True, slots=True)
class Sk(Payload):
    """An Encrypted payload, always the last of its message; its Next Payload field names the first one inside."""

    TYPE: ClassVar[PayloadType] = PayloadType.SK
    first_inner: PayloadType
    body: bytes
    """IV, ciphertext, ICV."""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Take the whole body; the payload chain fills in `first_inner`, which stands in the generic header."""
        return cls(PayloadType.NONE, reader.rest())

    def emit(self) -> bytes:
        """IV, ciphertext, ICV."""
        return self.body

    def split(self, iv_octets: int, icv_octets: int, block: int = 1) -> Sealed:
        """Cut the body; WireError when nothing is left for the ciphertext or it is not whole cipher blocks."""
        return split(self.body, iv_octets, icv_octets, block)


def split(body: bytes, iv_octets: int, icv_octets: int, block: int = 1) -> Sealed:
    """Cut an encrypted body of SK or SKF into IV, ciphertext (at least the pad length octet) and ICV."""
    inside = len(body) - iv_octets - icv_octets
    if inside < 1 or inside % block:
        raise WireError(f"encrypted payload of {len(body)} octets does not fit its cipher")
    reader = Reader(body)
    return Sealed(reader.octets(iv_octets), reader.octets(inside), reader.octets(icv_octets))


def pad(payloads: bytes, block: int = 1) -> bytes:
    """Payloads with padding and pad length behind them, a whole number of `block` octets."""
    count = -(len(payloads) + 1) % block
    return payloads + bytes(count) + bytes([count])


def unpad(plaintext: bytes) -> bytes:
    """The payloads of decrypted octets; WireError when the pad length is more than there is.

    The padding's content is free (RFC 7296 3.14) and not looked at.
    """
    if not plaintext or plaintext[-1] + 1 > len(plaintext):
        raise WireError("padding of the encrypted payload is longer than the payload")
    return plaintext[: len(plaintext) - plaintext[-1] - 1]
