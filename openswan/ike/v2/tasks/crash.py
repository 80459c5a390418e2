# SPDX-License-Identifier: GPL-2.0-or-later
"""A peer that has lost its memory is noticed at once, and nobody else can pretend that (RFC 6290, RFC 7296 2.21.4).

```
HDR, SK {..., N(QUICK_CRASH_DETECTION)}            <-->                        IKE_AUTH, both ways
HDR, SK {N(QUICK_CRASH_DETECTION)}                 <-->                        after the IKE SA was rekeyed

HDR, SK {...}                                      -->                         after the crash
                                                   <--  HDR, N(INVALID_IKE_SPI), N(QUICK_CRASH_DETECTION)   in clear
```
The token is a MAC over both SPIs under a secret that only its maker has, and keeps over restarts. It is told inside the
IKE SA; in clear it is said only when that SA is gone. Anything else that arrives in clear is worth one question.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.ike.effects import Gone
from openswan.ike.events import Probe
from openswan.ike.v2.core import Core
from openswan.ike.v2.task import Task
from openswan.ike.v2.tasks.liveness import Liveness
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType

LEAST_TOKEN, MOST_TOKEN = 16, 128
"""Octets of a token (RFC 6290 4.2)."""
DOUBT: Duration = 10.0
"""Seconds between two questions that something unauthenticated makes us ask."""
UNKNOWN = frozenset({NotifyType.INVALID_IKE_SPI, NotifyType.INVALID_SPI})


def token(secret: bytes, spi_i: bytes, spi_r: bytes) -> bytes:
    """What proves that the holder of `secret` has lost the IKE SA with these SPIs; without a secret there is none."""
    return hmac.digest(secret, b"crash detection" + spi_i + spi_r, "sha256") if secret else b""


def announce(sa: Core) -> list[Payload]:
    """Our token for this IKE SA."""
    mine = sa.ask.crash_token(sa.spi_i, sa.spi_r)
    return [Notify(NotifyType.QUICK_CRASH_DETECTION, mine)] if mine else []


def learn(sa: Core, message: Message) -> None:
    """The peer's token for this IKE SA."""
    told = message.notify(NotifyType.QUICK_CRASH_DETECTION)
    if told is not None and LEAST_TOKEN <= len(told.data) <= MOST_TOKEN:
        sa.peer_token = told.data


class TellToken(Task):
    """A rekeyed IKE SA has other SPIs, so other tokens (RFC 6290 4.3)."""

    def build(self, sa: Core, now: Instant) -> Sequence[Payload] | None:
        """Our token; nothing without one."""
        return announce(sa) or None

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """The peer's."""
        learn(sa, answer)

    def failed(self, sa: Core, reason: str, notify: int = 0) -> None:
        """Nobody waits for it."""


def respond(sa: Core, request: Message) -> list[Payload]:
    """The answer to TellToken: our own."""
    if request.notify(NotifyType.QUICK_CRASH_DETECTION) is None:
        return []
    learn(sa, request)
    return announce(sa)


def heard(sa: Core, message: Message, now: Instant) -> None:
    """Something in clear about an established IKE SA: its end with the right token, else a hint (RFC 7296 2.21)."""
    if not sa.is_established:
        return
    told = message.notify(NotifyType.QUICK_CRASH_DETECTION)
    if told is not None and sa.peer_token and hmac.compare_digest(told.data, sa.peer_token):
        sa.log("the peer has lost this IKE SA, as its crash detection token proves", Rc.LOG_SERIOUS)
        sa.end(Gone.UNKNOWN_TO_PEER, now)
    elif any(notify.kind in UNKNOWN for notify in message.all(Notify)):
        doubt(sa, "INVALID_SPI in clear", now)


def doubt(sa: Core, why: str, now: Instant) -> None:
    """Anybody may have made us think that the peer is gone: it is asked, once in a while, and nothing else changes."""
    if not sa.is_established or now - sa.doubted < DOUBT:
        return
    sa.doubted = now
    if not sa.busy:
        sa.log(f"{why} (not authenticated): asking whether the peer lives")
        sa.submit(Liveness(Probe()), now)
