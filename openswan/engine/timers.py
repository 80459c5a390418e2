# SPDX-License-Identifier: GPL-2.0-or-later
"""Deadlines by name: set, cancel, and run what is due, in order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum

from openswan.base.interval import Duration, Instant


class Timer(Enum):
    """Every kind of deadline the engine keeps; with a serial or a name it is a key of Timers."""

    IKE = "EVENT_v2_RETRANSMIT"  # the IKE SA's own: retransmission
    REKEY_IKE = "EVENT_SA_REPLACE"
    EXPIRE_IKE = "EVENT_SA_EXPIRE"
    REKEY_CHILD = "EVENT_SA_REPLACE "
    EXPIRE_CHILD = "EVENT_SA_EXPIRE "
    GIVE_WAY = "EVENT_SA_DISCARD"  # a child whose traffic another IKE SA's child carries goes
    CONFIRM = "EVENT_NULL"  # the new outbound SA is used although the peer has not used it yet
    ADMIT = "EVENT_NULL   "  # packets of a new pair come in although an updown command still runs
    ANSWER = "EVENT_CRYPTO_FAILED"  # an answer goes out although an updown command still runs
    LINGER = "EVENT_SA_DELETE"  # a replaced inbound SA goes
    PROOF = "EVENT_NULL "  # has anything come in on a child whose ESP is not in UDP?
    VERDICT = "EVENT_NULL  "  # has anything since the peer has answered by IKE?
    PATH = "EVENT_PATH_MTU"
    LIVENESS = "EVENT_DPD"
    KEEPALIVE = "EVENT_NAT_T_KEEPALIVE"
    PARTING = "EVENT_PARTING"  # the peer of a group that was refused has had time to hear of it
    STREAM = "EVENT_TCP_CONNECT"
    REDIRECT = "EVENT_REDIRECT"
    RETRY = "EVENT_PENDING_PHASE2"
    LAUNCH = "EVENT_PACE"
    RESOLVE = "EVENT_PENDING_DDNS"
    FAILURE = "EVENT_SHUNT_SCAN"
    CRLS = "EVENT_CRL_CHECK"
    OE_HOLD = "EVENT_OE_HOLD"  # first packets of an opportunistic pair have waited long enough
    OE_ROUND = "EVENT_OE_ROUND"  # its gateways are tried once more
    OE_LIFE = "EVENT_OE_LIFE"  # a pair nobody uses is forgotten
    OE_DUE = "EVENT_OE_DUE"  # the next of those three
    OE_LATER = "EVENT_OE_LATER"  # a call that could not even begin is told
    OE_RECHECK = "EVENT_OE_RECHECK"  # more pairs to look at whose lines have changed
    OE_USE = "EVENT_OE_USE"  # which pairs still carry packets?
    OE_KEEP = "EVENT_OE_KEEP"  # what is known of peers is written down
    SHUTDOWN = "EVENT_SHUTDOWN"


Key = tuple[Timer, Hashable]


@dataclass(slots=True)
class Timers:
    """A heap of deadlines; setting a key again moves it, cancelled entries are skipped when they surface."""

    heap: list[tuple[Instant, int, Key]] = field(default_factory=list)
    current: dict[Key, tuple[int, Instant, Callable[[], None]]] = field(default_factory=dict)
    counter: int = 0

    def set(self, key: Key, when: Instant, action: Callable[[], None]) -> None:
        """Run `action` at `when`; replaces an earlier deadline of the same key."""
        self.counter += 1
        self.current[key] = (self.counter, when, action)
        heapq.heappush(self.heap, (when, self.counter, key))
        if len(self.heap) > 64 + 4 * len(self.current):
            self._compact()

    def cancel(self, key: Key) -> None:
        """Forget a deadline; it need not exist."""
        self.current.pop(key, None)

    def when(self, key: Key) -> Instant | None:
        """The instant of a deadline, or None."""
        entry = self.current.get(key)
        return entry[1] if entry else None

    def beyond(self, key: Key, instant: Instant) -> bool:
        """Is a deadline later than that? One that does not exist is never reached."""
        when = self.when(key)
        return when is None or when > instant

    def left(self, key: Key, now: Instant) -> Duration | None:
        """Seconds until a deadline, or None."""
        when = self.when(key)
        return None if when is None else max(0.0, when - now)

    def next(self) -> Instant | None:
        """The earliest deadline, or None."""
        while self.heap:
            when, count, key = self.heap[0]
            entry = self.current.get(key)
            if entry is not None and entry[0] == count:
                return when
            heapq.heappop(self.heap)
        return None

    def run(self, now: Instant) -> int:
        """Run every action that is due; returns how many ran. What they make due at once runs the next time."""
        ran, last = 0, self.counter
        while (when := self.next()) is not None and when <= now and self.heap[0][1] <= last:
            _, _, key = heapq.heappop(self.heap)
            _, _, action = self.current.pop(key)
            action()
            ran += 1
        return ran

    def _compact(self) -> None:
        self.heap = [(when, count, key) for key, (count, when, _) in self.current.items()]
        heapq.heapify(self.heap)
