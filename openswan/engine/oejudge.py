# SPDX-License-Identifier: GPL-2.0-or-later
"""What news means to a pair: which event of the table a packet, an answer of the DNS or a tunnel is. Pure functions."""

from __future__ import annotations

from dataclasses import replace

from openswan.base.address import Address
from openswan.base.interval import Instant
from openswan.engine.oeevents import Learned, Terms, Verdict
from openswan.engine.oepair import PairState, Peer
from openswan.engine.oestates import Event, State
from openswan.policy.grade import Grade
from openswan.policy.groups import Stance
from openswan.policy.onlink import OnLink

FIXED = {
    Stance.CLEAR: Event.PACKET_PASS,
    Stance.CLEAR_OR_PRIVATE: Event.PACKET_PASS,
    Stance.DROP: Event.PACKET_DROP,
    Stance.BLOCK: Event.PACKET_REJECT,
}
"""Groups that look for nobody."""
ALONE = (State.LOOKING, State.LATE_LOOKING)
"""The DNS is all there is to wait for."""
EVIDENCE = 0.6
"""Of holdtimeout=; who was silent for so long to IKE counts as deaf: five requests or more, on a line that loses three
in ten one in thirty that can answer, and it goes on being called."""
NO_ANSWER = "no answer to IKE"
LATCHED = "another key than that of the tunnel there is: not before that has ended, or with a better proof"
SHORTER = (
    ("to our first IKE message", NO_ANSWER),
    ("to our first encrypted message", "no answer to IKE_AUTH: perhaps it does not take our proof"),
)
"""How what an IKE SA says of its end reads in one line about a pair."""


def shorter(reason: str) -> str:
    """Why IKE failed, in few words."""
    return next((words for end, words in SHORTER if reason.endswith(end)), reason)


def first(terms: Terms, peer: Peer | None, now: Instant) -> Event:
    """What a first packet is."""
    if terms.stance in FIXED:
        return FIXED[terms.stance]
    if peer is not None and peer.deaf_until > now:
        return Event.PACKET_DEAF
    return search(terms, peer, now)


def search(terms: Terms, peer: Peer | None, now: Instant) -> Event:
    """How the peer is looked for: by the DNS, by IKE, or by both at once."""
    if not terms.asks_dns:
        return Event.PACKET_CALL
    capable = peer is not None and peer.capable_until > now
    return Event.PACKET_BOTH if terms.calls_directly or capable else Event.PACKET_LOOK


def worth(p: PairState, grade: Grade) -> bool:
    """Would a tunnel of that grade do, and be better than the one there is?"""
    return grade.meets(p.terms.least) and (p.grade is None or grade.beats(p.grade))


def improvable(p: PairState) -> bool:
    """Could the DNS have a better proof by now than the tunnel's peer has shown?"""
    return p.terms.asks_dns and p.grade is not None and not p.grade.meets(Grade.DNSSEC)


def reachable(learned: Learned, onlink: OnLink) -> tuple[Learned, str]:
    """What the DNS says of a destination, without gateways that a host on our own link is not called at; and which."""
    good = onlink.itself(learned.destination, learned.gateways)
    if len(good) == len(learned.gateways):
        return learned, ""
    others = ", ".join(str(one.address) for one in learned.gateways if one not in good)
    why = f"its records name {others}, but it is on our own link"
    if good:
        return replace(learned, gateways=good), why
    return replace(learned, verdict=Verdict.NONE, gateways=(), reason=why), why


def by_gateway(p: PairState) -> bool:
    """Is the destination reached, called, or to be called, at another address than its own?"""
    known = (p.gateway if p.sa else None, p.calling, *(one.address for one in p.gateways))
    return any(at is not None and at != p.pair.dst for at in known)


def answer(p: PairState, verdict: Verdict, good: bool) -> Event | None:
    """What an answer of the DNS is; `good`: it names a gateway that is worth a try. None: nothing."""
    if p.state is State.TUNNEL:
        if p.grade is not None and p.grade.meets(Grade.DNSSEC):
            return None
        return Event.GATEWAYS if good else Event.BOGUS if verdict is Verdict.BOGUS else None
    if verdict is Verdict.BOGUS:
        return Event.BOGUS
    if verdict is Verdict.GATEWAYS and good:
        return Event.GATEWAYS
    if verdict is Verdict.FAILED:
        return Event.DNS_FAILED
    return Event.NO_BETTER if p.terms.calls_directly and p.state not in ALONE else Event.NO_RECORD


def objection(p: PairState, grade: Grade, peer: Peer | None, key: bytes = b"", far: Address | None = None) -> str:
    """Why a tunnel of that grade, whose peer at `far` has shown that key, will not do; empty: it will."""
    best = peer.best if peer is not None else None
    if not p.terms.stance.responds:
        return f"group {p.terms.owner} has none ({p.terms.stance.story})"
    if not grade.meets(p.terms.least):
        return f"grade {grade}, authgrade={p.terms.least} is wanted"
    if p.terms.keep and best is not None and not grade.meets(best):
        return f"grade {grade}, it was {best} before and keepgrade=yes"
    if p.grade is not None and p.grade.beats(grade):
        return f"grade {grade}, there is one of grade {p.grade}"
    return LATCHED if p.latched(grade, key, far) else ""


def too_soon(p: PairState, now: Instant) -> bool:
    """Does silence say nothing yet? The DNS may have taken most of the time that first packets wait."""
    return now - p.called_at < EVIDENCE * p.terms.hold_timeout


def failure(terms: Terms, peer: Peer | None) -> State:
    """Where failureshunt= leads; with keepgrade=yes a peer that once had a tunnel never gets clear text again."""
    kept = terms.keep and peer is not None and peer.best is not None
    return State.DROP if kept and terms.failure is State.PASS else terms.failure
