# SPDX-License-Identifier: GPL-2.0-or-later
"""The ISAKMP header of IKEv1 (RFC 2408 3.1): laid out as in openswan.wire.header, with cookies and flags of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Self

from openswan.base.errors import WireError
from openswan.wire import header as shared
from openswan.wire.cursor import Writer
from openswan.wire.v1.body import told
from openswan.wire.v1.numbers import ExchangeType, NotifyType, PayloadType

COOKIE_OCTETS = shared.SPI_OCTETS
NO_COOKIE = shared.NO_SPI
VERSION = 0x10
"""Major version 1, minor version 0."""


class Flags(IntFlag):
    """RFC 2408 3.1; the other bits must be zero."""

    NONE = 0
    ENCRYPTION = 0x01
    """Everything behind the header is ciphertext."""
    COMMIT = 0x02
    """The sender will say when the SA is up."""
    AUTH_ONLY = 0x04
    """An Informational in clear with a hash."""


KNOWN_FLAGS = int(Flags.ENCRYPTION | Flags.COMMIT | Flags.AUTH_ONLY)


@dataclass(frozen=True, slots=True)
class Header:
    """A header of version 1.0; cookies are octets as on the wire."""

    cookie_i: bytes
    cookie_r: bytes
    exchange: ExchangeType
    flags: Flags = Flags.NONE
    message_id: int = 0
    next_payload: PayloadType = PayloadType.NONE
    length: int = shared.HEADER_OCTETS
    """Octets of the whole message; emitting a Message computes it."""

    @property
    def cookies(self) -> bytes:
        """Both, as a notification's or deletion's SPI names the ISAKMP SA."""
        return self.cookie_i + self.cookie_r

    @property
    def is_encrypted(self) -> bool:
        """Is the Encryption flag set?"""
        return bool(self.flags & Flags.ENCRYPTION)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the header of a whole message.

        WireError with the notification of RFC 2408 5.2: UNEQUAL_PAYLOAD_LENGTHS, INVALID_MAJOR_VERSION,
        INVALID_MINOR_VERSION, INVALID_FLAGS, INVALID_COOKIE when the initiator's is zero; without one when the datagram
        is shorter than a header.
        """
        with told("ISAKMP header", NotifyType.UNEQUAL_PAYLOAD_LENGTHS):
            found = shared.Header.parse(data)
            if found.major != 1:
                raise WireError(f"version {found.major}.{found.minor} is not 1.0", NotifyType.INVALID_MAJOR_VERSION)
            if found.minor:
                raise WireError(f"version 1.{found.minor} is not 1.0", NotifyType.INVALID_MINOR_VERSION)
            if int(found.flags) & ~KNOWN_FLAGS:
                raise WireError(f"unknown flags in 0x{found.flags:02x}", NotifyType.INVALID_FLAGS)
            if found.spi_i == NO_COOKIE:
                raise WireError("the initiator's cookie is zero", NotifyType.INVALID_COOKIE)
        return cls(
            found.spi_i,
            found.spi_r,
            ExchangeType(int(found.exchange)),
            Flags(int(found.flags)),
            found.message_id,
            PayloadType(int(found.next_payload)),
            found.length,
        )

    def emit(self) -> bytes:
        """The 28 octets."""
        if len(self.cookie_i) != COOKIE_OCTETS or len(self.cookie_r) != COOKIE_OCTETS:
            raise WireError("an ISAKMP cookie has 8 octets", None)
        out = Writer().octets(self.cookies).u8(self.next_payload).u8(VERSION).u8(self.exchange).u8(self.flags)
        return out.u32(self.message_id).u32(self.length).done()

    def with_length(self, length: int, next_payload: PayloadType) -> Self:
        """The same header around `length` octets of message that start with `next_payload`."""
        return replace(self, length=length, next_payload=next_payload)
