# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole IKEv2 message, and the exact octets an encrypted one authenticates (RFC 7296 3.14, RFC 5282 5.1, RFC 7383).

Sending: `prefix = sk_prefix(header, inner_type, body_octets, outer)`, then the message is `prefix + body`. The body is
IV, ciphertext and ICV; `prefix` is the AEAD's associated data. A separate integrity algorithm covers prefix, IV and
ciphertext. Receiving: `message = Message.parse(data)`, then `message.associated(data)` is that prefix,
`message.encrypted` the payload to open, and `parse_chain(message.encrypted.first_inner, unpad(plaintext))` its content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from openswan.base.errors import WireError
from openswan.wire.cursor import Writer
from openswan.wire.header import HEADER_OCTETS, MAX_MESSAGE, Header
from openswan.wire.payload import emit_chain, generic, parse_chain
from openswan.wire.v2.body import Payload
from openswan.wire.v2.fragment import Skf
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, PayloadType
from openswan.wire.v2.sk import Sk

P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class Message:
    """Header and payloads; the encrypted one, if any, comes last."""

    header: Header
    payloads: tuple[Payload, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a datagram without non-ESP marker; WireError as Header.parse, require_v2 and parse_chain say."""
        header = Header.parse(data)
        header.require_v2()
        return cls(header, tuple(parse_chain(header.next_payload, data[HEADER_OCTETS:])))

    def emit(self) -> bytes:
        """The message; length and first payload type in the header are computed."""
        first, chain = emit_chain(self.payloads)
        return _framed(self.header, first, len(chain)) + chain

    @property
    def encrypted(self) -> Sk | Skf | None:
        """The Encrypted payload or fragment, or None for a message in clear."""
        last = self.payloads[-1] if self.payloads else None
        return last if isinstance(last, Sk | Skf) else None

    def associated(self, data: bytes) -> bytes:
        """Of the datagram this message was parsed from: everything in front of the IV.

        That is header, outer payloads and the generic header of SK, with an SKF's fragment numbers.
        """
        sealed = self.encrypted
        if sealed is None:
            raise WireError("message without an Encrypted payload")
        return data[: len(data) - len(sealed.body)]

    def all(self, cls: type[P]) -> tuple[P, ...]:
        """The payloads of one class, in order."""
        return tuple(p for p in self.payloads if isinstance(p, cls))

    def first(self, cls: type[P]) -> P | None:
        """The first payload of one class."""
        return next((p for p in self.payloads if isinstance(p, cls)), None)

    def notify(self, kind: NotifyType) -> Notify | None:
        """The first notification of that type."""
        return next((n for n in self.all(Notify) if n.kind == kind), None)


def sk_prefix(header: Header, inner: PayloadType, body_octets: int, outer: Sequence[Payload] = ()) -> bytes:
    """Header, `outer` payloads in clear and the generic header of an SK whose body will have `body_octets` octets."""
    return _prefix(header, PayloadType.SK, inner, body_octets, outer, b"")


def skf_prefix(
    header: Header, inner: PayloadType, number: int, total: int, body_octets: int, outer: Sequence[Payload] = ()
) -> bytes:
    """The same for fragment `number` (from 1) of `total`; `inner` is NONE for all but the first (RFC 7383 2.5)."""
    return _prefix(header, PayloadType.SKF, inner, body_octets, outer, Writer().u16(number).u16(total).done())


def _prefix(
    header: Header, kind: PayloadType, inner: PayloadType, body_octets: int, outer: Sequence[Payload], extra: bytes
) -> bytes:
    clear = Writer()
    types = [*(payload.type for payload in outer), kind]
    for payload, following in zip(outer, types[1:], strict=True):
        body = payload.emit()
        clear.octets(generic(following, len(body))).octets(body)
    clear.octets(generic(inner, len(extra) + body_octets)).octets(extra)
    return _framed(header, types[0], len(clear) + body_octets) + clear.done()


def _framed(header: Header, first: PayloadType, octets: int) -> bytes:
    """The header in front of `octets` octets of payloads."""
    length = HEADER_OCTETS + octets
    if length > MAX_MESSAGE:
        raise WireError(f"message of {length} octets is longer than {MAX_MESSAGE}", None)
    return header.with_length(length, first).emit()
