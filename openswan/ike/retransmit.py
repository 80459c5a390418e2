# SPDX-License-Identifier: GPL-2.0-or-later
"""Repeating requests and remembering replies (RFC 7296 2.1).

A requester repeats its request, each wait twice the last, until the answer comes or its patience is over. A responder
never repeats anything by itself: it keeps its last reply and sends it again only to whoever repeats the request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from openswan.base.interval import Duration, Instant


class Due(Enum):
    """What a request's clock says."""

    NOTHING = "nothing yet"
    REPEAT = "send again"
    GIVE_UP = "no answer"


@dataclass(slots=True)
class Outstanding:
    """A request on its way: its datagrams (several when fragmented) and when to send them again."""

    message_id: int
    datagrams: tuple[bytes, ...]
    wait: Duration
    """How long the present wait is."""
    next: Instant
    """When it ends."""
    give_up: Instant
    repeats: int = 0

    @classmethod
    def start(
        cls, message_id: int, datagrams: Sequence[bytes], interval: Duration, timeout: Duration, now: Instant
    ) -> Outstanding:
        """A request that has just been sent for the first time; `timeout` is its whole life."""
        give_up = now + timeout
        return cls(message_id, tuple(datagrams), interval, min(now + interval, give_up), give_up)

    def due(self, now: Instant) -> Due:
        """What is to be done; REPEAT moves on to the next, doubled wait."""
        if now < self.next:
            return Due.NOTHING
        if self.next >= self.give_up:
            return Due.GIVE_UP
        self.repeats += 1
        self.wait *= 2
        self.next = min(now + self.wait, self.give_up)
        return Due.REPEAT


class ReplyCache:
    """The reply to the peer's last request: the window is 1, so no older one can be asked for (RFC 7296 2.3)."""

    __slots__ = ("_datagrams", "_message_id", "_seen")

    def __init__(self) -> None:
        self._message_id = -1
        self._seen: bytes = b""
        self._datagrams: tuple[bytes, ...] = ()

    def remember(self, message_id: int, request: bytes, reply: Sequence[bytes]) -> None:
        """Keep `reply` for repetitions of `request` (its first or only datagram)."""
        self._message_id, self._seen, self._datagrams = message_id, _digest(request), tuple(reply)

    def answer(self, message_id: int, request: bytes) -> tuple[bytes, ...]:
        """The reply's datagrams when this is the very same request, octet for octet (RFC 7296 2.1), else nothing."""
        if message_id != self._message_id or _digest(request) != self._seen:
            return ()
        return self._datagrams

    def reply(self, message_id: int) -> tuple[bytes, ...]:
        """The reply to that message ID, for a repetition that was found authentic in another way."""
        return self._datagrams if message_id == self._message_id else ()


def _digest(request: bytes) -> bytes:
    return hashlib.sha256(request).digest()
