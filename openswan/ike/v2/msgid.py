# SPDX-License-Identifier: GPL-2.0-or-later
"""Message IDs: which request may be sent, which one is new, repeated or out of place (RFC 7296 2.2, 2.3).

Each end has a window of 1 until it has said SET_WINDOW_SIZE on that very IKE SA: so many requests of the other end may
be unanswered at once. A rekeyed IKE SA begins again with 1.

    peer's window 4, unanswered 7 9      7 [8] 9 10 | 11     11 has to wait for the answer to 7, whatever 9 gets
    our window 4, all up to 6 taken      3 4 5 6 | 7 8 9 10  left: answered from memory; right: new, in any order
"""

from __future__ import annotations

from enum import Enum

LAST_ID = 2**32 - 1


class Order(Enum):
    """How a received request stands to the ones before it."""

    FRESH = "fresh"
    REPEATED = "repeated"
    OUTSIDE = "outside the window"


class SendWindow:
    """IDs of our requests."""

    __slots__ = ("next_id", "peer_size", "unanswered")

    def __init__(self, first: int = 0) -> None:
        self.next_id = first
        self.unanswered: set[int] = set()
        self.peer_size = 1
        """What the peer takes at once (SET_WINDOW_SIZE), no more than we want to use."""

    @property
    def open(self) -> bool:
        """May a request be sent? Request X waits for the answers to all up to X - N (RFC 7296 2.3)."""
        oldest = min(self.unanswered, default=self.next_id)
        return not self.exhausted and self.next_id - oldest < self.peer_size

    @property
    def exhausted(self) -> bool:
        """Are the IDs used up? Then only a new IKE SA helps (RFC 7296 2.2)."""
        return self.next_id > LAST_ID

    def take(self) -> int:
        """The ID of a request that is being sent now."""
        taken = self.next_id
        self.unanswered.add(taken)
        self.next_id += 1
        return taken

    def answered(self, message_id: int) -> bool:
        """Is this an answer we wait for? If so its place is free again."""
        if message_id not in self.unanswered:
            return False
        self.unanswered.remove(message_id)
        return True

    def restart(self) -> None:
        """Use ID 0 once more: IKE_SA_INIT repeated with a cookie or another group (RFC 7296 2.2)."""
        self.next_id = 0
        self.unanswered.clear()

    def set_peer_size(self, data: bytes, ours: int) -> None:
        """Take the data of SET_WINDOW_SIZE: four octets, not zero; anything else changes nothing.

        `ours` is what we use at most. A window never becomes smaller: what was promised stays promised (RFC 7296 2.3).
        """
        size = int.from_bytes(data, "big") if len(data) == 4 else 0
        self.peer_size = max(self.peer_size, min(size, ours))


class ReceiveWindow:
    """IDs of the peer's requests: all below `expected` were taken, and those of `ahead` beyond it."""

    __slots__ = ("ahead", "expected", "size")

    def __init__(self, first: int = 0) -> None:
        self.expected = first
        self.ahead: set[int] = set()
        self.size = 1
        """What we have told the peer."""

    def order(self, message_id: int) -> Order:
        """Where a request stands; nothing changes."""
        if message_id in self.ahead or self.expected - self.size <= message_id < self.expected:
            return Order.REPEATED
        return Order.FRESH if self.expected <= message_id < self.expected + self.size else Order.OUTSIDE

    def accept(self, message_id: int) -> None:
        """That fresh request was authentic and has been taken."""
        self.ahead.add(message_id)
        while self.expected in self.ahead:
            self.ahead.remove(self.expected)
            self.expected += 1
