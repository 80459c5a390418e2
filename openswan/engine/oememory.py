# SPDX-License-Identifier: GPL-2.0-or-later
"""What is remembered of peers, as it outlives the daemon: by the calendar, bounded, without gateways or keys.

Nothing of it can open anything. That a peer is deaf shortens a hold where its group lets go in clear by itself, that
it is capable has it called at once, and the grade it once had only forbids.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING

from openswan.base.address import Address
from openswan.base.interval import Instant
from openswan.engine.effects import KeepPeers
from openswan.engine.events import PeersRecalled
from openswan.engine.oepair import CAPABLE, DEAF, Peer, Peers
from openswan.engine.timers import Timer
from openswan.policy.grade import Grade
from openswan.policy.known import MOST_LINES, KnownPeer

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

REMEMBERED = 30 * 86400.0
"""Seconds since its last tunnel after which the grade of a peer is not recalled any more."""
KEEP_EVERY = 300.0
"""Seconds between two writings of what has changed."""
RANKS = (*sorted({grade.rank for grade in Grade}, reverse=True), -1)
"""Of the grades that peers once had, best first; -1: none."""
BEFORE = "there was no tunnel with it before the daemon began anew"


@dataclass(frozen=True, slots=True)
class Calendar:
    """Instants as seconds since 1970 and back, as the clocks stand at one instant."""

    now: Instant
    today: float
    """The same, seconds since 1970."""

    @classmethod
    def at(cls, now: Instant, clock: Callable[[Instant], datetime]) -> Calendar:
        """`clock` tells the calendar time of an instant."""
        return cls(now, clock(now).timestamp())

    def seconds(self, instant: Instant) -> int:
        """Since 1970; instant 0, which means never, stays 0."""
        return max(0, round(self.today + instant - self.now)) if instant else 0

    def left(self, seconds: int, most: float) -> Instant:
        """A deadline, `most` seconds ahead at most, for the calendar may have been set anew; 0 when it is over."""
        rest = min(seconds - self.today, most)
        return self.now + rest if rest > 0 else 0.0


def known_of(address: Address, peer: Peer, behind: bool, calendar: Calendar) -> KnownPeer | None:
    """What is worth keeping of one peer; None: nothing."""
    capable = peer.capable_until if peer.itself(address) and peer.capable_until > calendar.now else 0.0
    deaf = peer.deaf_until if peer.deaf_until > calendar.now else 0.0
    lately = calendar.now - peer.heard < REMEMBERED
    best = peer.best if lately else None
    if best is None and not capable and not deaf:
        return None
    heard = calendar.seconds(peer.heard) if best is not None else 0
    alias = peer.alias if best is not None else None
    return KnownPeer(address, behind, best, heard, calendar.seconds(capable), calendar.seconds(deaf), alias)


def known_peers(ours: Peers, of_others: Peers, calendar: Calendar) -> tuple[KnownPeer, ...]:
    """What is kept of all of them, MOST_LINES at most: who had tunnels first, by grade, for forgetting a good one is
    what keepgrade= is got round by; of equals who was looked at last."""
    ranked: dict[int, list[KnownPeer]] = {rank: [] for rank in RANKS}
    for peers, behind in ((ours, False), (of_others, True)):
        for address, peer in reversed(peers.known.items()):
            equals = ranked[peer.rank]
            if len(equals) < MOST_LINES and (found := known_of(address, peer, behind, calendar)) is not None:
                equals.append(found)
    return tuple(islice(chain(*ranked.values()), MOST_LINES))


def recall(known: KnownPeer, peers: Peers, calendar: Calendar) -> bool:
    """Take up what was kept of a peer that is not known yet, as far as it still holds; was it of use?"""
    best = known.best if known.heard and calendar.today - known.heard < REMEMBERED else None
    capable, deaf = calendar.left(known.capable, CAPABLE), calendar.left(known.deaf, DEAF)
    if known.address in peers.known or (best is None and not capable and not deaf):
        return False
    peer = peers.note(known.address)
    peer.best, peer.capable_until, peer.deaf_until = best, capable, deaf
    peer.heard = calendar.now + min(0.0, known.heard - calendar.today) if best is not None else 0.0
    peer.alias = known.alias if best is not None else None
    peer.reason = BEFORE if deaf else ""
    return True


class Memory:
    """Keeps it every few minutes when it has changed, and at the end; takes it up at the start."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self._kept: tuple[KnownPeer, ...] | None = None

    def soon(self) -> None:
        """Something may have become of peers."""
        if self.brain.core.timers.when((Timer.OE_KEEP, "")) is None:
            self.brain.core.after(Timer.OE_KEEP, "", KEEP_EVERY, self.keep)

    def keep(self) -> None:
        """Have what is known now written down, unless it was already."""
        machine = self.brain.pairs.machine
        known = known_peers(machine.peers, machine.peers_of_others, self._calendar())
        if known != (self._kept or ()):
            self.brain.core.emit(KeepPeers(known))
        self._kept = known

    def recalled(self, event: PeersRecalled) -> None:
        """What a daemon before this one knew, best known last."""
        machine, calendar = self.brain.pairs.machine, self._calendar()
        for known in reversed(event.known):
            recall(known, machine.peers_of_others if known.behind else machine.peers, calendar)
        self._kept = event.known

    def _calendar(self) -> Calendar:
        return Calendar.at(self.brain.core.now, self.brain.clock)
