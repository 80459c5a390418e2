# SPDX-License-Identifier: GPL-2.0-or-later
"""What the two versions of IKE do each in its own way; all else in the engine is common to both.

Negotiator ──► Dialect.lacks, child       what a conn needs, and what it negotiates
IkeSas ──────► Dialect.initiator, begin   a machine, and how it is set going; responder for a stranger
               Dialect.established        what an IKE SA that has come up means to older ones;
                       displaces          one with the same peer elsewhere, too
Lifetimes ───► Dialect.life, renew        how long an IKE SA lives, and how it is replaced
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from openswan.base.address import Endpoint
from openswan.base.interval import Duration, Instant
from openswan.engine.conn import Conn
from openswan.engine.statedb import ChildState, IkeState
from openswan.ike.events import CreateChild
from openswan.ike.machine import Machine
from openswan.ike.policy import ChildPolicy


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A negotiation of a child that has a state and a number of its own."""

    number: int
    initiator: bool
    state: str
    story: str
    due: Instant
    """When its message is repeated."""


class Dialect(Protocol):
    """One version of IKE."""

    version: int
    greeting: str
    """The log's line when one is begun; empty: the machine has its own."""
    confirmed: bool
    """Has the initiator said that it has a child before the responder installs it?"""

    def lacks(self, conn: Conn) -> str:
        """Why we could not prove ourselves in its name; empty when we can."""

    def child(self, conn: Conn) -> ChildPolicy:
        """What to negotiate for a connection whose selectors are known."""

    def initiator(self, conn: Conn, local: Endpoint, remote: Endpoint) -> Machine:
        """A machine that will open an IKE SA for a connection."""

    def begin(self, ike: IkeState, child: CreateChild | None) -> Sequence[object]:
        """Set it going; `child` follows on it, None: nothing yet."""

    def responder(self, local: Endpoint, remote: Endpoint) -> Machine:
        """A machine for a stranger's first message."""

    def established(self, ike: IkeState) -> None:
        """An IKE SA has come up, in either role."""

    def displaces(self, ike: IkeState, older: IkeState) -> bool:
        """Does this IKE SA with the same peer end an older one though the peer has not said INITIAL_CONTACT?"""

    def life(self, ike: IkeState) -> Duration:
        """How long an IKE SA may be used."""

    def child_life(self, child: ChildState) -> Duration:
        """How long a child may be used."""

    def child_octets(self, child: ChildState) -> int:
        """How much it may carry, each way; 0: any amount."""

    def part(self, child: ChildState) -> None:
        """A child is about to be deleted, as one of another IKE SA carries its traffic."""

    def under_way(self, ike: IkeState) -> Iterable[UnderWay]:
        """What the status says of children that are not there yet."""

    def renew(self, ike: IkeState) -> None:
        """The life of an IKE SA is nearly over: let another take its place."""
