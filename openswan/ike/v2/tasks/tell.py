# SPDX-License-Identifier: GPL-2.0-or-later
"""Telling an authenticated peer that something it sends means nothing to us (RFC 7296 1.5, 2.21.4)."""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.ike.effects import SpiUnknown
from openswan.ike.events import Tell
from openswan.ike.v2.core import Core
from openswan.ike.v2.task import Task
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType

SPI_OCTETS = 4
"""Of ESP and AH."""


class TellTask(Task):
    """Our notification; the answer says only that it has arrived."""

    def __init__(self, told: Tell) -> None:
        super().__init__(told)
        self.told = told

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """The notification alone."""
        return (Notify(NotifyType(self.told.kind), self.told.data),)

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """Nothing follows from it."""

    def failed(self, sa: Core, reason: str, notify: int = 0) -> None:
        """Nobody waits for it."""


def heard(sa: Core, notifications: Sequence[Notify]) -> None:
    """Log what the peer tells us of the kind; this IKE SA does not change because of it (RFC 7296 2.21.4)."""
    for note in notifications:
        if note.kind == NotifyType.INVALID_SPI:
            sa.log(f"the peer received ESP or AH with SPI 0x{note.data.hex()}, which it does not know", Rc.LOG_SERIOUS)
            if len(note.data) == SPI_OCTETS:
                sa.emit(SpiUnknown(int.from_bytes(note.data, "big")))
        elif note.is_error:
            sa.log(f"the peer tells {note.kind}, ignored", Rc.LOG)
