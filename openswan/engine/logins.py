# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and passwords of XAUTH, judged elsewhere as xauthby= says; who is wrong too often is not heard for a while.

draft-beaulieu-ike-xauth-02 8 leaves it to the server to keep passwords from being guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from openswan.base.address import Address
from openswan.base.errors import CryptoError
from openswan.base.interval import Duration, Instant
from openswan.engine.core import Core
from openswan.engine.effects import Login
from openswan.engine.events import LoggedIn
from openswan.ike.later import XauthJob
from openswan.policy.connection import XauthBy

MOST_FAILURES = 5
"""Wrong passwords from one address within FORGIVEN seconds; what comes then is not even looked at."""
FORGIVEN: Duration = 60.0
MOST_REMEMBERED = 4096
"""Addresses and users of wrong passwords; the oldest are forgotten."""


@dataclass(slots=True)
class Wrong:
    """How often somebody was wrong."""

    count: int
    last: Instant


class Logins:
    """The passwords that are being judged."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.under_way: dict[int, tuple[XauthJob, Callable[[bytes | CryptoError], None]]] = {}
        self.last = 0
        self.wrong: dict[Address | str, Wrong] = {}

    def start(self, job: XauthJob, done: Callable[[bytes | CryptoError], None]) -> None:
        """Have a password judged; `done` is called with nothing when it is right, or with why not."""
        conn = self.core.conns.unique.get(job.connection)
        if conn is None:
            done(CryptoError(f"no connection {job.connection!r} any more"))
        elif conn.policy.xauth_by is XauthBy.ALWAYS_OK:
            done(b"")
        elif any(self._is_shut_out(who) for who in (job.remote, job.user)):
            done(CryptoError("too many wrong passwords, try again in a minute"))
        else:
            self.last += 1
            self.under_way[self.last] = job, done
            template = conn.template if conn.template is not None else conn
            policy = template.policy
            self.core.emit(Login(self.last, policy.family, job.user, job.password, job.remote, policy.xauth_by))

    def judged(self, event: LoggedIn) -> None:
        """The judge has answered."""
        job, done = self.under_way.pop(event.token, (None, None))
        if job is None or done is None:
            return
        if not event.reason:
            done(b"")
            return
        for who in (job.remote, job.user):
            self._remember(who)
        done(CryptoError(event.reason))

    def _is_shut_out(self, who: Address | str) -> bool:
        wrong = self.wrong.get(who)
        if wrong is not None and self.core.now - wrong.last >= FORGIVEN:
            del self.wrong[who]
            return False
        return wrong is not None and wrong.count >= MOST_FAILURES

    def _remember(self, who: Address | str) -> None:
        wrong = self.wrong.pop(who, Wrong(0, 0.0))
        self.wrong[who] = Wrong(wrong.count + 1, self.core.now)
        if len(self.wrong) > MOST_REMEMBERED:
            del self.wrong[next(iter(self.wrong))]
