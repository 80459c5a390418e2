# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv2 as the engine's dialect: the first child comes with the IKE SA, which is rekeyed from within (RFC 7296)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from openswan.base.address import Endpoint
from openswan.base.interval import Duration
from openswan.base.log import Rc
from openswan.engine.conn import Conn
from openswan.engine.dialect import UnderWay
from openswan.engine.policies import child_policy
from openswan.engine.statedb import ChildState, IkeState
from openswan.engine.timers import Timer
from openswan.ike.events import CreateChild, RekeyIke
from openswan.ike.policy import ChildPolicy, IkePolicy
from openswan.ike.v2.sa import IkeSaV2

if TYPE_CHECKING:
    from openswan.engine.brain import Brain


REAUTH_AGAIN = 60.0
"""Seconds after which an IKE SA that has not been replaced yet is to be once more: what was begun came to nothing."""


class IkeV2:
    """openswan.engine.dialect.Dialect for IKEv2."""

    version = 2
    greeting = "initiating v2 parent SA"
    confirmed = False

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core

    def _policy(self, conn: Conn) -> IkePolicy:
        first = conn.me is not None and conn.peer is not None and self.core.states.strangers(conn.me, conn.peer)
        return self.brain.keyring.ike(conn, conn.signature, None, first)

    def lacks(self, conn: Conn) -> str:
        """Why we could not prove ourselves; empty when we can."""
        return self.brain.keyring.lacks(conn, self._policy(conn))

    def child(self, conn: Conn) -> ChildPolicy:
        """The child policy of a connection whose selectors are known."""
        return child_policy(conn)

    def initiator(self, conn: Conn, local: Endpoint, remote: Endpoint) -> IkeSaV2:
        """A machine for IKE_SA_INIT."""
        policy = self._policy(conn)
        if conn.virtual:
            policy = replace(policy, wishes=conn.assigned.addresses)
        elif conn.translated:
            policy = replace(policy, wishes=self.brain.pairs.wishes(conn))
        patience = max(policy.retransmit_interval, self.brain.launches.patience)
        policy = replace(policy, retransmit_interval=min(patience, policy.retransmit_timeout))
        return IkeSaV2.initiator(policy, local, remote, self.brain.answers, self.core.rng, self.core.now)

    def begin(self, ike: IkeState, child: CreateChild | None) -> Sequence[object]:
        """IKE_SA_INIT, or IKE_SESSION_RESUME with the ticket there is: one use only (RFC 5723 4.3.1)."""
        assert isinstance(ike.machine, IkeSaV2)
        assert child is not None
        ticket = self.core.states.tickets.pop(ike.shared_as, None) if ike.shared_as is not None else None
        return ike.machine.initiate((child,), self.core.now, ticket)

    def responder(self, local: Endpoint, remote: Endpoint) -> IkeSaV2:
        """A machine for an IKE_SA_INIT request."""
        return IkeSaV2.responder(local, remote, self.brain.answers, self.core.rng, self.core.now)

    def established(self, ike: IkeState) -> None:
        """Older IKE SAs are none of its business: INITIAL_CONTACT and liveness checks clear up."""

    def displaces(self, ike: IkeState, older: IkeState) -> bool:
        """Never: whoever has lost its memory says so (RFC 7296 2.4)."""
        return False

    def life(self, ike: IkeState) -> Duration:
        """ikelifetime=: each end looks to it for itself."""
        return ike.conn.policy.ike_lifetime if ike.conn is not None else 0.0

    def child_life(self, child: ChildState) -> Duration:
        """salifetime="""
        return child.conn.policy.ipsec_lifetime

    def child_octets(self, child: ChildState) -> int:
        """ipsec-max-bytes="""
        return child.conn.policy.max_bytes

    def part(self, child: ChildState) -> None:
        """Its own IKE SA says so: it is told that it has been heard."""

    def under_way(self, ike: IkeState) -> Iterable[UnderWay]:
        """They are part of its state."""
        return ()

    def renew(self, ike: IkeState) -> None:
        """CREATE_CHILD_SA makes a successor that inherits everything; with reauth=yes a new IKE SA takes over."""
        conn = ike.conn
        if conn is None or ike.closing:
            return
        if conn.policy.reauth and conn.group is None and self.brain.negotiator.movable(ike):
            # Both ends prove themselves anew; what there is gives way when its children are up (RFC 7296 2.8.3).
            self.core.say(conn, "reauthenticating: a new IKE SA takes over", Rc.LOG, ike.serial, event="ike-rekey")
            self.brain.negotiator.elsewhere(ike)
            self.core.after(Timer.REKEY_IKE, ike.serial, REAUTH_AGAIN, partial(self.renew, ike))
            return
        self.core.say(conn, "rekeying IKE SA", Rc.LOG, ike.serial, event="ike-rekey")
        self.brain.ikes.request(ike, RekeyIke())
