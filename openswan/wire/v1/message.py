# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole ISAKMP message, in clear or encrypted (RFC 2408 3.1, RFC 2409 5 and appendix B).

An encrypted message is header and ciphertext of a CBC whose IV never travels: who keeps the SA's IVs seals and opens.
Sending: `first, plaintext = padded(payloads, block)`, then `Message.encrypted(header, first, ciphertext)`, its header
with the Encryption flag. Receiving: `message = Message.parse(data)`, then `Content.parse(message.first, plaintext)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from openswan.base.errors import WireError
from openswan.wire.header import HEADER_OCTETS, MAX_MESSAGE
from openswan.wire.v1.auth import Hash
from openswan.wire.v1.body import Payload
from openswan.wire.v1.header import Header
from openswan.wire.v1.numbers import NotifyType, PayloadType
from openswan.wire.v1.payload import GENERIC_OCTETS, emit_chain, parse_chain

P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class Content:
    """The payloads of a message in clear or of a decrypted one."""

    payloads: tuple[Payload, ...] = ()
    octets: bytes = b""
    """The payloads as they came, padding cut off."""

    @classmethod
    def parse(cls, first: int, plaintext: bytes) -> Self:
        """Read decrypted octets; what stands behind the last payload is padding. WireError as parse_chain() says.

        Wrong keys show here: a chain that cannot be read, most often.
        """
        payloads, used = parse_chain(first, plaintext)
        return cls(payloads, plaintext[:used])

    def all(self, cls: type[P]) -> tuple[P, ...]:
        """The payloads of one class, in order."""
        return tuple(p for p in self.payloads if isinstance(p, cls))

    def first(self, cls: type[P]) -> P | None:
        """The first payload of one class."""
        return next((p for p in self.payloads if isinstance(p, cls)), None)

    def hashed(self) -> tuple[bytes, bytes]:
        """The hash, and all that stands behind it: what HASH(1) and HASH(2) cover (RFC 2409 5.5, 5.7).

        WireError (INVALID_HASH_INFORMATION) when the first payload is not a hash (CVE-2019-10155).
        """
        if not self.payloads or not isinstance(head := self.payloads[0], Hash):
            raise WireError("the message does not begin with a HASH payload", NotifyType.INVALID_HASH_INFORMATION)
        return head.data, self.octets[GENERIC_OCTETS + len(head.data) :]


@dataclass(frozen=True, slots=True)
class Message:
    """Header and either payloads or, with the Encryption flag, ciphertext."""

    header: Header
    content: Content = Content()
    sealed: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a datagram without non-ESP marker.

        WireError as Header.parse and parse_chain say, and when nothing is behind the header, or something behind the
        payloads of a message in clear.
        """
        header, body = Header.parse(data), data[HEADER_OCTETS:]
        if not body or header.next_payload == PayloadType.NONE:
            raise WireError("ISAKMP message without a payload", NotifyType.PAYLOAD_MALFORMED)
        if header.is_encrypted:
            return cls(header, sealed=body)
        content = Content.parse(header.next_payload, body)
        if len(content.octets) != len(body):
            excess = len(body) - len(content.octets)
            raise WireError(f"{excess} octets behind the last payload", NotifyType.UNEQUAL_PAYLOAD_LENGTHS)
        return cls(header, content)

    @property
    def first(self) -> PayloadType:
        """The type of the first payload, which an encrypted message names in clear."""
        return self.header.next_payload

    @classmethod
    def clear(cls, header: Header, payloads: Sequence[Payload]) -> Self:
        """A message of these payloads in clear."""
        first, chain = emit_chain(payloads)
        return cls(_framed(header, first, len(chain)), Content(tuple(payloads), chain))

    @classmethod
    def encrypted(cls, header: Header, first: PayloadType, ciphertext: bytes) -> Self:
        """A message around ciphertext, whose first payload is of type `first`."""
        if not header.is_encrypted:
            raise WireError("ciphertext in a message without the Encryption flag", None)
        return cls(_framed(header, first, len(ciphertext)), sealed=ciphertext)

    def emit(self) -> bytes:
        """The datagram."""
        return self.header.emit() + (self.sealed or self.content.octets)


def padded(payloads: Sequence[Payload], block: int) -> tuple[PayloadType, bytes]:
    """The first payload's type, and the chain filled up with zeros to whole blocks (RFC 2409 appendix B)."""
    first, chain = emit_chain(payloads)
    return first, chain + bytes(-len(chain) % block)


def _framed(header: Header, first: PayloadType, octets: int) -> Header:
    """The header in front of `octets` octets."""
    length = HEADER_OCTETS + octets
    if length > MAX_MESSAGE:
        raise WireError(f"message of {length} octets is longer than {MAX_MESSAGE}", None)
    return header.with_length(length, first)
