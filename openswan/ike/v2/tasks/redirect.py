# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway sends its clients to another one (RFC 5685).

```
client                                             gateway
HDR, SAi1, KEi, Ni, N(REDIRECT_SUPPORTED)     -->
                                              <--  HDR(A,0), N(REDIRECT, other gateway, Ni)
HDR, SK {IDi, AUTH, SAi2, TSi, TSr}           -->
                                              <--  HDR, SK {IDr, AUTH, N(REDIRECT, other gateway)}
                                              <--  HDR, SK {N(REDIRECT, other gateway)}      at any time, INFORMATIONAL
HDR, SK {}                                    -->
HDR, SAi1, KEi, Ni, N(REDIRECTED_FROM, gateway)  -->  other gateway
```
What a client hears of here changes nothing by itself: whether it goes there is for the engine to say.
"""

from __future__ import annotations

import hmac

from openswan.base.errors import WireError
from openswan.base.interval import Duration, Instant
from openswan.ike.effects import Redirected
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.ike.v2.values import Ignored
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType
from openswan.wire.v2.redirect import Redirect

PATIENCE: Duration = 30.0
"""Seconds in which a client that was sent away in IKE_AUTH has to delete its IKE SA; then we do."""


# --- the client


def announce(policy: IkePolicy) -> list[Payload]:
    """What IKE_SA_INIT says: that we can be sent away, or that and where we have been."""
    if not policy.accept_redirect:
        return []
    if policy.redirected_from is not None:
        return [Notify(NotifyType.REDIRECTED_FROM, Redirect(policy.redirected_from).emit())]
    return [Notify(NotifyType.REDIRECT_SUPPORTED)]


def considered(sa: Core, policy: IkePolicy, answer: Message) -> bool:
    """Is an IKE_SA_INIT response one that sends us away? In clear only our own nonce shows who it is from."""
    note = answer.notify(NotifyType.REDIRECT)
    if note is None or not policy.accept_redirect:
        return False
    there = _read(note)
    if there is None or not hmac.compare_digest(there.nonce, sa.nonce_i):
        sa.counters[Ignored.BAD_ANSWER] += 1
    else:
        sa.emit(Redirected(there.gateway))
    return True


def heard(sa: Core, message: Message) -> None:
    """An authentic message may send us away."""
    note = message.notify(NotifyType.REDIRECT)
    there = _read(note) if note is not None else None
    if there is not None and sa.need_policy().accept_redirect:
        sa.emit(Redirected(there.gateway))


def _read(note: Notify) -> Redirect | None:
    try:
        return Redirect.parse(note.data)
    except WireError:
        return None


# --- the gateway


def learn(sa: Core, message: Message) -> None:
    """Can this client be sent away?"""
    sa.redirectable = can_follow(message)


def can_follow(request: Message) -> bool:
    """Does an IKE_SA_INIT request say that its sender goes where it is sent?"""
    return any(request.notify(kind) for kind in (NotifyType.REDIRECT_SUPPORTED, NotifyType.REDIRECTED_FROM))


def came_from(request: Message) -> object:
    """The gateway that has sent it here; None: none has."""
    note = request.notify(NotifyType.REDIRECTED_FROM)
    there = _read(note) if note is not None else None
    return there.gateway if there is not None else None


def send_away(sa: Core, policy: IkePolicy, now: Instant) -> list[Payload]:
    """What IKE_AUTH says to a client that is to go elsewhere; empty: it may stay."""
    if not sa.redirectable or policy.redirect_to is None:
        return []
    sa.log(f"redirecting the peer to {policy.redirect_to}")
    sa.deadline = now + PATIENCE
    return [Notify(NotifyType.REDIRECT, Redirect(policy.redirect_to).emit())]
