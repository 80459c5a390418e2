# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections whose SAs live on while an end changes its address (MOBIKE, RFC 4555).

    our address is another one ──► the machine moves and tells the peer; SAs, eroutes, guard and routes stay or follow
    our address is gone        ──► traffic is held; the next address ends the waiting, a peer's silence ends the SAs
    the peer's is another one  ──► its machine has moved; connection and look-ups follow

What cannot live on is left to engine.network: torn down and begun anew, the guard in place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openswan.base.address import Address
from openswan.base.log import Rc
from openswan.base.said import Said, Shunt
from openswan.engine.conn import Conn, Oriented
from openswan.engine.statedb import IkeState
from openswan.engine.updown import Verb
from openswan.ike.events import MoveIke, Probe, TellAddresses
from openswan.plane.commands import SetEroute

if TYPE_CHECKING:
    from openswan.engine.brain import Brain


class Mobility:
    """Owner of what it means that an end has moved."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core

    # -- we -----------------------------------------------------------------------------------------------------------

    def can_move(self, conn: Conn) -> bool:
        """Do all its SAs allow another address of ours, and is none of them about our address itself?"""
        oriented = conn.oriented
        if oriented is None or not conn.children or not (conn.virtual or oriented.ours.subnet is not None):
            return False
        return all(self._movable(ike) for ike in self._ikes(conn))

    @staticmethod
    def _movable(ike: IkeState) -> bool:
        return ike.established is not None and not ike.closing and ike.machine.decides

    def _ikes(self, conn: Conn) -> list[IkeState]:
        children = (self.core.states.children.get(serial) for serial in sorted(conn.children))
        return list({child.ike.serial: child.ike for child in children if child is not None}.values())

    def follow(self, conn: Conn, oriented: Oriented | None) -> bool:
        """Our orientation has changed to this; False: the SAs cannot live with it."""
        old = conn.oriented
        if old is None or not self.can_move(conn):
            return False
        if oriented is None:
            self._strand(conn)
            return True
        if (oriented.device, oriented.peer) != (old.device, old.peer) or oriented.me.version != old.me.version:
            return False
        self.core.say(conn, f"our address has changed from {old.me} to {oriented.me}: moving", Rc.LOG, event="moving")
        for ike in self._ikes(conn):
            if ike.machine.local.address != oriented.me:
                self.brain.ikes.request(ike, MoveIke(oriented.me))
                self.brain.liveness.heard(ike, "its silence was that of an address we have left")
        again = self.brain.negotiator.readdress(conn, oriented.me)
        self._move(conn, oriented)
        self.brain.keyring.forget()
        self.brain.router.guard(conn)
        if again:
            self.brain.negotiator.start(conn)
        # What was held waits until the peer knows where its answers go.
        return True

    def returned(self, conn: Conn) -> None:
        """Nothing has changed, but perhaps the address was away meanwhile."""
        if conn.stranded:
            self._release(conn)
            for ike in self._ikes(conn):
                if not ike.machine.busy and not ike.closing:
                    self.brain.ikes.request(ike, Probe())

    def _strand(self, conn: Conn) -> None:
        if conn.stranded:
            return
        conn.stranded = True
        self.core.say(conn, "our address is gone: traffic is held until there is another one", Rc.LOG, event="stranded")
        self.repoint(conn)

    def _release(self, conn: Conn) -> None:
        if not conn.stranded:
            return
        conn.stranded = False
        self.repoint(conn)

    def repoint(self, conn: Conn) -> None:
        """Packets are held, or go out on the SA that owns the eroute again; to the router nothing has happened."""
        child = self.core.states.children.get(conn.owner)
        if child is None or child.closing:
            return
        target: Said | Shunt = Shunt.HOLD if conn.held else child.first_out
        serial = 0 if conn.held else conn.owner
        for key in conn.held_keys:
            if self.brain.router.eroutes.get(key) is conn:
                self.core.klips(SetEroute(key, target, conn.device, conn.unique, serial))

    def confirmed(self, ike: IkeState) -> None:
        """The peer has followed us."""
        for child in list(ike.children.values()):
            self._release(child.conn)

    def tell(self) -> None:
        """Our addresses have changed: peers that decide are told which there are."""
        for ike in list(self.core.states.ikes.values()):
            if ike.established is not None and not ike.closing and ike.machine.mobike and not ike.machine.decides:
                self.brain.ikes.request(ike, TellAddresses())

    def others(self, local: Address) -> tuple[Address, ...]:
        """Addresses we answer at beside `local`: those on its interface and on interfaces with a default route.

        What is inside is nobody's business outside.
        """
        own = self.core.plugs.addresses.get(local)
        outside = {default.interface for default in self.core.network.defaults} | ({own.name} if own else set())
        return tuple(
            address
            for interface in self.core.network.interfaces
            if interface.up and interface.name in outside
            for address, _ in interface.addresses
            if address != local and not address.is_loopback and not address.is_link_local
        )

    # -- the peer -----------------------------------------------------------------------------------------------------

    def moved(self, ike: IkeState) -> None:
        """A machine has other addresses now: so has whoever looks it up by them, and its connections' peer."""
        local, remote = ike.machine.local.address, ike.machine.remote.address
        self.core.states.rehome(ike, local, remote)
        conns = {child.conn for child in ike.children.values() if not child.closing}
        if ike.conn is not None:
            conns.add(ike.conn)
        for conn in conns:
            if conn.oriented is not None and conn.oriented.peer not in (None, remote):
                conn.away = remote
                self._move(conn, replace(conn.oriented, peer=remote))
        self.brain.ikes.start_keepalive(ike)

    def home(self, conn: Conn) -> None:
        """Its last SA has gone: the peer is to be found where ipsec.conf says."""
        conn.stranded = False
        if conn.away is None or conn.instance:
            return
        conn.away = None
        oriented, _ = self.brain.network.orientation(conn)
        if oriented is not None:
            self._reindex(conn, oriented)

    def _move(self, conn: Conn, oriented: Oriented) -> None:
        """Another orientation of a tunnel that stays: its updown command hears of the old one and of the new one."""
        told = bool(conn.owner)
        if told:
            self.brain.router.tell_move(conn, Verb.DOWN)
        self._reindex(conn, oriented)
        if told:
            self.brain.router.tell_move(conn, Verb.UP)

    def _reindex(self, conn: Conn, oriented: Oriented) -> None:
        """Another orientation, while selectors and eroutes stay."""
        self.core.conns.unindex(conn)
        conn.oriented = oriented
        self.core.conns.index(conn)
