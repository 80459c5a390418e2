# SPDX-License-Identifier: GPL-2.0-or-later
"""One request of ours: what each exchange has to fill in, and how it travels until its answer is there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openswan.base.interval import Duration, Instant
from openswan.ike.effects import RequestFailed
from openswan.ike.events import Request
from openswan.ike.retransmit import Outstanding
from openswan.wire.header import Header
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import ExchangeType

if TYPE_CHECKING:
    from openswan.ike.v2.core import Core


class Task(ABC):
    """One request of ours: builds it and takes its answer."""

    exchange: ExchangeType = ExchangeType.INFORMATIONAL
    alone: bool = False
    """No other request may be unanswered at the same time, whatever the window."""
    background: bool = False
    """It gives way to any other, and no answer to it means nothing while no other waits."""
    pressing: bool = False
    """Packets wait for its answer: where the policy says so it is repeated sooner."""
    whole: bool = False
    """Its datagrams must not be fragmented by IP."""
    interval: Duration = 0.0
    """First wait before a repetition; 0: the policy's."""
    patience: Duration = 0.0
    """How long it is repeated at most; 0: as long as the policy says."""
    parent: Task | None = None
    """The request on whose behalf this one is made: as long as it is unanswered, so is that."""
    first_deferred: Instant | None = None
    """When the peer first said TEMPORARY_FAILURE."""
    soon: int = 0
    """How often it is tried again soon after that, because packets may be waiting for it."""

    def __init__(self, request: Request | None = None) -> None:
        self.request = request

    @property
    def token(self) -> int:
        """The asker's number."""
        return self.request.token if self.request else 0

    def cut(self, sa: Core, header: Header, payloads: Sequence[Payload]) -> tuple[bytes, ...]:
        """The datagrams of the request."""
        return sa.wrap(header, payloads)

    def hurry(self, sa: Core, now: Instant) -> None:  # noqa: B027 (most requests cannot)
        """Another request waits for this one's answer."""

    @abstractmethod
    def build(self, sa: Core, now: Instant) -> Sequence[Payload] | None:
        """The payloads to send, or None when there is nothing to do any more; IpsecError when it cannot be done."""

    @abstractmethod
    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """Take the response; IpsecError fails the request."""

    def failed(self, sa: Core, reason: str, notify: int = 0) -> None:
        """The request came to nothing."""
        if self.request is not None:
            sa.emit(RequestFailed(self.request, reason, notify))


@dataclass(slots=True)
class Flight:
    """A request of ours that waits for its answer."""

    task: Task
    outstanding: Outstanding
    asked: Instant
    """When it was first sent."""
    excused: int = 0
    """Of its repetitions, those before the peer was last heard or an end moved: they say nothing about it now."""
