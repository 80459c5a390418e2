# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic selectors: between policy and wire, and what two lists of them have in common (RFC 7296 2.9)."""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.errors import IkeError
from openswan.policy.selector import Selector
from openswan.wire.v2.numbers import NotifyType
from openswan.wire.v2.ts import TrafficSelector, TsI, TsR

MOST = 64
"""Selectors one side of a child may end up with."""


def to_wire(selectors: Sequence[Selector]) -> tuple[TrafficSelector, ...]:
    """Selectors as a TS payload carries them."""
    return tuple(TrafficSelector.of(s.first, s.last, s.protocol, s.first_port, s.last_port) for s in selectors)


def from_wire(payload: TsI | TsR) -> tuple[Selector, ...]:
    """A TS payload's selectors; IkeError (TS_UNACCEPTABLE) when there is none of a family we know, or too many."""
    found = tuple(Selector(t.first, t.last, t.protocol, t.first_port, t.last_port) for t in payload.selectors)
    if not found or len(found) > MOST:
        raise IkeError(f"{len(found)} usable traffic selectors", NotifyType.TS_UNACCEPTABLE)
    return found


def common(proposed: Sequence[Selector], allowed: Sequence[Selector]) -> tuple[Selector, ...]:
    """What both lists cover, without parts that lie inside another part; in the order of `allowed`."""
    parts: list[Selector] = []
    for ours in allowed:
        for theirs in proposed:
            both = ours.intersect(theirs)
            if both is None or any(kept.contains(both) for kept in parts):
                continue
            parts = [kept for kept in parts if not both.contains(kept)]
            parts.append(both)
            if len(parts) > MOST:
                raise IkeError(f"more than {MOST} traffic selectors", NotifyType.TS_UNACCEPTABLE)
    return tuple(parts)


def covers(outer: Sequence[Selector], inner: Sequence[Selector]) -> bool:
    """Does each selector of `inner` lie in one of `outer`?"""
    return all(any(big.contains(small) for big in outer) for small in inner)


def agree(proposed: Sequence[Selector], allowed: Sequence[Selector], narrowing: bool) -> tuple[Selector, ...]:
    """The responder's answer.

    IkeError (TS_UNACCEPTABLE) when nothing is left, or less than `allowed` without `narrowing`.
    """
    parts = common(proposed, allowed)
    if not parts:
        raise IkeError(f"no traffic selector of {show(proposed)} is in {show(allowed)}", NotifyType.TS_UNACCEPTABLE)
    if not narrowing and not covers(parts, allowed):
        raise IkeError(
            f"the peer proposes {show(proposed)}, less than our {show(allowed)}, and narrowing=no",
            NotifyType.TS_UNACCEPTABLE,
        )
    return parts


def verify(answer: Sequence[Selector], proposed: Sequence[Selector], narrowing: bool) -> tuple[Selector, ...]:
    """The initiator's check of an answer: within what was proposed, and all of it unless `narrowing`."""
    if not covers(proposed, answer):
        raise IkeError(f"the peer answers {show(answer)}, more than our {show(proposed)}", NotifyType.TS_UNACCEPTABLE)
    if not narrowing and not covers(answer, proposed):
        raise IkeError(
            f"the peer narrows our {show(proposed)} to {show(answer)}, and narrowing=no", NotifyType.TS_UNACCEPTABLE
        )
    return tuple(answer)


def show(selectors: Sequence[Selector]) -> str:
    """A list of selectors for a log line."""
    return ",".join(str(s) for s in selectors)
