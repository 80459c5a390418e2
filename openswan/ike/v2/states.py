# SPDX-License-Identifier: GPL-2.0-or-later
"""States of an IKEv2 SA and every move between them, each with its story; a move that is not here is a bug."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from openswan.base.log import Rc


class State(Enum):
    """Where an IKE SA stands; `number` is the classic one that whack's 1NN codes are made of (0: it has none)."""

    I0 = ("STATE_PARENT_I0", 0, "not yet begun")
    I1 = ("STATE_PARENT_I1", 33, "sent v2I1, expected v2R1")
    I2 = ("STATE_PARENT_I2", 34, "sent v2I2, expected v2R2")
    I3 = ("STATE_PARENT_I3", 35, "PARENT SA established")
    R0 = ("STATE_PARENT_R0", 0, "expecting v2I1")
    R1 = ("STATE_PARENT_R1", 36, "received v2I1, sent v2R1")
    R2 = ("STATE_PARENT_R2", 37, "received v2I2, PARENT SA established")
    REPLACED = ("STATE_IKESA_REPLACED", 0, "replaced by a rekeyed SA")
    CLOSING = ("STATE_IKESA_DEL", 0, "sent Delete, expecting its answer")
    LINGER = ("STATE_IKESA_LINGER", 0, "ended, answers repetitions only")
    GONE = ("STATE_IKESA_GONE", 0, "ended")

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


ESTABLISHED = frozenset({State.I3, State.R2})
"""Both sides authenticated, children may exist, requests may be made."""
KEYED = frozenset({State.I2, State.I3, State.R1, State.R2, State.REPLACED, State.CLOSING, State.LINGER})
"""Keys exist: anything but IKE_SA_INIT can be opened."""
ENDED = frozenset({State.LINGER, State.GONE})


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed move."""

    source: State
    target: State
    story: str


TRANSITIONS: tuple[Transition, ...] = (
    Transition(State.I0, State.I1, "initiate: IKE_SA_INIT request sent"),
    Transition(State.I1, State.I1, "IKE_SA_INIT sent again with the responder's cookie, or with the group it wants"),
    Transition(State.I1, State.I2, "IKE_SA_INIT answered, keys derived, IKE_AUTH request sent"),
    Transition(State.I1, State.GONE, "IKE_SA_INIT refused or never answered"),
    Transition(State.I2, State.I3, "IKE_AUTH answered and the responder's AUTH verified"),
    Transition(State.I2, State.CLOSING, "the responder's AUTH does not verify: it is told in an INFORMATIONAL request"),
    Transition(State.I2, State.GONE, "IKE_AUTH refused, malformed or never answered"),
    Transition(State.I0, State.GONE, "given up before it began"),
    Transition(State.I0, State.I3, "successor of a rekeyed IKE SA, our exchange"),
    Transition(State.R0, State.R1, "IKE_SA_INIT request answered, keys derived"),
    Transition(State.R0, State.GONE, "IKE_SA_INIT request refused; nothing is kept"),
    Transition(State.R0, State.R2, "successor of a rekeyed IKE SA, the peer's exchange"),
    Transition(State.R1, State.R2, "the initiator's AUTH verified, IKE_AUTH answered"),
    Transition(State.R1, State.LINGER, "IKE_AUTH refused; the refusal is kept for repetitions"),
    Transition(State.R1, State.GONE, "no IKE_AUTH came"),
    Transition(State.I3, State.REPLACED, "IKE SA rekeyed: the successor has the children"),
    Transition(State.R2, State.REPLACED, "IKE SA rekeyed: the successor has the children"),
    Transition(State.I3, State.CLOSING, "we close: Delete sent, or waiting for the window"),
    Transition(State.R2, State.CLOSING, "we close: Delete sent, or waiting for the window"),
    Transition(State.REPLACED, State.CLOSING, "the initiator of the rekeying deletes the old IKE SA"),
    Transition(State.I3, State.LINGER, "the peer closed, or broke the protocol; the last answer is kept"),
    Transition(State.R2, State.LINGER, "the peer closed, or broke the protocol; the last answer is kept"),
    Transition(State.REPLACED, State.LINGER, "the peer deleted the replaced IKE SA"),
    Transition(State.CLOSING, State.LINGER, "the peer closed while we did"),
    Transition(State.I3, State.GONE, "a request was never answered"),
    Transition(State.R2, State.GONE, "a request was never answered"),
    Transition(State.REPLACED, State.GONE, "the replaced IKE SA was never deleted by the peer, or does not answer"),
    Transition(State.CLOSING, State.GONE, "Delete answered, or never answered"),
    Transition(State.LINGER, State.GONE, "nobody asks any more"),
)

ALLOWED = frozenset((row.source, row.target) for row in TRANSITIONS)
