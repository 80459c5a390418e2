# SPDX-License-Identifier: GPL-2.0-or-later
"""Repeating requests and remembering replies (RFC 7296 2.1).

A requester repeats its request, each wait twice the last, until the answer comes or its patience is over; where packets
wait for the answer it begins sooner, and at first its waits grow more slowly. A responder never repeats anything by
itself: it keeps its last reply and sends it again only to whoever repeats the request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from openswan.base.interval import Duration, Instant

HASTE: Duration = 0.5
"""The wait after a request was hastened; it doubles from there."""
GROWTH, BRISK_GROWTH = 2.0, 1.25
"""What each wait is multiplied by for the next one; also while packets wait it has to grow (RFC 7296 2.1)."""
BRISK: Duration = 0.25
"""The first wait while packets wait: seven requests in three seconds, of which some should survive a bad line."""


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
    begun: Instant = 0.0
    """When it was sent for the first time,"""
    sent: Instant = 0.0
    """and for the last."""
    brisk: Instant = 0.0
    """Until when packets wait for the answer."""

    @classmethod
    def start(
        cls,
        message_id: int,
        datagrams: Sequence[bytes],
        interval: Duration,
        timeout: Duration,
        now: Instant,
        brisk: Duration = 0.0,
    ) -> Outstanding:
        """A request that has just been sent for the first time; `timeout` is its whole life, and for `brisk` packets
        wait for its answer."""
        give_up = now + timeout
        wait = min(interval, BRISK) if brisk else interval
        return cls(
            message_id,
            tuple(datagrams),
            wait,
            min(now + wait, give_up),
            give_up,
            begun=now,
            sent=now,
            brisk=now + brisk,
        )

    def hasten(self, now: Instant) -> None:
        """Something has changed: repeat at once, and no longer as seldom."""
        self.next = min(now, self.give_up)
        self.wait = min(self.wait, HASTE)

    def due(self, now: Instant) -> Due:
        """What is to be done; REPEAT moves on to the next, longer wait."""
        if now < self.next:
            return Due.NOTHING
        if self.next >= self.give_up:
            return Due.GIVE_UP
        self.repeats += 1
        self.sent = now
        self.wait *= BRISK_GROWTH if now < self.brisk else GROWTH
        self.next = min(now + self.wait, self.give_up)
        return Due.REPEAT


class ReplyCache:
    """The replies to the peer's last requests, as many as our window has room for: no older one can be asked for
    (RFC 7296 2.1, 2.3)."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[int, tuple[bytes, tuple[bytes, ...]]] = {}
        """By message ID: the request's digest, and the reply's datagrams."""

    def remember(self, message_id: int, request: bytes, reply: Sequence[bytes], window: int = 1) -> None:
        """Keep `reply` for repetitions of `request` (its first or only datagram); `window` is what we promised."""
        self._kept[message_id] = _digest(request), tuple(reply)
        oldest = max(self._kept) - window + 1
        for outdated in [known for known in self._kept if known < oldest]:
            del self._kept[outdated]

    def answer(self, message_id: int, request: bytes) -> tuple[bytes, ...]:
        """The reply's datagrams when this is the very same request, octet for octet (RFC 7296 2.1), else nothing."""
        seen, datagrams = self._kept.get(message_id, (b"", ()))
        return datagrams if seen == _digest(request) else ()

    def reply(self, message_id: int) -> tuple[bytes, ...]:
        """The reply to that message ID, for a repetition that was found authentic in another way."""
        return self._kept.get(message_id, (b"", ()))[1]


def _digest(request: bytes) -> bytes:
    return hashlib.sha256(request).digest()
