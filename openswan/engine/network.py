# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses and names: orientation of connections now and whenever the machine's addresses or host names change."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from openswan.base.address import Address
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.engine.conn import Conn, Kind, Oriented
from openswan.engine.effects import HaveDevice, Listen, Resolve
from openswan.engine.events import HostResolved, NetworkState
from openswan.engine.orient import Plugs, orient
from openswan.engine.routing import RouteEvent, Routing
from openswan.engine.settings import LEAST_TTL, LOOK_AGAIN, MOST_TTL, RESOLVE_AGAIN, RESOLVE_MOST
from openswan.engine.timers import Timer
from openswan.policy.connection import HostKind
from openswan.policy.groups import of_strangers

if TYPE_CHECKING:
    from openswan.engine.brain import Brain


class Network:
    """What this machine's plugs mean for its connections."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.listened: tuple[tuple[Address, str], ...] = ()
        self.plugged = False
        """Have we had an address?"""
        self.looked: dict[str, Instant] = {}
        """When each name was last asked for."""
        self.strangers_on = ("", "")
        """The virtual interface of strangers that has been asked for, and what it stands on."""
        self.asked: dict[str, int] = {}
        """Host names asked for and how often in vain."""

    # -- addresses ----------------------------------------------------------------------------------------------------

    def changed(self, state: NetworkState) -> None:
        """The machine's interfaces, addresses, default routes or links are these now."""
        core = self.core
        before, links = core.plugs.addresses.keys(), core.plugs.onlink.links
        core.network, core.plugs = state, Plugs.of(state)
        if core.listening:
            self.listen()
        come, moved = core.plugs.addresses.keys() - before, core.plugs.addresses.keys() != before
        self.brain.pathmtus.network()
        self.brain.exemptions.stale = True
        for conn in list(core.conns.named.values()):
            self.reorient(conn)
            if conn.me in come and not conn.children:
                self.resume(conn)
        if come:
            self.brain.pairs.plugged(first=not self.plugged)
            self.plugged = True
        self.brain.groups.placed()  # when it is known where each group is plugged in now
        if state.links != links:
            self.brain.pairs.linked()
        if moved:
            self.brain.mobility.tell()
            self.resolve_all()

    def listen(self) -> None:
        """Open sockets on every address of ours, close those on addresses that are gone."""
        wanted = tuple(
            (address, interface.name)
            for interface in self.core.network.interfaces
            if interface.up
            for address, _ in interface.addresses
            if not address.is_loopback and not address.is_link_local
        )
        for address, name in wanted:
            if (address, name) not in self.listened:
                self.core.log(f"adding interface {self._device(name)}/{name} {address}:{self.core.settings.ike_port}")
        for address, name in self.listened:
            if (address, name) not in wanted:
                device = self._device(name)
                self.core.log(f"shutting down interface {device}/{name} {address}:{self.core.settings.ike_port}")
        if wanted != self.listened or not self.core.listening:
            self.core.emit(Listen(wanted))
        self.listened = wanted

    def _device(self, name: str) -> str:
        interface = self.core.plugs.interfaces.get(name)
        return interface.virtual if interface and interface.virtual else "ipsec0"

    def unlisten(self) -> None:
        """Close all sockets."""
        self.listened = ()
        self.core.emit(Listen(()))

    # -- orientation --------------------------------------------------------------------------------------------------

    def orientation(self, conn: Conn) -> tuple[Oriented | None, str]:
        """Where a connection is plugged in as things are."""
        oriented, why = orient(conn.policy, self.core.plugs, self.core.names)
        if oriented is not None and of_strangers((conn.template or conn).policy):
            oriented = self._apart(oriented)
        if oriented is not None and (elsewhere := conn.away or conn.redirected) is not None:
            oriented = replace(oriented, peer=elsewhere)
        return oriented, why

    def _apart(self, oriented: Oriented) -> Oriented:
        """Strangers stay strangers: what they send never comes out where configured peers' packets do.

        There is one such interface for all. It stays on the first of ours as long as that is there: what goes out
        leaves by the address of its SA, whichever it stands on.
        """
        device = self.core.settings.strangers
        name, below = self.strangers_on
        stands = self.core.plugs.interfaces.get(below)
        if name != device or stands is None or not stands.up:
            self.strangers_on = (device, oriented.interface)
            self.core.emit(HaveDevice(*self.strangers_on))
        return replace(oriented, device=device)

    def reorient(self, conn: Conn) -> None:
        """Follow a change: what hung on the old addresses ends, what was wanted begins again. The guard stays in."""
        oriented, why = self.orientation(conn)
        old = conn.oriented
        if oriented == old:
            self.brain.mobility.returned(conn)
            return
        if old is not None and oriented is not None and same_place(old, oriented):
            self.core.conns.reorient(conn, oriented)
            return
        if self.brain.mobility.follow(conn, oriented):
            return
        if old is not None:
            self._unplug(conn)
        self.core.conns.reorient(conn, oriented)
        self.brain.keyring.forget()
        if oriented is None:
            if old is not None:
                self.core.say(conn, why, Rc.ORIENT, event="disoriented")
            return
        self.core.say(conn, f"oriented: we are {oriented.me} on {oriented.interface or 'no interface'}", Rc.COMMENT)
        self.resume(conn)

    def _unplug(self, conn: Conn) -> None:
        for instance in list(conn.instances.values()):
            self.brain.negotiator.remove(instance)
        wanted, on_demand, attached = conn.wanted, conn.on_demand, conn.clients
        restarting = conn.restarting or (bool(conn.negotiating) and conn.kind is Kind.PERMANENT)
        conn.clients = []
        self.brain.negotiator.stop(conn)
        conn.clients = attached
        self.brain.router.happen(conn, RouteEvent.UNPLUG)
        conn.wanted, conn.on_demand, conn.restarting = wanted, on_demand, restarting
        self.brain.streams.moved(conn)

    def resume(self, conn: Conn) -> None:
        """Route and start again what was routed and started."""
        if conn.oriented is None or not conn.keys or (conn.kind is Kind.TEMPLATE and conn.group is None):
            return
        if conn.guarded or conn.wanted or conn.on_demand:
            self.brain.router.guard(conn)
        if conn.on_demand and conn.routing is Routing.UNROUTED and self.brain.router.obstacle(conn) is None:
            self.brain.router.happen(conn, RouteEvent.ROUTE)
        if (conn.wanted or conn.restarting) and not conn.children and self.brain.negotiator.impossible(conn) is None:
            if conn.restarting and conn.routing is Routing.ROUTED_PROSPECTIVE:
                self.brain.router.happen(conn, RouteEvent.ACQUIRE)
            self.brain.negotiator.start(conn)

    # -- names --------------------------------------------------------------------------------------------------------

    def names_of(self, conn: Conn) -> list[str]:
        """Host names a connection depends on."""
        ends = (conn.policy.left, conn.policy.right)
        return [end.host.name for end in ends if end.host.kind is HostKind.NAME]

    def resolve(self, name: str, again: bool = False) -> None:
        """Ask for a name's addresses unless that is under way."""
        if again or name not in self.asked:
            self.asked.setdefault(name, 0)
            self.looked[name] = self.core.now
            self.core.emit(Resolve(name))

    def resolve_all(self) -> None:
        """Look up every name that conns and groups depend on: where we are now, or whom we ask, it may have others."""
        for name in sorted({*self.core.conns.hosts, *self.brain.groups.names}):
            self.resolve(name, again=True)

    def look_again(self, conn: Conn) -> None:
        """The peer of a connection does not answer: its name may have another address by now."""
        for name in self.names_of(conn):
            if self.core.now - self.looked.get(name, float("-inf")) >= LOOK_AGAIN:
                self.resolve(name, again=True)

    def resolved(self, event: HostResolved) -> None:
        """A name has these addresses now; without any it is asked for again later."""
        core = self.core
        tries = self.asked.get(event.name, 0)
        needed = event.name in core.conns.hosts or event.name in self.brain.groups.names
        if not event.addresses:
            if needed:
                self.asked[event.name] = tries + 1
                pause = min(RESOLVE_AGAIN * 2 ** min(tries, 6), RESOLVE_MOST)
                if not tries:
                    core.log(f"cannot resolve {event.name}: {event.reason or 'no address'}", True, "unresolved")
                core.after(Timer.RESOLVE, event.name, pause, partial(self.resolve, event.name, True))
            return
        self.asked[event.name] = 0
        if needed:
            pause = min(max(event.ttl, LEAST_TTL), MOST_TTL)
            core.after(Timer.RESOLVE, event.name, pause, partial(self.resolve, event.name, True))
        if set(core.names.get(event.name, ())) == set(event.addresses):
            return  # servers turn their lists around
        core.names[event.name] = event.addresses
        for conn in list(core.conns.hosts.get(event.name, {}).values()):
            self._renamed(conn, event)
        self.brain.groups.renamed(event.name)

    def _renamed(self, conn: Conn, event: HostResolved) -> None:
        """A name of a connection has other addresses.

        SAs that live are not torn down for it: the peer is asked at its old address, and only silence ends them.
        """
        oriented = conn.oriented
        theirs = oriented is not None and oriented.theirs.host.name == event.name
        if oriented is not None and theirs and conn.children and oriented.peer is not None and conn.away is None:
            conn.away = oriented.peer
            if oriented.peer not in event.addresses:
                ikes = {
                    child.ike.serial: child.ike for child in self.core.states.children.values() if child.conn is conn
                }
                for ike in ikes.values():
                    self.brain.ikes.doubt(ike, f"{event.name} has another address now")
        self.reorient(conn)

    def forget(self, conn: Conn) -> None:
        """A connection is gone; names nobody needs any more are dropped."""
        for name in self.names_of(conn):
            self.forget_name(name)

    def forget_name(self, name: str) -> None:
        """Forget a name unless somebody still needs it."""
        if name not in self.core.conns.hosts and name not in self.brain.groups.names:
            self.core.names.pop(name, None)
            self.asked.pop(name, None)
            self.looked.pop(name, None)
            self.core.timers.cancel((Timer.RESOLVE, name))


def same_place(old: Oriented, new: Oriented) -> bool:
    """Do SAs and routes survive this change? Only the next hop may differ."""
    return (old.me, old.peer, old.interface, old.device) == (new.me, new.peer, new.interface, new.device)
