# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a pair of addresses under opportunistic encryption, as a table: states, events, acts.

An event that is not in the table for a state changes nothing; that goes above all for HINT: ICMP and notifies without
proof never end a hold (RFC 4322 9.2). docs/OE.md has the table in print, made from this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where a pair stands; the word is what its packets meet."""

    UNDECIDED = ("%trap", "nothing is known of it, or no longer")
    LOOKING = ("%hold", "its gateway is looked up in the DNS")
    CALLING = ("%hold", "IKE is under way")
    BOTH = ("%hold", "DNS and IKE are under way side by side")
    SHAKING = ("%hold", "the peer has answered IKE")
    LATE_LOOKING = ("failureshunt", "first packets have waited long enough; the DNS is still asked")
    LATE_CALLING = ("failureshunt", "first packets have waited long enough; IKE goes on")
    LATE_BOTH = ("failureshunt", "first packets have waited long enough; DNS and IKE go on")
    TUNNEL = ("tunnel", "encrypted")
    PASS = ("%pass", "in clear")
    DROP = ("%drop", "dropped")
    REJECT = ("%reject", "refused")

    def __init__(self, meets: str, story: str) -> None:
        self.meets = meets
        self.story = story


class Event(Enum):
    """What can happen to a pair."""

    PACKET_LOOK = "a first packet; only the DNS can say who the peer is"
    PACKET_CALL = "a first packet; IKE needs no DNS here"
    PACKET_BOTH = "a first packet; IKE needs no DNS, or the peer was capable lately: IKE begins beside the DNS"
    PACKET_DEAF = "a first packet to a peer known to be deaf"
    PACKET_PASS = "a first packet; the group passes"
    PACKET_DROP = "a first packet; the group drops"
    PACKET_REJECT = "a first packet; the group refuses"
    GATEWAYS = "the DNS names gateways that may be tried; of a tunnel, for a better grade than it has"
    NO_RECORD = "the DNS names none, and IKE would need one"
    NO_BETTER = "the DNS names none, IKE goes on without"
    DNS_FAILED = "no DNS server answers"
    BOGUS = "the DNS answer is signed, and wrongly; of a tunnel, one whose grade is below dnssec"
    ANSWERED = "the peer answers IKE_SA_INIT"
    HINT = "ICMP or a notify without proof says that the peer cannot or will not"
    TRY_FAILED = "IKE with one gateway failed, another one is left"
    ROUND_FAILED = "IKE failed with all of them, keyingtries= has another round"
    AGAIN = "the back-off before that round is over"
    EXHAUSTED = "IKE failed, nothing is left to try"
    UP = "a tunnel is up, and its grade will do"
    WEAK = "a tunnel came up whose grade will not do; one that we began has failed besides"
    DOWN = "the tunnel is gone"
    HOLD_TIMEOUT = "first packets have waited for holdtimeout="
    RETRY_LOOK = "a packet after the back-off: look again"
    RETRY_CALL = "a packet after the back-off: call again"
    RETRY_BOTH = "a packet after the back-off: look and call again"
    EXPIRED = "unused for its lifetime"
    REMOVED = "the operator, or another policy, wants it gone"


class Act(Enum):
    """What a move does."""

    HOLD = "eroute: the negotiation shunt; first packets are kept, for holdtimeout= at most"
    EXTEND = "the hold may last until IKE has had its time"
    ASK = "ask the DNS"
    CALL = "begin IKE with the best gateway"
    NEXT = "begin IKE with the next gateway"
    WAIT = "wait before another round of IKE"
    REDIRECT = "give the running IKE its keys, or begin it where the DNS says"
    UPGRADE = "begin IKE for a better grade beside the tunnel"
    STOP = "end IKE that is under way"
    FAIL = "eroute: the failure shunt, if it is not that already; kept packets go its way"
    PASS = "eroute: %pass"
    DROP = "eroute: %drop"
    REJECT = "eroute: %reject"
    DENY = "eroute: %drop, whatever the group says; kept packets are dropped"
    TUNNEL = "eroute: the tunnel; kept packets go through it"
    DEAF = "remember that the peer is deaf"
    SETTLE = "set the back-off and the lifetime"
    CLOSE = "delete the SA the event is about"
    FORGET = "eroute: none; kept packets are dropped"


@dataclass(frozen=True, slots=True)
class Move:
    """Where an event leads and what is done on the way, in that order; None: where failureshunt= says, or to DROP where
    that would be in clear and keepgrade= forbids it."""

    to: State | None
    acts: tuple[Act, ...] = ()


_S, _E, _A = State, Event, Act
SEARCHING = (_S.LOOKING, _S.CALLING, _S.BOTH, _S.SHAKING)
"""First packets are kept."""
LATE = (_S.LATE_LOOKING, _S.LATE_CALLING, _S.LATE_BOTH)
SHUNTS = (_S.PASS, _S.DROP, _S.REJECT)
_FAILED = Move(None, (_A.FAIL, _A.DEAF, _A.SETTLE))
_UP = Move(_S.TUNNEL, (_A.TUNNEL,))

MOVES: dict[tuple[State, Event], Move] = {
    (_S.UNDECIDED, _E.PACKET_LOOK): Move(_S.LOOKING, (_A.HOLD, _A.ASK)),
    (_S.UNDECIDED, _E.PACKET_CALL): Move(_S.CALLING, (_A.HOLD, _A.CALL)),
    (_S.UNDECIDED, _E.PACKET_BOTH): Move(_S.BOTH, (_A.HOLD, _A.ASK, _A.CALL)),
    (_S.UNDECIDED, _E.PACKET_DEAF): Move(None, (_A.FAIL, _A.SETTLE)),
    (_S.UNDECIDED, _E.PACKET_PASS): Move(_S.PASS, (_A.PASS, _A.SETTLE)),
    (_S.UNDECIDED, _E.PACKET_DROP): Move(_S.DROP, (_A.DROP, _A.SETTLE)),
    (_S.UNDECIDED, _E.PACKET_REJECT): Move(_S.REJECT, (_A.REJECT, _A.SETTLE)),
    (_S.UNDECIDED, _E.UP): _UP,
    (_S.LOOKING, _E.GATEWAYS): Move(_S.CALLING, (_A.CALL,)),
    (_S.LOOKING, _E.NO_RECORD): _FAILED,
    (_S.LOOKING, _E.DNS_FAILED): Move(None, (_A.FAIL, _A.SETTLE)),
    (_S.LOOKING, _E.HOLD_TIMEOUT): Move(_S.LATE_LOOKING, (_A.FAIL,)),
    (_S.CALLING, _E.ANSWERED): Move(_S.SHAKING, (_A.EXTEND,)),
    (_S.CALLING, _E.EXHAUSTED): _FAILED,
    (_S.CALLING, _E.HOLD_TIMEOUT): Move(_S.LATE_CALLING, (_A.FAIL, _A.DEAF)),
    (_S.BOTH, _E.GATEWAYS): Move(_S.CALLING, (_A.REDIRECT,)),
    (_S.BOTH, _E.NO_RECORD): Move(None, (_A.STOP, _A.FAIL, _A.DEAF, _A.SETTLE)),
    (_S.BOTH, _E.NO_BETTER): Move(_S.CALLING),
    (_S.BOTH, _E.DNS_FAILED): Move(_S.CALLING),
    (_S.BOTH, _E.EXHAUSTED): Move(_S.LOOKING),
    (_S.BOTH, _E.HOLD_TIMEOUT): Move(_S.LATE_BOTH, (_A.FAIL, _A.DEAF)),
    (_S.BOTH, _E.ANSWERED): Move(_S.BOTH, (_A.EXTEND,)),
    (_S.SHAKING, _E.EXHAUSTED): _FAILED,
    (_S.SHAKING, _E.HOLD_TIMEOUT): Move(_S.LATE_CALLING, (_A.FAIL, _A.DEAF)),
    (_S.LATE_LOOKING, _E.GATEWAYS): Move(_S.LATE_CALLING, (_A.CALL,)),
    (_S.LATE_LOOKING, _E.NO_RECORD): _FAILED,
    (_S.LATE_LOOKING, _E.DNS_FAILED): Move(None, (_A.FAIL, _A.SETTLE)),
    (_S.LATE_CALLING, _E.EXHAUSTED): _FAILED,
    (_S.LATE_BOTH, _E.GATEWAYS): Move(_S.LATE_CALLING, (_A.REDIRECT,)),
    (_S.LATE_BOTH, _E.NO_RECORD): Move(None, (_A.STOP, _A.FAIL, _A.DEAF, _A.SETTLE)),
    (_S.LATE_BOTH, _E.NO_BETTER): Move(_S.LATE_CALLING),
    (_S.LATE_BOTH, _E.DNS_FAILED): Move(_S.LATE_CALLING),
    (_S.LATE_BOTH, _E.EXHAUSTED): Move(_S.LATE_LOOKING),
    (_S.TUNNEL, _E.UP): _UP,
    (_S.TUNNEL, _E.GATEWAYS): Move(_S.TUNNEL, (_A.UPGRADE,)),
    (_S.TUNNEL, _E.BOGUS): Move(_S.DROP, (_A.STOP, _A.CLOSE, _A.DENY, _A.SETTLE)),
    (_S.TUNNEL, _E.DOWN): Move(_S.UNDECIDED, (_A.STOP, _A.FORGET)),
    (_S.TUNNEL, _E.EXPIRED): Move(_S.UNDECIDED, (_A.STOP, _A.CLOSE, _A.FORGET)),
    (_S.TUNNEL, _E.REMOVED): Move(_S.UNDECIDED, (_A.STOP, _A.CLOSE, _A.FORGET)),
}
"""(state, event) -> move."""

for _state in (_S.CALLING, _S.SHAKING, _S.BOTH, _S.LATE_CALLING, _S.LATE_BOTH):
    _back = _S.CALLING if _state is _S.SHAKING else _state
    MOVES[_state, _E.TRY_FAILED] = Move(_back, (_A.NEXT,))
    MOVES[_state, _E.ROUND_FAILED] = Move(_back, (_A.WAIT,))
    if _state is not _S.SHAKING:
        MOVES[_state, _E.AGAIN] = Move(_state, (_A.CALL,))
for _state in (*SEARCHING, *LATE):
    MOVES[_state, _E.UP] = _UP
    MOVES[_state, _E.REMOVED] = Move(_S.UNDECIDED, (_A.STOP, _A.FORGET))
for _state in (_S.LOOKING, _S.BOTH, _S.LATE_LOOKING, _S.LATE_BOTH):
    MOVES[_state, _E.BOGUS] = Move(_S.DROP, (_A.STOP, _A.DENY, _A.SETTLE))
for _state in LATE:
    MOVES[_state, _E.EXPIRED] = Move(_S.UNDECIDED, (_A.STOP, _A.FORGET))
for _state in SHUNTS:
    MOVES[_state, _E.UP] = _UP
    MOVES[_state, _E.RETRY_LOOK] = Move(_S.LATE_LOOKING, (_A.ASK,))
    MOVES[_state, _E.RETRY_CALL] = Move(_S.LATE_CALLING, (_A.CALL,))
    MOVES[_state, _E.RETRY_BOTH] = Move(_S.LATE_BOTH, (_A.ASK, _A.CALL))
    MOVES[_state, _E.EXPIRED] = Move(_S.UNDECIDED, (_A.FORGET,))
    MOVES[_state, _E.REMOVED] = Move(_S.UNDECIDED, (_A.FORGET,))
for _state in _S:
    MOVES[_state, _E.WEAK] = Move(_state, (_A.CLOSE,))


def next_move(state: State, event: Event) -> Move | None:
    """What to do when `event` happens in `state`; None: nothing."""
    return MOVES.get((state, event))
