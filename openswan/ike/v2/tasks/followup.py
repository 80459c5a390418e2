# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_FOLLOWUP_KE: the additional key exchanges of a CREATE_CHILD_SA exchange, one each (RFC 9370 2.2.4).

```
initiator                                          responder
HDR, SK {SA, Ni, KEi, TSi, TSr}                    -->
                                  <--  HDR, SK {SA, Nr, KEr, TSi, TSr, N(ADDITIONAL_KEY_EXCHANGE)(link1)}
HDR, SK {KEi(1), N(ADDITIONAL_KEY_EXCHANGE)(link1)}  -->
                                  <--  HDR, SK {KEr(1) [, N(ADDITIONAL_KEY_EXCHANGE)(link2)]} ...
```
Nothing comes into being before the last of them: until then both ends only remember what they have agreed on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Duration, Instant
from openswan.crypto import dh
from openswan.crypto.registry import Kind
from openswan.ike.v2.core import Core, first_error
from openswan.ike.v2.negotiate import number
from openswan.ike.v2.task import Task
from openswan.policy.proposal import Transform
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import DhId, ExchangeType, NotifyType

LINK_OCTETS = 16
MOST_LINK = 256
"""Octets of a peer's link that are sent back."""
MOST_PENDING = 4
"""Agreements one IKE SA remembers; the oldest is forgotten for a fifth."""
PATIENCE: Duration = 60.0
"""Seconds after which an agreement whose exchanges have not come is forgotten."""
Conclude = Callable[[bytes, Instant], None]
"""What comes into being: takes all further secrets, one behind the other, and the time; IkeError when it cannot."""


class FollowUp(Task):
    """The initiator's part: one exchange after the other, on behalf of `parent`, whose answer is still open."""

    exchange = ExchangeType.IKE_FOLLOWUP_KE
    alone = True

    def __init__(self, parent: Task, methods: Sequence[Transform], answer: Message, conclude: Conclude) -> None:
        super().__init__(parent.request)
        self.parent = parent
        self._methods = list(methods)
        self._conclude = conclude
        self._link = _link(answer)
        self._key: dh.DhPair | None = None
        self._secrets = b""

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """A fresh key of the method that is due."""
        method = self._methods[0]
        self._key = dh.generate(method.name, sa.rng)
        link = Notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, self._link)
        return Ke(DhId(number(Kind.DH, method)), self._key.public), link

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """The next one, or what all of them were for."""
        refused = first_error(answer)
        if refused is not None:
            raise IkeError(f"the peer refuses an additional key exchange: {refused.kind}", refused.kind)
        ke, method = answer.first(Ke), self._methods.pop(0)
        if ke is None or self._key is None or ke.group != number(Kind.DH, method):
            raise WireError("IKE_FOLLOWUP_KE response without the key of the method agreed on")
        self._secrets += self._key.shared(ke.data)
        if self._methods:
            self._link = _link(answer)
            sa.transmit(self, self.build(sa, now), now)
        else:
            self._conclude(self._secrets, now)

    def failed(self, sa: Core, reason: str, notify: int = 0) -> None:
        """What it was for comes to nothing."""
        assert self.parent is not None
        self.parent.failed(sa, reason, notify)


@dataclass(slots=True)
class Pending:
    """The responder's memory of an agreement."""

    methods: list[Transform]
    conclude: Conclude
    until: Instant
    replaces: int = 0
    """Inbound SPI of the child that is being replaced; 0: none."""
    ike: bool = False
    """It replaces the IKE SA."""
    secrets: bytes = b""


def begin(sa: Core, pending: Pending) -> list[Payload]:
    """Remember an agreement: the notification that links the exchanges to it."""
    if len(sa.followups) >= MOST_PENDING:
        del sa.followups[next(iter(sa.followups))]
    link = sa.rng.octets(LINK_OCTETS)
    sa.followups[link] = pending
    return [Notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, link)]


def pending(sa: Core, now: Instant, replaces: int = 0, ike: bool = False) -> bool:
    """Is the peer in the middle of replacing that child, or the IKE SA?"""
    for link in [link for link, one in sa.followups.items() if now > one.until]:
        del sa.followups[link]
    return any((ike and one.ike) or (replaces and one.replaces == replaces) for one in sa.followups.values())


def respond(sa: Core, request: Message, now: Instant) -> tuple[Payload, ...]:
    """The responder's part of one exchange; IkeError (STATE_NOT_FOUND) when it belongs to nothing."""
    link = request.notify(NotifyType.ADDITIONAL_KEY_EXCHANGE)
    found = sa.followups.pop(link.data, None) if link is not None else None
    if found is None or now > found.until:
        raise IkeError("IKE_FOLLOWUP_KE that belongs to nothing we remember", NotifyType.STATE_NOT_FOUND)
    ke, method = request.first(Ke), found.methods.pop(0)
    if ke is None or ke.group != number(Kind.DH, method):
        raise WireError(f"IKE_FOLLOWUP_KE without the key of {method.name}", NotifyType.INVALID_SYNTAX)
    try:
        public, shared = dh.respond(method.name, ke.data, sa.rng)
    except CryptoError as why:
        raise WireError(str(why), NotifyType.INVALID_SYNTAX) from None
    found.secrets += shared
    answer: list[Payload] = [Ke(DhId(number(Kind.DH, method)), public)]
    if found.methods:
        answer += begin(sa, found)
    else:
        found.conclude(found.secrets, now)
    return tuple(answer)


def _link(answer: Message) -> bytes:
    said = answer.notify(NotifyType.ADDITIONAL_KEY_EXCHANGE)
    if said is None or not 1 <= len(said.data) <= MOST_LINK:
        raise IkeError("additional key exchanges were agreed on, and the answer does not say how they are linked to it")
    return said.data
