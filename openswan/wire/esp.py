# SPDX-License-Identifier: GPL-2.0-or-later
"""ESP: header, trailer and what its integrity covers (RFC 4303 2).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------------------------------------------------------+
|                 security parameters index (SPI)               |
+---------------------------------------------------------------+
|               sequence number (lower 32 bits)                 |
+---------------------------------------------------------------+
|                     initialization vector                     |
+---------------------------------------------------------------+  encrypted
|                             payload                           |
|               +-----------------------------------------------+
|               |        padding 1, 2, 3 ... (0 to 255)         |
+---------------+---------------+---------------+---------------+
|                               |  pad length   |  next header  |
+-------------------------------+---------------+---------------+
|                      integrity check value                    |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer

HEADER_OCTETS = 8
RESERVED_SPIS = 256
"""SPIs below this are not for SAs (RFC 4303 2.1): never allocate one."""
DUMMY = 59
"""Next header of a packet that is to be thrown away (RFC 4303 2.6)."""
ALIGNMENT = 4
"""Pad length and next header end on such a boundary (RFC 4303 2.4)."""


@dataclass(frozen=True, slots=True)
class EspPacket:
    """One packet, cut up."""

    spi: int
    sequence: int
    """The 32 bits on the wire."""
    iv: bytes
    ciphertext: bytes
    icv: bytes

    @classmethod
    def parse(cls, packet: bytes, iv_octets: int, icv_octets: int, block: int = 1) -> EspPacket:
        """Cut a packet that starts with its SPI.

        WireError without notification when it is too short for header, IV, trailer and ICV, or the ciphertext is
        not a whole number of `block` octets and of 4. Whether the SPI is anyone's is for the SA look-up to say.
        """
        inside = len(packet) - HEADER_OCTETS - iv_octets - icv_octets
        if inside < ALIGNMENT or inside % block or (iv_octets + inside) % ALIGNMENT:
            raise WireError(f"ESP packet of {len(packet)} octets does not fit its cipher", None)
        reader = Reader(packet)
        spi, sequence = reader.u32(), reader.u32()
        return cls(spi, sequence, reader.octets(iv_octets), reader.octets(inside), reader.octets(icv_octets))

    def emit(self) -> bytes:
        """The packet as on the wire."""
        out = Writer().u32(self.spi).u32(self.sequence)
        return out.octets(self.iv).octets(self.ciphertext).octets(self.icv).done()


def add_trailer(payload: bytes, next_header: int, block: int = 1) -> bytes:
    """The plaintext to encrypt: payload, padding 1, 2, 3 ..., pad length, next header (RFC 4303 2.4)."""
    align = max(block, ALIGNMENT)
    count = -(len(payload) + 2) % align
    return payload + bytes(range(1, count + 1)) + bytes((count, next_header))


def strip_trailer(plaintext: bytes) -> tuple[bytes, int]:
    """Payload and next header; WireError when the padding is not 1, 2, 3 ... or longer than what there is."""
    if len(plaintext) < 2:
        raise WireError("ESP plaintext without a trailer", None)
    count, next_header = plaintext[-2], plaintext[-1]
    end = len(plaintext) - 2
    if count > end or plaintext[end - count : end] != bytes(range(1, count + 1)):
        raise WireError("bad ESP padding", None)
    return plaintext[: end - count], next_header


def aead_aad(spi: int, sequence: int, esn: bool) -> bytes:
    """Associated data of an AEAD: SPI and sequence number, all 64 bits of it with ESN (RFC 4106 5, RFC 7634 2.1)."""
    return spi.to_bytes(4, "big") + sequence.to_bytes(8 if esn else 4, "big")


def integrity_input(packet_without_icv: bytes, sequence: int, esn: bool) -> bytes:
    """What a separate integrity algorithm covers: the packet, and with ESN the upper 32 bits (RFC 4303 2.2.1)."""
    return packet_without_icv + ((sequence >> 32).to_bytes(4, "big") if esn else b"")
