# SPDX-License-Identifier: GPL-2.0-or-later
"""States of ISAKMP SAs and of Quick Modes and every move between them, each with its story (RFC 2409 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from openswan.base.log import Rc


class State(Enum):
    """Where an exchange stands; `number` is the classic one that whack's 1NN codes are made of (0: it has none)."""

    MAIN_I0 = ("STATE_MAIN_I0", 0, "not yet begun")
    MAIN_R0 = ("STATE_MAIN_R0", 3, "expecting MI1")
    MAIN_I1 = ("STATE_MAIN_I1", 4, "sent MI1, expecting MR1")
    MAIN_R1 = ("STATE_MAIN_R1", 5, "sent MR1, expecting MI2")
    MAIN_I2 = ("STATE_MAIN_I2", 6, "sent MI2, expecting MR2")
    MAIN_R2 = ("STATE_MAIN_R2", 7, "sent MR2, expecting MI3")
    MAIN_I3 = ("STATE_MAIN_I3", 8, "sent MI3, expecting MR3")
    MAIN_R3 = ("STATE_MAIN_R3", 9, "sent MR3, ISAKMP SA established")
    MAIN_I4 = ("STATE_MAIN_I4", 10, "ISAKMP SA established")
    AGGR_I0 = ("STATE_AGGR_I0", 0, "not yet begun")
    AGGR_R0 = ("STATE_AGGR_R0", 11, "expecting AI1")
    AGGR_I1 = ("STATE_AGGR_I1", 12, "sent AI1, expecting AR1")
    AGGR_R1 = ("STATE_AGGR_R1", 13, "sent AR1, expecting AI2")
    AGGR_I2 = ("STATE_AGGR_I2", 14, "sent AI2, ISAKMP SA established")
    AGGR_R2 = ("STATE_AGGR_R2", 15, "ISAKMP SA established")
    QUICK_I0 = ("STATE_QUICK_I0", 0, "not yet begun")
    QUICK_R0 = ("STATE_QUICK_R0", 16, "expecting QI1")
    QUICK_I1 = ("STATE_QUICK_I1", 17, "sent QI1, expecting QR1")
    QUICK_R1 = ("STATE_QUICK_R1", 18, "sent QR1, expecting QI2")
    QUICK_I2 = ("STATE_QUICK_I2", 19, "sent QI2, IPsec SA established")
    QUICK_R2 = ("STATE_QUICK_R2", 20, "IPsec SA established")
    XAUTH_R0 = ("STATE_XAUTH_R0", 23, "XAUTH responder - sent request, expecting reply")
    XAUTH_R1 = ("STATE_XAUTH_R1", 24, "XAUTH status sent, expecting Ack")
    MODE_CFG_R1 = ("STATE_MODE_CFG_R1", 26, "ModeCfg Set sent, expecting Ack")
    MODE_CFG_I1 = ("STATE_MODE_CFG_I1", 28, "ModeCfg initiator - awaiting CFG_reply")
    XAUTH_I0 = ("STATE_XAUTH_I0", 29, "XAUTH client - awaiting CFG_request")
    XAUTH_I1 = ("STATE_XAUTH_I1", 30, "XAUTH client - awaiting CFG_set")
    GONE = ("STATE_GONE", 0, "ended")

    def __init__(self, label: str, number: int, story: str) -> None:
        self.label = label
        self.number = number
        self.story = story

    @property
    def code(self) -> int:
        """whack's code for arriving here: 004 when established, 1NN on the way."""
        if self in ESTABLISHED:
            return Rc.SUCCESS
        return Rc.NEW_STATE + self.number if self.number else Rc.LOG

    def __str__(self) -> str:
        return self.label


BEGINNING = frozenset({State.MAIN_R0, State.AGGR_R0})
"""Responders that have yet to hear something sensible."""
KEYED = frozenset({State.MAIN_R3, State.MAIN_I4, State.AGGR_I2, State.AGGR_R2})
"""ISAKMP SAs whose both ends are authenticated: Quick Modes and Informationals may be made."""
FURTHER = frozenset(
    {State.XAUTH_R0, State.XAUTH_R1, State.MODE_CFG_R1, State.MODE_CFG_I1, State.XAUTH_I0, State.XAUTH_I1}
)
"""Phase 1 is over, and something has to follow it before Quick Modes may be made."""
PROVEN = KEYED | FURTHER
"""Both ends have proved in phase 1 what they had to: Informationals and Transactions count."""
ESTABLISHED = KEYED | {State.QUICK_I2, State.QUICK_R2}


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed move."""

    source: State
    target: State
    story: str


KEYED_ORDER = tuple(one for one in State if one in KEYED)
FURTHER_ORDER = tuple(one for one in State if one in FURTHER)
TRANSITIONS: tuple[Transition, ...] = (
    Transition(State.MAIN_I0, State.MAIN_I1, "initiate: proposals sent"),
    Transition(State.MAIN_I1, State.MAIN_I2, "a proposal of ours was taken, public value and nonce sent"),
    Transition(State.MAIN_I2, State.MAIN_I3, "keys derived, identity and proof sent"),
    Transition(State.MAIN_I3, State.MAIN_I4, "the responder's proof is right"),
    Transition(State.MAIN_R0, State.MAIN_R1, "a proposal taken and said so"),
    Transition(State.MAIN_R1, State.MAIN_R2, "keys derived, public value and nonce sent"),
    Transition(State.MAIN_R2, State.MAIN_R3, "the initiator's proof is right, ours sent"),
    Transition(State.MAIN_I0, State.AGGR_I0, "the policy wants Aggressive Mode"),
    Transition(State.MAIN_R0, State.AGGR_R0, "the initiator wants Aggressive Mode"),
    Transition(State.AGGR_I0, State.AGGR_I1, "initiate: proposals, public value, nonce and identity sent"),
    Transition(State.AGGR_I1, State.AGGR_I2, "the responder's proof is right, ours sent"),
    Transition(State.AGGR_R0, State.AGGR_R1, "a proposal taken, keys derived, our proof sent"),
    Transition(State.AGGR_R1, State.AGGR_R2, "the initiator's proof is right"),
    Transition(State.AGGR_I0, State.GONE, "given up before it began"),
    Transition(State.AGGR_R0, State.GONE, "refused; nothing is kept"),
    Transition(State.AGGR_I1, State.GONE, "never answered, or given up"),
    Transition(State.AGGR_R1, State.GONE, "the initiator does not go on, or cannot prove itself"),
    Transition(State.AGGR_I2, State.GONE, "deleted by either end, or its time is over"),
    Transition(State.AGGR_R2, State.GONE, "deleted by either end, or its time is over"),
    Transition(State.MAIN_I0, State.GONE, "given up before it began"),
    Transition(State.MAIN_R0, State.GONE, "refused; nothing is kept"),
    Transition(State.MAIN_I1, State.GONE, "never answered, or given up"),
    Transition(State.MAIN_I2, State.GONE, "never answered, or given up"),
    Transition(State.MAIN_I3, State.GONE, "never answered, or given up"),
    Transition(State.MAIN_R1, State.GONE, "the initiator does not go on"),
    Transition(State.MAIN_R2, State.GONE, "the initiator does not go on, or cannot prove itself"),
    Transition(State.MAIN_R3, State.GONE, "deleted by either end, or its time is over"),
    Transition(State.MAIN_I4, State.GONE, "deleted by either end, or its time is over"),
    *(Transition(keyed, State.XAUTH_R0, "XAUTH was agreed on, a password asked for") for keyed in KEYED_ORDER),
    *(Transition(keyed, State.XAUTH_I0, "XAUTH was agreed on, we wait to be asked") for keyed in KEYED_ORDER),
    *(Transition(keyed, State.MODE_CFG_R1, "an address pushed to the client") for keyed in KEYED_ORDER),
    *(Transition(keyed, State.MODE_CFG_I1, "an address asked or waited for") for keyed in KEYED_ORDER),
    *(Transition(State.XAUTH_R1, keyed, "the client is in, and has nothing to configure") for keyed in KEYED_ORDER),
    *(Transition(State.XAUTH_I0, keyed, "the server lets us in without asking") for keyed in KEYED_ORDER),
    *(
        Transition(State.XAUTH_I1, keyed, "the server lets us in, there is nothing to configure")
        for keyed in KEYED_ORDER
    ),
    *(Transition(State.MODE_CFG_R1, keyed, "the client has what was pushed") for keyed in KEYED_ORDER),
    *(Transition(State.MODE_CFG_I1, keyed, "the server has given an address") for keyed in KEYED_ORDER),
    Transition(State.XAUTH_R0, State.XAUTH_R1, "the password is right, and we say so"),
    Transition(State.XAUTH_R1, State.MODE_CFG_R1, "the client is in, an address pushed to it"),
    Transition(State.XAUTH_R1, State.MODE_CFG_I1, "the client is in, and gives us an address"),
    Transition(State.XAUTH_I0, State.XAUTH_I1, "name and password said"),
    Transition(
        State.XAUTH_I0, State.MODE_CFG_I1, "the server lets us in without asking, an address asked or waited for"
    ),
    Transition(State.XAUTH_I1, State.MODE_CFG_I1, "the server lets us in, an address asked or waited for"),
    Transition(State.XAUTH_I0, State.MODE_CFG_R1, "the server lets us in without asking, and gets an address of us"),
    Transition(State.XAUTH_I1, State.MODE_CFG_R1, "the server lets us in, and gets an address of us"),
    *(Transition(one, State.GONE, "refused, given up or never answered") for one in FURTHER_ORDER),
    Transition(State.QUICK_I0, State.QUICK_I1, "initiate: proposals, nonce and clients sent"),
    Transition(State.QUICK_I1, State.QUICK_I2, "the responder's choice confirmed"),
    Transition(State.QUICK_R0, State.QUICK_R1, "a proposal taken and said so"),
    Transition(State.QUICK_R1, State.QUICK_R2, "the initiator has confirmed"),
    Transition(State.QUICK_I1, State.GONE, "refused or never answered"),
    Transition(State.QUICK_R0, State.GONE, "refused; nothing is kept"),
    Transition(State.QUICK_R1, State.GONE, "never confirmed"),
    Transition(State.QUICK_I0, State.GONE, "given up before it began"),
    Transition(State.QUICK_I2, State.GONE, "nobody repeats anything any more"),
    Transition(State.QUICK_R2, State.GONE, "nobody repeats anything any more"),
)

ALLOWED = frozenset((row.source, row.target) for row in TRANSITIONS)
