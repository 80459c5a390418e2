# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv1 as the engine's dialect: pairs of IPsec SAs follow an ISAKMP SA, whose place another one takes (RFC 2409).

Nothing in the protocol says that one ISAKMP SA replaces another: whichever of the same two ends comes up later has
what the older one had, and the older one answers for a while. Of two that both ends began at once the one with the
larger cookies stays, which both ends see alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from openswan.base.address import Endpoint
from openswan.base.interval import Duration
from openswan.base.log import Rc
from openswan.engine.conn import Conn
from openswan.engine.dialect import UnderWay
from openswan.engine.isakmp import OCTETS
from openswan.engine.policies import child_policy
from openswan.engine.statedb import ChildState, IkeState
from openswan.ike.events import CreateChild
from openswan.ike.v1.life import UNSAID, Life
from openswan.ike.v1.methods import METHODS
from openswan.ike.v1.phase1 import ChosenIsakmp
from openswan.ike.v1.policy import IsakmpPolicy, QuickPolicy
from openswan.ike.v1.sa import IsakmpSa

if TYPE_CHECKING:
    from openswan.engine.brain import Brain


class IkeV1:
    """openswan.engine.dialect.Dialect for IKEv1."""

    version = 1
    greeting = ""
    confirmed = True

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.owner = brain.isakmp

    def _policy(self, conn: Conn) -> IsakmpPolicy:
        first = conn.me is not None and conn.peer is not None and self.core.states.strangers(conn.me, conn.peer)
        policy = self.owner.policy(conn, conn.peer, first, initiator=True)
        return replace(policy, wishes=conn.assigned.addresses)

    def lacks(self, conn: Conn) -> str:
        """Why we could not prove ourselves; empty when we can."""
        return self.brain.keyring.lacks(conn, self.owner.ike(conn, conn.peer))

    def child(self, conn: Conn) -> QuickPolicy:
        """The Quick Mode of a connection whose selectors are known."""
        return self.owner.quick(conn, child_policy(conn))

    def initiator(self, conn: Conn, local: Endpoint, remote: Endpoint) -> IsakmpSa:
        """A machine for Main Mode."""
        policy = self._policy(conn)
        patience = max(policy.retransmit_interval, self.brain.launches.patience)
        policy = replace(policy, retransmit_interval=min(patience, policy.retransmit_timeout))
        return IsakmpSa.initiator(policy, local, remote, self.owner, self.core.rng, self.core.now)

    def begin(self, ike: IkeState, child: CreateChild | None) -> Sequence[object]:
        """Main Mode; the Quick Mode waits in the machine."""
        machine = _machine(ike)
        effects = machine.initiate(self.core.now, ike.replaces.serial if ike.replaces is not None else 0)
        if child is not None:
            effects += machine.request(child, self.core.now)
        return effects

    def responder(self, local: Endpoint, remote: Endpoint) -> IsakmpSa:
        """A machine for a first message of Main Mode."""
        return IsakmpSa.responder(local, remote, self.owner, self.core.rng, self.core.now)

    def established(self, ike: IkeState) -> None:
        """It takes the place of those with the same peer, unless that says that it knows none of them."""
        if ike.shared_as is None:
            return
        for other in list(self.core.states.shared.get(ike.shared_as, {}).values()):
            if other is ike or other.closing or other.doubtful or other.born is None or not _same_host(ike, other):
                continue
            at_once = other.born >= ike.started
            if ike.first_contact and not at_once:
                continue
            loser, winner = (ike, other) if at_once and _cookies(other) > _cookies(ike) else (other, ike)
            told = winner.replaces is not None and not at_once
            self.core.leases.move(loser.serial, winner.serial)
            self.brain.ikes.run(loser, _machine(loser).supersede(_machine(winner), self.core.now, told=told))
            if winner is not ike:
                self.brain.ikes.run(winner, ())
                return

    def displaces(self, ike: IkeState, older: IkeState) -> bool:
        """One client of a conn has one place: who comes from another one has left the first, as most never say.

        Users (XAUTH) may be in two places.
        """
        if ike.conn is None or older.conn is None or ike.conn.name != older.conn.name or older.version != 1:
            return False
        if METHODS[_machine(ike).need_chosen().method].is_server(ike.initiator):
            return False
        return ike.machine.remote.address != older.machine.remote.address or not _same_host(ike, older)

    def life(self, ike: IkeState) -> Duration:
        """What both ends have agreed on, or less when the connection says so."""
        agreed = _seconds(ike.machine.chosen)
        mine = ike.conn.policy.ike_lifetime if ike.conn is not None else agreed
        return min(agreed, mine) if agreed else mine

    def child_life(self, child: ChildState) -> Duration:
        """The same of a pair of IPsec SAs."""
        agreed = _agreed(child).seconds
        mine = child.conn.policy.ipsec_lifetime
        return min(float(agreed), mine) if agreed else mine

    def child_octets(self, child: ChildState) -> int:
        """The same in octets, of which the protocol counts kilobytes (RFC 2407 4.5)."""
        agreed, mine = _agreed(child).kilobytes * OCTETS, child.conn.policy.max_bytes
        return min(agreed, mine) if agreed and mine else agreed or mine

    def part(self, child: ChildState) -> None:
        """Nobody acknowledges a Delete, and the peer may have ended the ISAKMP SA that has fallen silent: the other one
        says it, and has the time to say it again."""
        newest = self.core.states.children.get(child.conn.newest_child)
        old = child.ike
        if newest is None or newest.ike is old or newest.ike.version != self.version:
            return
        _machine(old).yield_child(child.spi_in, _machine(newest.ike))
        self.core.states.move_child(child, newest.ike)
        if not (old.children or old.attempts):
            self.brain.ikes.run(old, _machine(old).supersede(_machine(newest.ike), self.core.now))

    def under_way(self, ike: IkeState) -> Iterable[UnderWay]:
        """Quick Modes that wait for their next message."""
        for one in _machine(ike).quicks.values():
            if one.is_open and one.outstanding is not None:
                state = one.state
                yield UnderWay(one.token, one.is_initiator, state.label, state.story, one.outstanding.next)

    def renew(self, ike: IkeState) -> None:
        """Another Main Mode, whose ISAKMP SA takes over; one that carries nothing is let go."""
        conn = ike.conn
        if conn is None or not (ike.children or ike.attempts):
            return
        problem = self.brain.negotiator.impossible(conn)
        if problem is None:
            self.core.say(conn, f"rekeying state ({ike.machine.state})", Rc.LOG, ike.serial, event="ike-rekey")
            self.brain.ikes.open(conn, None, ike)
        else:
            self.brain.lifetimes.not_renewed(ike, problem[1])


def _machine(ike: IkeState) -> IsakmpSa:
    assert isinstance(ike.machine, IsakmpSa)
    return ike.machine


def _agreed(child: ChildState) -> Life:
    return child.policy.life if isinstance(child.policy, QuickPolicy) else UNSAID


def _seconds(chosen: object) -> Duration:
    return float(chosen.life.seconds) if isinstance(chosen, ChosenIsakmp) else 0.0


def _cookies(ike: IkeState) -> bytes:
    return ike.machine.spi_i + ike.machine.spi_r


def _same_host(one: IkeState, other: IkeState) -> bool:
    """Behind one NAT there may be several hosts with one name: each has a port of its own there."""
    if one.machine.nat_there or other.machine.nat_there:
        return one.machine.remote == other.machine.remote
    return True
