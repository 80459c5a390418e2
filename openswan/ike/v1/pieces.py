# SPDX-License-Identifier: GPL-2.0-or-later
"""Long messages in pieces, as Cisco and libreswan cut them ([MS-IKEE] 2.2.3.1, 3.1.5.4).

Pieces come in clear and prove nothing: whoever sees the cookies can send some. So only a few messages are kept at once,
none longer than any message may be or older than PATIENCE, and what contradicts the pieces before it begins anew: the
peer's repetition of the whole message makes up for a forged piece. What is joined is judged like any other datagram.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from openswan.base.errors import WireError
from openswan.base.interval import Duration, Instant
from openswan.wire.header import HEADER_OCTETS, MAX_MESSAGE
from openswan.wire.v1.fragment import MAX_FRAGMENTS, Fragment, split
from openswan.wire.v1.header import Flags, Header
from openswan.wire.v1.message import Message
from openswan.wire.v1.payload import GENERIC_OCTETS

MOST_PARTIAL = 4
"""Messages that may be incomplete at once."""
PATIENCE: Duration = 30.0
"""How long the first piece of a message waits for the last one."""
PIECE_HEADER = HEADER_OCTETS + GENERIC_OCTETS + 4
"""Octets in front of a piece's own: header, generic header, ID, number and flag."""
SMALLEST = 256
"""Octets of the message a piece carries at least, whatever size was asked for."""


def cut(message: bytes, most: int) -> list[bytes]:
    """The datagrams of a whole message, none longer than `most` octets if that can be (0: it stays whole).

    A repeated message is cut in the same way under the same ID: pieces of one sending complete those of another.
    """
    if not most or len(message) <= most:
        return [message]
    room = max(most - PIECE_HEADER, SMALLEST, -(-len(message) // MAX_FRAGMENTS))
    header = Header.parse(message)
    clear = replace(header, flags=header.flags & ~Flags.ENCRYPTION)
    identifier = int.from_bytes(hashlib.sha256(message).digest()[:2], "big") or 1
    return [Message.clear(clear, [piece]).emit() for piece in split(message, identifier, room)]


@dataclass(slots=True)
class Partial:
    """What is here of one message."""

    since: Instant
    parts: dict[int, bytes] = field(default_factory=dict)
    octets: int = 0
    total: int = 0
    """The last piece's number, 0: not known yet."""

    def contradicts(self, piece: Fragment) -> bool:
        """Can the piece not be of the same message as the others?"""
        if piece.number in self.parts:
            return self.parts[piece.number] != piece.data or piece.last != (piece.number == self.total)
        if piece.last:
            return self.total != 0 or max(self.parts, default=0) > piece.number
        return bool(self.total) and piece.number > self.total


class Assembler:
    """The pieces of one peer."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial: dict[int, Partial] = {}

    def __len__(self) -> int:
        return len(self._partial)

    def add(self, piece: Fragment, now: Instant) -> bytes | None:
        """The message once all of it is here; WireError when it is longer than any may be, which forgets it."""
        for outdated in [key for key, one in self._partial.items() if now - one.since >= PATIENCE]:
            del self._partial[outdated]
        known = self._partial.get(piece.id)
        if known is None or known.contradicts(piece):
            self._partial.pop(piece.id, None)
            known = self._partial[piece.id] = Partial(now)
            if len(self._partial) > MOST_PARTIAL:
                del self._partial[next(iter(self._partial))]
        if piece.number not in known.parts:
            known.octets += len(piece.data)
        if known.octets > MAX_MESSAGE:
            del self._partial[piece.id]
            raise WireError(f"pieces of more than {MAX_MESSAGE} octets in all")
        known.parts[piece.number] = piece.data
        if piece.last:
            known.total = piece.number
        if not known.total or len(known.parts) < known.total:
            return None
        del self._partial[piece.id]
        return b"".join(known.parts[number] for number in range(1, known.total + 1))

    def forget(self) -> None:
        """Nothing more is expected."""
        self._partial.clear()
