# SPDX-License-Identifier: GPL-2.0-or-later
"""Message IDs: which request may be sent, which one is new, repeated or out of place (RFC 7296 2.2, 2.3).

Both windows are 1: at most one request of ours is unanswered, and a request of the peer is either the next one, a
repetition of the last one, or none of our business.
"""

from __future__ import annotations

from enum import Enum

LAST_ID = 2**32 - 1
OUR_WINDOW = 1


class Order(Enum):
    """How a received request stands to the ones before it."""

    FRESH = "fresh"
    REPEATED = "repeated"
    OUTSIDE = "outside the window"


class SendWindow:
    """IDs of our requests."""

    __slots__ = ("next_id", "outstanding", "peer_size")

    def __init__(self, first: int = 0) -> None:
        self.next_id = first
        self.outstanding: int | None = None
        """ID of the unanswered request."""
        self.peer_size = 1
        """What the peer takes at once (SET_WINDOW_SIZE); we use min(this, OUR_WINDOW)."""

    @property
    def open(self) -> bool:
        """May a request be sent?"""
        return self.outstanding is None and not self.exhausted

    @property
    def exhausted(self) -> bool:
        """Are the IDs used up? Then only a new IKE SA helps (RFC 7296 2.2)."""
        return self.next_id > LAST_ID

    def take(self) -> int:
        """The ID of a request that is being sent now."""
        self.outstanding = self.next_id
        self.next_id += 1
        return self.outstanding

    def answered(self, message_id: int) -> bool:
        """Is this the answer we wait for? If so the window is open again."""
        if self.outstanding is None or message_id != self.outstanding:
            return False
        self.outstanding = None
        return True

    def restart(self) -> None:
        """Use ID 0 once more: IKE_SA_INIT repeated with a cookie or another group (RFC 7296 2.2)."""
        self.next_id, self.outstanding = 0, None

    def set_peer_size(self, data: bytes) -> None:
        """Take the data of SET_WINDOW_SIZE: four octets, not zero; anything else changes nothing."""
        size = int.from_bytes(data, "big") if len(data) == 4 else 0
        if size:
            self.peer_size = size


class ReceiveWindow:
    """IDs of the peer's requests."""

    __slots__ = ("expected",)

    def __init__(self, first: int = 0) -> None:
        self.expected = first

    def order(self, message_id: int) -> Order:
        """Where a request stands; nothing changes."""
        if message_id == self.expected:
            return Order.FRESH
        return Order.REPEATED if message_id == self.expected - 1 else Order.OUTSIDE

    def accept(self) -> None:
        """The expected request was authentic and has been taken."""
        self.expected += 1
