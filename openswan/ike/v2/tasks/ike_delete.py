# SPDX-License-Identifier: GPL-2.0-or-later
"""Closing an IKE SA, both sides (RFC 7296 1.4.1, 2.21.2, 2.25.2)."""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.interval import Instant
from openswan.ike.effects import Gone, IkeGone
from openswan.ike.v2.core import Core
from openswan.ike.v2.states import State
from openswan.ike.v2.task import Task
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.delete import Delete
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, ProtocolId

UNFINISHED = frozenset({State.I0, State.I1, State.I2, State.R0, State.R1})
"""The peer has no SA yet that it could be asked to delete, or we have a request unanswered that makes one."""


class IkeDelete(Task):
    """The last request of an SA (RFC 7296 2.8): a Delete, and the news that the peer's proof was not good enough."""

    alone = True

    def __init__(self, notify: NotifyType | None = None) -> None:
        super().__init__()
        self.notify = notify
        self.pressing = notify is not None
        """What it refuses the peer will not take in clear either, as long as it believes in a tunnel."""

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """A Delete for the IKE SA itself, after the notification if there is one.

        The notification alone would do (RFC 7296 2.21.2), but libreswan passes over it and keeps the SA.
        """
        news = (Notify(self.notify),) if self.notify is not None else ()
        return (*news, Delete(ProtocolId.IKE))

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """Nothing is left to say."""
        sa.vanish()


def close(sa: Core, now: Instant, notify: NotifyType | None = None) -> None:
    """End an SA from our side: all is told gone at once, the peer learns as soon as the window has room.

    `notify`: what the peer is told beside the Delete, by an SA whose failure was told already.
    """
    if sa.state in (State.CLOSING, State.LINGER, State.GONE):
        return
    if sa.state in UNFINISHED and notify is None:
        sa.end(Gone.LOCAL, now)
        return
    told = sa.state is State.REPLACED or sa.provisional or notify is not None
    sa.drop_requests("the IKE SA is being closed", keep_current=True)
    if not told:
        sa.drop_children(Gone.IKE_GONE)
        sa.emit(IkeGone(Gone.LOCAL))
    heir, sa.heir = sa.heir, None
    if heir is not None:
        # The peer may have let it inherit already: it goes as well.
        heir.children = {}
        for effect in heir.discard(now):
            sa.emit(effect)
    sa.deadline = None
    sa.move(State.CLOSING)
    sa.submit(IkeDelete(notify), now)
