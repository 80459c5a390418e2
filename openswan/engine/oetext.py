# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a pair, in words: for status, one line each, and what an attacker could still do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from openswan.base.interval import Duration, Instant
from openswan.base.said import Shunt
from openswan.engine.oepair import PairState
from openswan.engine.oestates import State
from openswan.policy.grade import ATTACKS

Clock = Callable[[Instant], datetime]
WORDS = {Shunt.PASS: "clear", Shunt.DROP: "dropped", Shunt.REJECT: "refused", Shunt.HOLD: "held"}
UNDER_WAY = {
    State.LOOKING: "DNS is asked",
    State.LATE_LOOKING: "DNS is asked",
    State.CALLING: "IKE with {peer} is under way",
    State.LATE_CALLING: "IKE with {peer} is under way",
    State.BOTH: "DNS is asked, IKE with {peer} is under way",
    State.LATE_BOTH: "DNS is asked, IKE with {peer} is under way",
    State.SHAKING: "IKE with {peer} is under way, it has answered",
}


def short(seconds: Duration) -> str:
    """`40 s`, `9 m`, `2 h`: what is left, in the largest unit that says enough, rounded up."""
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds > 2 * size or (seconds >= size and seconds % size == 0):
            return f"{-int(-seconds // size)} {unit}"
    return f"{max(0, -int(-seconds // 1))} s"


def since(p: PairState, now: Instant, clock: Clock) -> str:
    """When packets began to meet what they meet now: `12:03`, with the date after a day, with seconds in a minute."""
    begun = clock(p.since)
    age = now - p.since
    return begun.strftime("%H:%M:%S" if age < 60 else "%H:%M" if age < 86400 else "%Y-%m-%d %H:%M")


def explain(p: PairState, now: Instant, clock: Clock) -> str:
    """One line: `10.0.0.7: clear since 12:03, no answer to IKE, next try in 9 m`."""
    if p.state is State.TUNNEL:
        way = f" through {p.gateway}" if p.gateway != p.pair.dst else ""
        return f"{p.pair.dst}: encrypted since {since(p, now, clock)}{way}, grade {p.grade}"
    if p.shunt is None:
        return f"{p.pair.dst}: undecided"
    words = [f"{p.pair.dst}: {WORDS[p.shunt]} since {since(p, now, clock)}"]
    if p.state in UNDER_WAY:
        words.append(UNDER_WAY[p.state].format(peer=p.calling or p.pair.dst))
    elif not p.retry_at:
        words.append(f"group {p.terms.owner}: {p.terms.stance.story}")
    if p.reason:
        words.append(p.reason)
    if p.hint:
        words.append(f"somebody says: {p.hint}")
    if p.retry_at:
        words.append(f"next try in {short(p.retry_at - now)}" if p.retry_at > now else "next try with its next packet")
    return ", ".join(words)


def risk(p: PairState) -> str:
    """What an attacker could still do."""
    if p.state is State.TUNNEL and p.grade is not None:
        return ATTACKS[p.grade]
    if p.shunt is Shunt.PASS:
        return "who sits on the path can read and change everything"
    return "nothing leaves in clear; who sits on the path can keep it from ever leaving"
