# SPDX-License-Identifier: GPL-2.0-or-later
"""One ISAKMP SA takes the place of another: pairs of IPsec SAs and what waits go over, what is under way ends where it
began.

Nothing in the protocol says which of two the peer takes for the better one, and nobody acknowledges the end of either.
So the two share their pairs as long as both are there, each answers, and whichever is left has them: also when it is
the older, because the peer has deleted the other (RFC 2408 3.15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openswan.base.interval import Duration, Instant
from openswan.ike.v1.effects import IsakmpReplaced
from openswan.ike.v1.states import KEYED, State

if TYPE_CHECKING:
    from openswan.ike.v1.exchanges import Exchanges

LINGER: Duration = 30.0
"""How long a replaced ISAKMP SA answers."""


def supersede(sa: Exchanges, heir: Exchanges, now: Instant, *, told: bool) -> None:
    """Let another established one take the place of `sa`; `told`: the peer hears of its end after LINGER."""
    if sa.state not in KEYED or sa.heir is not None or heir is sa:
        return
    heir.children.update(sa.children)
    # Not every client asks for its address again.
    heir.assigned, heir.granted = heir.assigned or sa.assigned, heir.granted or sa.granted
    heir.before += (*_alive(sa.before), sa)
    for older in heir.before:
        older.children, older.heir = heir.children, heir
    sa.before = ()
    heir.waiting.extend(sa.waiting)
    sa.waiting.clear()
    sa.prober.forget()
    sa.retire_at, sa.told = now + LINGER, told
    sa.emit(IsakmpReplaced(heir))


def hand_back(sa: Exchanges) -> None:
    """The peer has ended `sa`: the youngest of those whose place it has taken is what the peer uses, if one is left."""
    older = _alive(sa.before)
    if sa.heir is not None or not older:
        return
    heir = older[-1]
    heir.heir, heir.retire_at, heir.before = None, None, older[:-1]
    for other in heir.before:
        other.heir = heir
    heir.waiting.extend(sa.waiting)
    sa.waiting.clear()
    sa.before, sa.heir = (), heir


def pass_on(sa: Exchanges) -> None:
    """Nothing is said under `sa` any more: what it has asked and was not answered is asked again under its heir."""
    heir = sa.heir
    if heir is None or heir.state is State.GONE:
        return
    for one in sa.quicks.values():
        if one.is_initiator and one.is_open and one.request is not None:
            heir.waiting.append(one.request)
            sa.over(one)


def _alive(some: tuple[Exchanges, ...]) -> tuple[Exchanges, ...]:
    return tuple(one for one in some if one.state in KEYED)
