# SPDX-License-Identifier: GPL-2.0-or-later
"""Who owns a connection's eroute, as a table: states, events, and what to do on each move.

An event that is not in the table for a state changes nothing. The order of the actions is the order in which they are
carried out; the guard goes in before anything else and comes out after everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from openswan.base.said import Shunt
from openswan.policy.connection import ShuntPolicy


class Routing(IntEnum):
    """Routing states; the order matters: everything above UNROUTED_HOLD and below UNROUTED_KEYED has a route."""

    UNROUTED = 0
    UNROUTED_HOLD = 1
    ROUTED_ECLIPSED = 2
    ROUTED_PROSPECTIVE = 3
    ROUTED_HOLD = 4
    ROUTED_FAILURE = 5
    ROUTED_TUNNEL = 6
    UNROUTED_KEYED = 7

    @property
    def story(self) -> str:
        """What status listings say."""
        return STORIES[self]

    @property
    def routed(self) -> bool:
        """Is there a route into the virtual interface?"""
        return Routing.UNROUTED_HOLD < self < Routing.UNROUTED_KEYED

    @property
    def erouted(self) -> bool:
        """Does the connection own an eroute?"""
        return self not in (Routing.UNROUTED, Routing.ROUTED_ECLIPSED, Routing.UNROUTED_KEYED)


STORIES = {
    Routing.UNROUTED: "unrouted",
    Routing.UNROUTED_HOLD: "unrouted HOLD",
    Routing.ROUTED_ECLIPSED: "eroute eclipsed",
    Routing.ROUTED_PROSPECTIVE: "prospective erouted",
    Routing.ROUTED_HOLD: "erouted HOLD",
    Routing.ROUTED_FAILURE: "fail erouted",
    Routing.ROUTED_TUNNEL: "erouted",
    Routing.UNROUTED_KEYED: "keyed, unrouted",
}


class RouteEvent(Enum):
    """What can happen to a connection's routing."""

    ROUTE = "the operator or auto=route wants traffic to start the tunnel"
    ROUTE_FAILED = "the updown command could not route"
    ACQUIRE = "a packet met the trap"
    NEGOTIATION_FAILED = "no tunnel came of it, and the policy has a failure shunt for that"
    GIVEN_UP = "no tunnel came of it, there is no failure shunt and no further try"
    FAILURE_EXPIRED = "the failure shunt has stood long enough"
    SA_UP = "an SA pair is installed"
    SA_DOWN = "the last SA pair is gone"
    UP_FAILED = "the updown command refused the tunnel, the route was there before"
    UP_FAILED_UNROUTED = "the updown command refused the tunnel before there was a route"
    ECLIPSE = "another connection takes the same eroute"
    RESTORE = "that other connection has left"
    UNROUTE = "the operator wants no route any more"
    UNPLUG = "our address or the peer's is gone: like UNROUTE, but what is protected stays so"


class Act(Enum):
    """What a move does."""

    GUARD = "put the leak guard in"
    UNGUARD = "take the leak guard out"
    POLICY = "eroute: the prospective shunt"
    HOLD = "eroute: the negotiation shunt"
    FAILURE = "eroute: the failure shunt"
    TUNNEL = "eroute: the youngest SA"
    CLEAR = "eroute: none"
    ROUTE = "updown prepare and route, unless another connection has that route already"
    UNROUTE = "updown unroute, unless another connection still needs the route"
    UP = "updown up"
    DOWN = "updown down"


@dataclass(frozen=True, slots=True)
class Move:
    """Where an event leads and what is done on the way."""

    to: Routing
    acts: tuple[Act, ...]


_R, _E, _A = Routing, RouteEvent, Act
_UNTRAP = (_A.CLEAR, _A.UNROUTE, _A.UNGUARD)

MOVES: dict[tuple[Routing, RouteEvent], Move] = {
    (_R.UNROUTED, _E.ROUTE): Move(_R.ROUTED_PROSPECTIVE, (_A.GUARD, _A.POLICY, _A.ROUTE)),
    (_R.UNROUTED, _E.ACQUIRE): Move(_R.UNROUTED_HOLD, (_A.GUARD, _A.HOLD)),
    (_R.UNROUTED, _E.SA_UP): Move(_R.ROUTED_TUNNEL, (_A.GUARD, _A.TUNNEL, _A.UP, _A.ROUTE)),
    (_R.UNROUTED, _E.UNROUTE): Move(_R.UNROUTED, (_A.UNGUARD,)),
    (_R.UNROUTED_HOLD, _E.ROUTE): Move(_R.ROUTED_HOLD, (_A.GUARD, _A.ROUTE)),
    (_R.UNROUTED_HOLD, _E.NEGOTIATION_FAILED): Move(_R.UNROUTED, (_A.CLEAR,)),
    (_R.UNROUTED_HOLD, _E.GIVEN_UP): Move(_R.UNROUTED, (_A.CLEAR,)),
    (_R.UNROUTED_HOLD, _E.SA_UP): Move(_R.ROUTED_TUNNEL, (_A.GUARD, _A.TUNNEL, _A.UP, _A.ROUTE)),
    (_R.UNROUTED_HOLD, _E.UNROUTE): Move(_R.UNROUTED, (_A.CLEAR, _A.UNGUARD)),
    (_R.ROUTED_PROSPECTIVE, _E.ROUTE): Move(_R.ROUTED_PROSPECTIVE, (_A.GUARD, _A.POLICY)),
    (_R.ROUTED_PROSPECTIVE, _E.ROUTE_FAILED): Move(_R.UNROUTED, (_A.DOWN, _A.CLEAR)),
    (_R.ROUTED_PROSPECTIVE, _E.ACQUIRE): Move(_R.ROUTED_HOLD, (_A.HOLD,)),
    (_R.ROUTED_PROSPECTIVE, _E.NEGOTIATION_FAILED): Move(_R.ROUTED_FAILURE, (_A.FAILURE,)),
    (_R.ROUTED_PROSPECTIVE, _E.GIVEN_UP): Move(_R.ROUTED_PROSPECTIVE, (_A.POLICY,)),
    (_R.ROUTED_PROSPECTIVE, _E.SA_UP): Move(_R.ROUTED_TUNNEL, (_A.GUARD, _A.TUNNEL, _A.UP)),
    (_R.ROUTED_PROSPECTIVE, _E.ECLIPSE): Move(_R.ROUTED_ECLIPSED, ()),
    (_R.ROUTED_PROSPECTIVE, _E.UNROUTE): Move(_R.UNROUTED, _UNTRAP),
    (_R.ROUTED_HOLD, _E.ROUTE_FAILED): Move(_R.UNROUTED, (_A.DOWN, _A.CLEAR)),
    (_R.ROUTED_HOLD, _E.NEGOTIATION_FAILED): Move(_R.ROUTED_FAILURE, (_A.FAILURE,)),
    (_R.ROUTED_HOLD, _E.GIVEN_UP): Move(_R.ROUTED_PROSPECTIVE, (_A.POLICY,)),
    (_R.ROUTED_HOLD, _E.SA_UP): Move(_R.ROUTED_TUNNEL, (_A.GUARD, _A.TUNNEL, _A.UP)),
    (_R.ROUTED_HOLD, _E.ECLIPSE): Move(_R.ROUTED_ECLIPSED, ()),
    (_R.ROUTED_HOLD, _E.UNROUTE): Move(_R.UNROUTED, _UNTRAP),
    (_R.ROUTED_FAILURE, _E.ROUTE): Move(_R.ROUTED_PROSPECTIVE, (_A.GUARD, _A.POLICY)),
    (_R.ROUTED_FAILURE, _E.FAILURE_EXPIRED): Move(_R.ROUTED_PROSPECTIVE, (_A.POLICY,)),
    (_R.ROUTED_FAILURE, _E.ACQUIRE): Move(_R.ROUTED_HOLD, (_A.HOLD,)),
    (_R.ROUTED_FAILURE, _E.SA_UP): Move(_R.ROUTED_TUNNEL, (_A.GUARD, _A.TUNNEL, _A.UP)),
    (_R.ROUTED_FAILURE, _E.ECLIPSE): Move(_R.ROUTED_ECLIPSED, ()),
    (_R.ROUTED_FAILURE, _E.UNROUTE): Move(_R.UNROUTED, _UNTRAP),
    (_R.ROUTED_TUNNEL, _E.SA_UP): Move(_R.ROUTED_TUNNEL, (_A.TUNNEL,)),
    (_R.ROUTED_TUNNEL, _E.SA_DOWN): Move(_R.ROUTED_PROSPECTIVE, (_A.DOWN, _A.POLICY)),
    (_R.ROUTED_TUNNEL, _E.UP_FAILED): Move(_R.ROUTED_PROSPECTIVE, (_A.POLICY,)),
    (_R.ROUTED_TUNNEL, _E.UP_FAILED_UNROUTED): Move(_R.UNROUTED, (_A.CLEAR,)),
    (_R.ROUTED_TUNNEL, _E.ROUTE_FAILED): Move(_R.UNROUTED, (_A.DOWN, _A.CLEAR)),
    (_R.ROUTED_TUNNEL, _E.ECLIPSE): Move(_R.ROUTED_ECLIPSED, (_A.DOWN,)),
    (_R.ROUTED_TUNNEL, _E.UNROUTE): Move(_R.UNROUTED, (_A.DOWN, *_UNTRAP)),
    (_R.ROUTED_ECLIPSED, _E.RESTORE): Move(_R.ROUTED_PROSPECTIVE, (_A.POLICY,)),
    (_R.ROUTED_ECLIPSED, _E.SA_UP): Move(_R.ROUTED_TUNNEL, (_A.GUARD, _A.TUNNEL, _A.UP)),
    (_R.ROUTED_ECLIPSED, _E.UNROUTE): Move(_R.UNROUTED, (_A.UNROUTE, _A.UNGUARD)),
    (_R.UNROUTED_KEYED, _E.UNROUTE): Move(_R.UNROUTED, (_A.UNGUARD,)),
}
"""The eroute-ownership machine: (state, event) -> move."""

MOVES.update(
    {
        (state, _E.UNPLUG): Move(move.to, tuple(act for act in move.acts if act is not _A.UNGUARD))
        for (state, event), move in list(MOVES.items())
        if event is _E.UNROUTE
    }
)

PROSPECTIVE_SHUNTS = {
    ShuntPolicy.TRAP: Shunt.TRAP,
    ShuntPolicy.NONE: Shunt.TRAP,
    ShuntPolicy.PASS: Shunt.PASS,
    ShuntPolicy.DROP: Shunt.DROP,
    ShuntPolicy.REJECT: Shunt.REJECT,
    ShuntPolicy.HOLD: Shunt.HOLD,
}
NEGOTIATION_SHUNTS = {**PROSPECTIVE_SHUNTS, ShuntPolicy.TRAP: Shunt.HOLD, ShuntPolicy.NONE: Shunt.HOLD}
"""Fail closed: whatever is not said to pass or drop while IKE runs is held."""


def next_move(state: Routing, event: RouteEvent) -> Move | None:
    """What to do when `event` happens in `state`; None: nothing."""
    return MOVES.get((state, event))
