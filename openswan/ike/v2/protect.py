# SPDX-License-Identifier: GPL-2.0-or-later
"""Sealing and opening messages, whole or in fragments (RFC 7296 3.14, RFC 7383)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from openswan.base.entropy import Rng
from openswan.base.errors import CryptoError, WireError
from openswan.crypto.keymat import IkeKeys
from openswan.crypto.sealing import Sealer
from openswan.ike.policy import ChosenIke
from openswan.wire.header import HEADER_OCTETS, MAX_MESSAGE, Header
from openswan.wire.message import Message, sk_prefix, skf_prefix
from openswan.wire.payload import emit_chain
from openswan.wire.v2.body import Payload
from openswan.wire.v2.fragment import MAX_FRAGMENTS, Skf
from openswan.wire.v2.numbers import PayloadType
from openswan.wire.v2.sk import pad, unpad

FRAGMENT_HEADER = 8
"""Generic header of an Encrypted Fragment payload and its two numbers."""
MOST_PARTIAL = 16
"""Messages that may be incomplete at once: two windows of 8."""
SMALLEST_FRAGMENT = 256
"""Octets of content a fragment carries at least, whatever size was asked for."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The content of a message whose integrity was verified; still to be parsed."""

    first: PayloadType
    content: bytes
    request: bytes
    """The datagram that a repetition is told by: the only one, or the first fragment."""


class Channel:
    """Both directions of an IKE SA's protection."""

    __slots__ = ("_in", "_out", "assembler")

    def __init__(self, keys: IkeKeys, chosen: ChosenIke, is_initiator: bool) -> None:
        integ = chosen.integ.name if chosen.integ else ""
        from_i = Sealer(chosen.encr.name, keys.ei.data, integ, bytes(keys.ai.data))
        from_r = Sealer(chosen.encr.name, keys.er.data, integ, bytes(keys.ar.data))
        self._out, self._in = (from_i, from_r) if is_initiator else (from_r, from_i)
        self.assembler = Assembler()

    def seal(self, header: Header, payloads: Sequence[Payload], rng: Rng, most: int = 0) -> tuple[bytes, ...]:
        """The datagrams of a message: one, or fragments of at most `most` octets when it would be longer (0: never)."""
        first, chain = emit_chain(payloads)
        out = self._out
        plain = pad(chain, out.block)
        size = out.body_octets(len(plain))
        prefix = sk_prefix(header, first, size)
        if not most or len(prefix) + size <= most:
            return (prefix + out.seal(prefix, plain, rng),)
        room = self.fragment_room(most)
        return self._fragments(header, first, [chain[at : at + room] for at in range(0, len(chain), room)], rng)

    def fragment_room(self, most: int) -> int:
        """Octets of content in a fragment of at most `most` octets."""
        prefix = HEADER_OCTETS + FRAGMENT_HEADER
        return max(most - prefix - self._out.body_octets(self._out.block), SMALLEST_FRAGMENT)

    def seal_cut(
        self, header: Header, payloads: Sequence[Payload], rng: Rng, most: int, least: int
    ) -> tuple[bytes, ...]:
        """At least `least` fragments, the first as near to `most` octets as cipher blocks allow, none larger."""
        first, chain = emit_chain(payloads)
        room = self.fragment_room(most)
        head, rest = chain[:room], chain[room:]
        count = max(least - 1, -(-len(rest) // room), 1)
        if len(rest) < count:
            raise WireError(f"message of {len(chain)} octets does not make {count + 1} fragments", None)
        ends = [len(rest) * n // count for n in range(count + 1)]
        return self._fragments(header, first, [head, *(rest[a:b] for a, b in pairwise(ends))], rng)

    def _fragments(self, header: Header, first: PayloadType, parts: list[bytes], rng: Rng) -> tuple[bytes, ...]:
        out = self._out
        if len(parts) > MAX_FRAGMENTS:
            raise WireError(f"message of {sum(map(len, parts))} octets does not fit {MAX_FRAGMENTS} fragments", None)
        datagrams = []
        for number, part in enumerate(parts, 1):
            plain = pad(part, out.block)
            kind = first if number == 1 else PayloadType.NONE
            prefix = skf_prefix(header, kind, number, len(parts), out.body_octets(len(plain)))
            datagrams.append(prefix + out.seal(prefix, plain, rng))
        return tuple(datagrams)

    def open(self, message: Message, data: bytes) -> Opened | None:
        """The content of a received message; None while fragments are missing.

        WireError when it is not encrypted, CryptoError when its integrity is not right; nothing has changed then.
        """
        sealed = message.encrypted
        if sealed is None:
            raise WireError("message in clear where only an encrypted one counts", None)
        content = unpad(self._in.open(message.associated(data), sealed.body))
        if isinstance(sealed, Skf):
            return self.assembler.add(message.header, sealed, content, data)
        return Opened(sealed.first_inner, content, data)

    def is_authentic(self, data: bytes) -> bool:
        """Is this a whole message, or the first fragment of one, sealed by the peer? Nothing is kept."""
        try:
            message = Message.parse(data)
            sealed = message.encrypted
            if sealed is None or (isinstance(sealed, Skf) and sealed.number != 1):
                return False
            self._in.open(message.associated(data), sealed.body)
        except (WireError, CryptoError):
            return False
        return True

    def wipe(self) -> None:
        """Overwrite the keys."""
        self._out.wipe()
        self._in.wipe()


@dataclass(slots=True)
class Partial:
    """What is here of one message."""

    total: int
    parts: dict[int, bytes] = field(default_factory=dict)
    octets: int = 0
    first: PayloadType = PayloadType.NONE
    request: bytes = b""


class Assembler:
    """Fragments of messages, authenticated before they come here (RFC 7383 2.6).

    The oldest incomplete message goes when there are too many.
    """

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial: dict[tuple[int, bool], Partial] = {}

    def add(self, header: Header, fragment: Skf, content: bytes, data: bytes) -> Opened | None:
        """Take one fragment's content; the whole message once all are here."""
        key = (header.message_id, header.is_response)
        known = self._partial.get(key)
        if known is None or fragment.total > known.total:
            # A larger total means that the peer cut the message again, into smaller pieces.
            known = self._partial[key] = Partial(fragment.total)
            if len(self._partial) > MOST_PARTIAL:
                del self._partial[next(iter(self._partial))]
        if fragment.total < known.total or fragment.number in known.parts:
            return None
        if known.octets + len(content) > MAX_MESSAGE:
            del self._partial[key]
            raise WireError(f"fragments of more than {MAX_MESSAGE} octets in all")
        known.parts[fragment.number] = content
        known.octets += len(content)
        if fragment.number == 1:
            known.first, known.request = fragment.first_inner, data
        if len(known.parts) < known.total:
            return None
        del self._partial[key]
        whole = b"".join(known.parts[number] for number in range(1, known.total + 1))
        return Opened(known.first, whole, known.request)
