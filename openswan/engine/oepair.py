# SPDX-License-Identifier: GPL-2.0-or-later
"""What is remembered of pairs and of peers: bounded, each peer's record for as long as it may count."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice

from openswan.base.address import Address
from openswan.base.interval import Duration, Instant
from openswan.base.said import Shunt
from openswan.engine.oeevents import Pair, Terms
from openswan.engine.oestates import State
from openswan.policy.gateways import Gateway
from openswan.policy.grade import Grade

CAPABLE = 3600.0
"""Seconds for which a peer that had a tunnel is called while the DNS is still asked."""
DEAF = 900.0
"""Seconds at most for which a peer that did not answer is not waited for again; its record's TTL may be less."""
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 900.0
"""Before a pair in use is tried again; it doubles each time."""
FIRST_ROUND, LONGEST_ROUND = 5.0, 300.0
"""The same between rounds of keyingtries=."""
BRIEF, MOST_BRIEF = 2.0, 5
"""A tunnel that lived for fewer seconds counts as brief; after so many in a row its peer is left alone for a while."""
MOST_PEERS = 100_000
LOOKED_AT = 64
"""Records that are looked at when one has to go."""


def pause(failures: int) -> Duration:
    """Seconds before a pair is tried again that has failed so many times in a row."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(failures - 1, 16)))


def round_pause(rounds: int) -> Duration:
    """Seconds before the next round of IKE, after so many."""
    return min(LONGEST_ROUND, FIRST_ROUND * (1 << min(rounds - 1, 16)))


@dataclass(eq=False, slots=True)
class PairState:
    """One pair."""

    pair: Pair
    terms: Terms
    state: State = State.UNDECIDED
    since: Instant = 0.0
    """When packets began to meet what they meet now."""
    shunt: Shunt | None = None
    """The eroute, unless there is none or it is a tunnel."""
    last_used: Instant = 0.0
    held_at: Instant = 0.0
    """When first packets began to wait."""
    settled_at: Instant = 0.0
    """When it was last decided without a tunnel."""
    dns_ttl: float = DEAF
    """Of what the DNS said last."""
    gateways: tuple[Gateway, ...] = ()
    """What the DNS names; empty: the destination itself is called."""
    at: int = 0
    """Which of them is being called."""
    calling: Address | None = None
    """Whom IKE is under way with,"""
    called_at: Instant = 0.0
    """and since when."""
    rounds: int = 0
    failures: int = 0
    retry_at: Instant = 0.0
    """When a pair in use is tried again; 0: never."""
    sa: int = 0
    grade: Grade | None = None
    """Of the tunnel."""
    key: bytes = b""
    """That its peer has shown; empty: it proved itself in another way, or not."""
    up_at: Instant = 0.0
    """When the tunnel came up."""
    gateway: Address | None = None
    reason: str = ""
    """Why there is no tunnel."""
    hint: str = ""
    """What somebody said without proof."""

    @property
    def target(self) -> Gateway | None:
        """The gateway to call; None: the destination itself."""
        return self.gateways[self.at] if self.at < len(self.gateways) else None

    def outranks(self, grade: Grade, peer: Address | None) -> bool:
        """Does a peer with that proof take the place of the one it has a tunnel with? By a better one, or with one as
        good as the host itself that only a gateway spoke for."""
        if self.grade is None or grade.beats(self.grade):
            return self.grade is not None
        spoken_for = self.gateway is not None and self.gateway != self.pair.dst
        return peer == self.pair.dst and spoken_for and grade.meets(self.grade)

    def latched(self, grade: Grade, key: bytes, peer: Address | None = None) -> bool:
        """Does its tunnel keep out who proves no more by another key (RFC 5660)? Only as long as there is one."""
        other = self.state is State.TUNNEL and bool(self.key) and key != self.key
        return other and self.grade is not None and not self.outranks(grade, peer)


@dataclass(slots=True)
class Peer:
    """What is remembered of a destination, whatever pairs it is in."""

    capable_until: Instant = 0.0
    deaf_until: Instant = 0.0
    best: Grade | None = None
    heard: Instant = 0.0
    """When it had a tunnel last."""
    gateways: tuple[Gateway, ...] = ()
    reason: str = ""
    """Why it is deaf."""
    alias: Address | None = None
    """What it calls this host, which is behind NAT."""
    brief: int = 0
    """How many tunnels in a row have ended as soon as they were up."""

    def itself(self, address: Address) -> bool:
        """Is it, whose address that is, its own gateway as far as the DNS has said?"""
        return all(each.address == address for each in self.gateways)

    @property
    def rank(self) -> int:
        """Of the best grade it had; -1: it never had a tunnel."""
        return -1 if self.best is None else self.best.rank

    def up(self, grade: Grade, now: Instant) -> bool:
        """It has a tunnel; had it been thought deaf because answers got lost?"""
        misjudged = self.deaf_until > now and self.brief < MOST_BRIEF
        self.best = grade if self.best is None or grade.beats(self.best) else self.best
        self.heard, self.capable_until, self.deaf_until = now, now + CAPABLE, 0.0
        return misjudged

    def ended(self, lived: Duration, now: Instant) -> None:
        """One whose tunnels all end as soon as they are up counts as deaf: each packet would begin another one."""
        self.brief = self.brief + 1 if lived < BRIEF else 0
        if self.brief >= MOST_BRIEF:
            self.deaf_until = now + pause(self.brief + 1 - MOST_BRIEF)
            self.reason = "its tunnels end as soon as they are up"


@dataclass(slots=True)
class Peers:
    """Destinations by address; those that had a tunnel are forgotten last."""

    most: int = MOST_PEERS
    known: OrderedDict[Address, Peer] = field(default_factory=OrderedDict)

    def get(self, address: Address) -> Peer | None:
        """What is known of a destination."""
        peer = self.known.get(address)
        if peer is not None:
            self.known.move_to_end(address)
        return peer

    def note(self, address: Address) -> Peer:
        """The record of a destination, made if there is none."""
        peer = self.known.get(address)
        if peer is None:
            if len(self.known) >= self.most:
                self._forget_one()
            peer = self.known[address] = Peer()
        else:
            self.known.move_to_end(address)
        return peer

    def unpublished(self, address: Address) -> None:
        """The DNS names no gateway for it any more; if it was met by another host, that says nothing of itself."""
        peer = self.known.get(address)
        if peer is not None and peer.gateways:
            if not peer.itself(address):
                peer.capable_until = 0.0
            peer.gateways = ()

    def __len__(self) -> int:
        return len(self.known)

    def _forget_one(self) -> None:
        """Of the oldest the first of the least grade, none being the least: keepgrade= must not be flooded away."""
        del self.known[min(islice(self.known, LOOKED_AT), key=lambda each: self.known[each].rank)]
