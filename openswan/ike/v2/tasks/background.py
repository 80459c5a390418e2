# SPDX-License-Identifier: GPL-2.0-or-later
"""A question whose answer is not needed: silence means nothing to the IKE SA while no other request waits.

A request must be repeated until it is answered, since its message ID is taken (RFC 7296 2.1, 2.4), and one that goes
unanswered ends the IKE SA. What is asked out of curiosity must not make a peer dead that was none the worse for being
left alone: it is repeated for ever, now and then, and has all the time any request has once another one waits for it.
"""

from __future__ import annotations

from openswan.base.interval import Duration, Instant
from openswan.ike.retransmit import Outstanding
from openswan.ike.v2.core import Core
from openswan.ike.v2.task import Flight, Task

PATIENCE: Duration = 60.0
"""Between repetitions that nobody waits for."""


class Background(Task):
    """Gives way to any other request."""

    background = True
    patient = False
    """Asking now and then."""
    urgent = False
    """Another request waits for the answer."""

    def persist(self, sa: Core, now: Instant) -> None:
        """Nobody answers, and nobody but us wants to know: keep asking now and then, since the window stays taken."""
        self.patient, self.urgent = True, False
        self.renew(sa, PATIENCE, PATIENCE, now)

    def hurry(self, sa: Core, now: Instant) -> None:
        """From now on silence counts."""
        if not self.urgent:
            self.patient, self.urgent = False, True
            policy = sa.need_policy()
            self.renew(sa, policy.retransmit_interval, policy.retransmit_timeout, now)

    def renew(self, sa: Core, interval: Duration, timeout: Duration, now: Instant) -> None:
        """Send it once more and begin all waiting anew; what has been repeated so far says nothing about the peer."""
        flight = self._flight(sa)
        old = flight.outstanding
        flight.outstanding = Outstanding.start(old.message_id, old.datagrams, interval, timeout, now)
        flight.outstanding.repeats = flight.excused = old.repeats + 1
        sa.dispatch(old.datagrams, whole=self.whole)

    def _flight(self, sa: Core) -> Flight:
        return next(flight for flight in sa.flights.values() if flight.task is self)
