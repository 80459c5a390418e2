# SPDX-License-Identifier: GPL-2.0-or-later
"""Bringing connections up and down: initiation, shared IKE SAs, further tries, instances, what follows a loss."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from openswan.base.address import Address
from openswan.base.entropy import uniform
from openswan.base.log import Rc
from openswan.engine.conn import Conn, Kind
from openswan.engine.names import CHILD_STAGES, WORDS
from openswan.engine.oeevents import Pair
from openswan.engine.routing import RouteEvent, Routing
from openswan.engine.settings import LINGER, RETRY_FIRST, RETRY_MOST
from openswan.engine.statedb import ChildState, IkeState
from openswan.engine.timers import Timer
from openswan.ike.effects import Gone
from openswan.ike.events import CreateChild, MoveIke
from openswan.policy.connection import Connection, DpdAction, HostKind
from openswan.policy.identity import Identity
from openswan.policy.selector import Selector

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

REBORN = (Gone.TIMEOUT, Gone.UNKNOWN_TO_PEER, Gone.IKE_GONE)
"""Ends that the peer did not ask for: dpdaction= decides."""
LATELY = 1.0
"""Seconds for which a peer that has been heard counts as one that answers."""


class Negotiator:
    """Owner of the wish to have connections up."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.waiting: dict[str, Conn] = {}
        """Connections to be started once secrets and certificates have been read."""

    # -- up -----------------------------------------------------------------------------------------------------------

    def impossible(self, conn: Conn) -> tuple[int, str] | None:
        """Why `conn` cannot be initiated: reply code and text."""
        if conn.never:
            return Rc.INITSHUNT, "cannot initiate an authby=never connection"
        if not self.core.listening:
            return Rc.DEAF, "need --listen before --initiate"
        if conn.oriented is None:
            return Rc.ORIENT, "We cannot identify ourselves with either end of this connection."
        if conn.oriented.me not in self.core.plugs.addresses:
            return Rc.ORIENT, f"our address {conn.oriented.me} is gone for now."
        if conn.peer is None:
            host = conn.oriented.theirs.host
            if host.kind is HostKind.NAME:
                return Rc.NOPEERIP, f"dns resolution for {host.name} not yet complete, still trying"
            kind = conn.kind.value
            return Rc.NOPEERIP, f"cannot initiate connection without knowing peer IP address (kind={kind})"
        if not conn.keys:
            return Rc.NOPEERIP, "cannot initiate connection without knowing the peer's client"
        return None

    def initiate(self, conn: Conn, client: int = 0) -> None:
        """The operator (or auto=start) wants `conn` up, and kept up."""
        problem = self.impossible(conn)
        if conn.kind not in (Kind.TEMPLATE, Kind.GROUP) and not conn.never:
            # Protected from now on, whether or not a tunnel can be had yet.
            conn.wanted = True
            self.brain.router.guard(conn)
        self.core.attach(client, conn)
        if problem is not None:
            self.core.say(conn, problem[1], problem[0], event="cannot-initiate")
            self.core.release(conn)
            return
        self._resettle(conn)
        if conn.children:
            self._renew(conn, client)
            return
        conn.attempt = 0
        self.start(conn)

    def _renew(self, conn: Conn, client: int) -> None:
        """--up of what is up: whoever waits for it gets fresh SAs, made before the old ones go."""
        child = self.core.states.children.get(conn.newest_child)
        if client and child is not None and not child.closing and not child.ike.closing:
            self.brain.lifetimes.rekey_child(child)
        else:
            self.core.say(conn, "already established", Rc.SUCCESS, conn.newest_child)
            self.core.release(conn)

    def _resettle(self, conn: Conn) -> None:
        """A conn that was down and dropped its packets holds them again now that it is wanted."""
        if conn.routing in (Routing.ROUTED_PROSPECTIVE, Routing.ROUTED_FAILURE):
            self.brain.router.happen(conn, RouteEvent.ROUTE)
            self.brain.router.happen(conn, RouteEvent.ACQUIRE)

    def start(self, conn: Conn) -> None:
        """Negotiate now, on an IKE SA that is there or on a new one; joins what is already under way."""
        core, dialect = self.core, self.brain.dialect(conn)
        core.timers.cancel((Timer.RETRY, conn.unique))
        if conn.negotiating or conn.oriented is None or conn.peer is None or core.stopping:
            return
        if core.reading:
            self.waiting[conn.unique] = conn
            return
        ike = core.states.sharable(conn.oriented.me, conn.peer, conn.signature)
        if ike is None:
            if not self.brain.launches.room(conn):
                core.say(conn, "waits until other negotiations are done", Rc.COMMENT)
                return
            if why := dialect.lacks(conn):
                core.say(conn, why, Rc.LOG_SERIOUS, event="no-secret")
                self.failed(conn, 0, why, told=True)
                return
            self.brain.ikes.open(conn, dialect.child(conn))
            return
        token = core.states.serial()
        core.states.begin(ike, token, conn)
        request = CreateChild(dialect.child(conn), token)
        if ike.established is None:
            ike.pending.add(request)
            core.say(conn, f"waiting for {WORDS[ike.version].ike} #{ike.serial}", Rc.COMMENT, token)
            return
        if ike.version == 2:  # a Quick Mode says it itself
            core.say(conn, f"initiating child SA using IKE SA #{ike.serial}", Rc.LOG, token)
        self.brain.ikes.request(ike, request)
        if conn.group is not None and core.now - ike.machine.last_heard < LATELY:
            # It answers: among many children this one may have to wait for the others.
            self.brain.pairs.answered(conn)

    def ready(self) -> None:
        """Secrets and certificates are there: start what waited for them."""
        waiting, self.waiting = self.waiting, {}
        for conn in waiting.values():
            if conn.kind is not Kind.GOING_AWAY and not conn.children and (conn.wanted or conn.on_demand):
                self.start(conn)

    def succeeded(self, conn: Conn) -> None:
        """A child of `conn` is up and routed."""
        conn.attempt = 0
        conn.restarting = False
        conn.trigger = None
        self.core.remedies.forget(conn.unique)
        self.core.timers.cancel((Timer.RETRY, conn.unique))
        self.core.timers.cancel((Timer.FAILURE, conn.unique))
        self.core.release(conn)
        self.give_way(conn)
        if conn.group is not None:
            self.brain.pairs.up(self.core.states.children[conn.newest_child])

    def give_way(self, conn: Conn) -> None:
        """Children that could not be rekeyed, or whose peer was silent, go soon after one of another IKE SA carries
        their traffic: the peer needs a moment to see that."""
        newest = self.core.states.children.get(conn.newest_child)
        if newest is None or newest.gives_way:
            return
        for serial in list(conn.children):
            child = self.core.states.children.get(serial)
            if child is not None and child.gives_way and child.ike is not newest.ike and not child.closing:
                self.core.after(Timer.GIVE_WAY, serial, LINGER, partial(self.brain.lifetimes.over, child))

    def no_room(self, ike: IkeState, conn: Conn, token: int) -> bool:
        """The peer makes no further child on `ike`, which others use already: `conn` gets an IKE SA of its own."""
        if not ike.children or conn.kind is Kind.GOING_AWAY or conn.negotiating != token:
            return False
        self.core.states.unshare(ike)
        self.core.say(conn, f"IKE SA #{ike.serial} takes no further child SA: using another", Rc.LOG, token)
        conn.negotiating = 0
        self.start(conn)
        return True

    def lost(self, ike: IkeState, conn: Conn, token: int) -> bool:
        """`ike`, which was to carry one more child, is one that the peer had lost: `conn`, of a pair, is not refused by
        that, and is asked for once more on an IKE SA of its own."""
        up = ike.established is None or ike.machine.is_established
        if up or conn.group is None or conn.kind is Kind.GOING_AWAY or conn.negotiating != token or conn.attempt:
            return False
        self.core.states.unshare(ike)
        conn.attempt, conn.negotiating = conn.attempt + 1, 0
        self.start(conn)
        return True

    def elsewhere(self, ike: IkeState) -> bool:
        """The peer makes no further SA on `ike`: new ones on an IKE SA of their own take over (RFC 7296 4).

        False when that cannot be, because only the peer can begin one.
        """
        self.core.states.unshare(ike)
        children = self.movable(ike)
        for child in children:
            child.gives_way = True
            self.start(child.conn)
        return bool(children)

    def movable(self, ike: IkeState) -> list[ChildState]:
        """Its children that we could make anew on another IKE SA."""
        return [one for one in ike.children.values() if not one.closing and self.impossible(one.conn) is None]

    def failed(self, conn: Conn, token: int, reason: str, notify: int = 0, told: bool = False) -> None:
        """A negotiation came to nothing: tell, try again later if that is wanted, else apply the failure shunt.

        `notify` is what the peer refused with; `told`: the IKE SA has said why already.
        """
        core, tries = self.core, conn.policy.keying_tries
        if token and conn.negotiating != token:
            return  # called off before
        conn.negotiating = 0
        if conn.kind is Kind.GOING_AWAY:
            core.release(conn)
            return
        serial = token
        if not told:
            code = Rc.NOTIFICATION + notify if notify else Rc.LOG_SERIOUS
            core.say(conn, f"negotiation failed: {reason}", code, serial, event="failed")
        conn.attempt += 1
        self.brain.network.look_again(conn)
        self.brain.redirects.failed(conn)
        keep = not core.stopping and (conn.wanted or conn.on_demand or conn.restarting) and conn.kind is Kind.PERMANENT
        again = keep and not conn.children and (tries == 0 or conn.attempt < tries)
        if again:
            most = "an unlimited number" if tries == 0 else f"at most {tries}"
            tail = ", but releasing whack" if conn.clients else ""
            core.say(conn, f"starting keying attempt {conn.attempt + 1} of {most}{tail}", Rc.COMMENT, serial)
            core.after(Timer.RETRY, conn.unique, self._pause(conn), partial(self.retry, conn))
        core.release(conn)
        if conn.children:
            self.brain.liveness.keep(conn)
            return
        shunted = self.brain.router.happen(conn, RouteEvent.NEGOTIATION_FAILED)
        if again:
            core.timers.cancel((Timer.FAILURE, conn.unique))
        elif not shunted:
            self.brain.router.happen(conn, RouteEvent.GIVEN_UP)
        if not again:
            self._close_idle(conn, begun_here=True)
        if conn.group is not None:
            self.brain.pairs.failed(conn, reason)
        self.dissolve(conn)

    def _close_idle(self, conn: Conn, begun_here: bool = False) -> None:
        """An IKE SA that carries nothing and for which nobody will ask again is not kept."""
        for serial in list(conn.ikes):
            ike = self.core.states.ikes.get(serial)
            idle = ike is not None and not ike.children and not ike.attempts
            if ike is not None and idle and (ike.initiator or not begun_here) and ike.established is not None:
                self.brain.ikes.close(ike)

    def _pause(self, conn: Conn) -> float:
        """Seconds before the next try: doubling, with some jitter so that peers do not march in step."""
        pause = min(RETRY_FIRST * 2 ** min(conn.attempt - 1, 10), RETRY_MOST)
        return uniform(self.core.rng, 0.8 * pause, 1.2 * pause)

    def retry(self, conn: Conn) -> None:
        """The pause is over."""
        if conn.children or conn.negotiating or conn.kind is Kind.GOING_AWAY:
            return
        if self.impossible(conn) is not None:
            return  # an address change or a resolved name starts it again
        self.start(conn)

    # -- down ---------------------------------------------------------------------------------------------------------

    def terminate(self, conn: Conn) -> None:
        """The operator wants `conn` down; its route and guard stay."""
        conn.wanted = False
        if conn.oriented is not None and conn.peer is not None:
            # Who logs out does not come back by a ticket (RFC 5723 6.2).
            self.core.states.tickets.pop((conn.oriented.me, conn.peer, conn.signature), None)
        self.stop(conn)
        self.brain.redirects.failed(conn)
        for instance in list(conn.instances.values()):
            self.stop(instance)

    def stop(self, conn: Conn) -> None:
        """End what is up or under way; the eroute falls back to its shunt."""
        core = self.core
        for timer in (Timer.RETRY, Timer.FAILURE):
            core.timers.cancel((timer, conn.unique))
        conn.attempt = 0
        conn.restarting = False
        self.waiting.pop(conn.unique, None)
        self.brain.launches.forget(conn)
        self.brain.lingering.stop(conn)
        if conn.negotiating:
            self.cancel(conn)
        for serial in sorted(conn.children):
            child = core.states.children.get(serial)
            if child is not None:
                stage, _ = CHILD_STAGES[child.ike.version, child.initiator]
                core.say(conn, f"deleting state ({stage})", Rc.LOG, serial)
                self.brain.acquires.forgo(child.spi_in)
                self.brain.children.close(child)
        self._close_idle(conn)
        self.brain.router.happen(conn, RouteEvent.GIVEN_UP)
        if conn.routing in (Routing.ROUTED_PROSPECTIVE, Routing.ROUTED_FAILURE):
            self.brain.router.happen(conn, RouteEvent.ROUTE)
        core.release(conn)
        self.dissolve(conn)

    def cancel(self, conn: Conn) -> None:
        """Stop a negotiation; an IKE SA that nobody else waits for goes too."""
        states = self.core.states
        token, conn.negotiating = conn.negotiating, 0
        ike = states.tokens.get(token)
        if ike is None or ike.established is not None:
            return  # the answer is awaited, and the child refused when it comes
        if token in ike.pending.waiting:
            states.end(token)
        if not any(user.negotiating == other for other, user in ike.attempts.items()):
            self.brain.ikes.close(ike)

    def readdress(self, conn: Conn, me: Address) -> bool:
        """Our address is another one while SAs of `conn` live: what is under way from an older one goes on from there
        when the peer may have an SA of it; True when it had to be called off and is to be begun anew."""
        ike = self.core.states.tokens.get(conn.negotiating)
        if ike is None or ike.closing or ike.machine.local.address == me:
            return False
        if ike.established is not None or ike.machine.proving:
            if ike.established is None or ike.machine.decides:
                self.brain.ikes.request(ike, MoveIke(me))
            return False
        self.cancel(conn)
        return True

    def aftermath(self, conn: Conn, reason: Gone, serial: int = 0) -> None:
        """The last child of `conn` is gone and its eroute has fallen back: what now?

        `serial` (0: its IKE SA went, and it with that) is whose place is to be taken. Who has asked for the conn while
        it ended need not ask again; where nothing is under way nobody need wait.
        """
        if not (conn.kind is Kind.GOING_AWAY or self.core.stopping or conn.children):
            self._begin_anew(conn, reason, serial)
        ended = reason is Gone.PEER or reason in REBORN
        if ended and conn.clients and not conn.negotiating and not conn.children:
            self.core.say(conn, f"is down: {reason.value}", Rc.LOG_SERIOUS)
            self.core.release(conn)

    def _begin_anew(self, conn: Conn, reason: Gone, serial: int) -> None:
        """The conn is tried again, at once or later, or is left."""
        self.brain.mobility.home(conn)
        if conn.kind is Kind.INSTANCE:
            self.dissolve(conn)
            return
        if reason in REBORN:
            self._dead_peer(conn)
        elif reason is Gone.PEER and conn.wanted:
            if conn.clients and self.impossible(conn) is None:
                conn.attempt = 0
                self.start(conn)
                return
            conn.attempt += 1
            pause = self._pause(conn)
            if serial and conn.policy.ike_version == 1:
                what = "already replacing" if conn.negotiating else "replace"
                left = 0 if conn.negotiating else round(pause)
                text = f"received Delete SA payload: {what} IPSEC State #{serial} in {left} seconds"
                self.core.say(conn, text, Rc.LOG_SERIOUS)
            self.core.after(Timer.RETRY, conn.unique, pause, partial(self.retry, conn))

    def _dead_peer(self, conn: Conn) -> None:
        """dpdaction= after the peer fell silent or forgot us; a connection that is wanted up comes up again anyway."""
        if self.brain.liveness.restarts(conn):
            self.core.say(conn, "DPD: Restarting Connection", event="dpd-restart")
            conn.restarting = True
            if conn.routing is Routing.ROUTED_PROSPECTIVE:
                self.brain.router.happen(conn, RouteEvent.ACQUIRE)
            conn.attempt = 0
            if self.impossible(conn) is None:
                self.start(conn)
        elif conn.policy.dpd_action is DpdAction.HOLD:
            self.core.say(conn, "DPD: Putting connection into %trap", event="dpd-hold")
            conn.on_demand = True
            self.brain.router.happen(conn, RouteEvent.ROUTE)
        else:
            self.core.say(conn, "DPD: Clearing Connection", event="dpd-clear")

    # -- instances ----------------------------------------------------------------------------------------------------

    def instantiate(self, template: Conn, peer: Address, peer_id: Identity | None) -> Conn:
        """The instance of a template for one peer; the one it has is used again."""
        if template.group is not None and template.me is not None:
            return self.brain.pairs.instance(template, Pair(template.me, peer))
        for known in template.instances.values():
            if known.peer == peer and known.peer_id == peer_id and known.kind is Kind.INSTANCE:
                return known
        return self.new_instance(template, peer, peer_id)

    def new_instance(
        self, template: Conn, peer: Address, peer_id: Identity | None, policy: Connection | None = None
    ) -> Conn:
        """Another instance of a template."""
        if template.oriented is None:
            raise ValueError(f"{template.label} is not oriented")
        template.counter += 1
        conn = Conn(
            policy or template.policy, Kind.INSTANCE, None, template.counter, template, peer_id, group=template.group
        )
        oriented = replace(template.oriented, peer=peer)
        if policy is not None:
            ours, theirs = (policy.left, policy.right) if oriented.left_is_ours else (policy.right, policy.left)
            oriented = replace(oriented, ours=ours, theirs=theirs)
        conn.orient(oriented)
        template.instances[conn.instance] = conn
        self.core.conns.index(conn)
        return conn

    def instance_for(
        self, ike: IkeState, template: Conn, mine: tuple[Selector, ...], theirs: tuple[Selector, ...]
    ) -> Conn | None:
        """The instance that takes a child with these selectors: one per set, so that each has its own eroute."""
        peer = ike.machine.remote.address
        if template.group is not None:
            own = self.brain.pairs.instance(template, Pair(mine[0].first, theirs[0].first), caller=peer)
            if own.peer_id is None and not own.children:
                own.peer_id = ike.machine.peer_id  # by which it is known when it comes anew
            return own
        first = ike.conn if ike.conn is not None and ike.conn.template is template else None
        peer_id = ike.machine.peer_id
        for conn in (first, *template.instances.values()):
            if conn is None or conn.kind is not Kind.INSTANCE or (conn.peer, conn.peer_id) != (peer, peer_id):
                continue
            if (conn.local, conn.remote) == (mine[0], theirs[0]):
                return conn
            if not conn.children and conn.routing is Routing.UNROUTED:
                self.narrow(conn, mine[0], theirs[0])
                return conn
        conn = self.new_instance(template, peer, peer_id)
        self.narrow(conn, mine[0], theirs[0])
        return conn

    def adopt(self, conn: Conn, ike: IkeState, mine: tuple[Selector, ...], theirs: tuple[Selector, ...]) -> None:
        """Let a connection whose client is an assigned address have the one that was negotiated.

        Another one than before means another eroute and route; the guard stays in.
        """
        oriented = conn.oriented
        if oriented is None or conn.kind is Kind.TEMPLATE or not (oriented.ours.ask_addresses or oriented.theirs.pools):
            return
        local = mine[0] if oriented.ours.ask_addresses else conn.local
        remote = theirs[0] if oriented.theirs.pools else conn.remote
        if ike.machine.assigned is not None and conn.virtual:
            conn.assigned = ike.machine.assigned
        if local is None or remote is None:
            return
        if (local, remote, conn.split(conn.assigned, remote)) == (conn.local, conn.remote, conn.parts):
            return
        self.brain.router.happen(conn, RouteEvent.UNPLUG)
        self.narrow(conn, local, remote)

    def narrow(self, conn: Conn, mine: Selector, theirs: Selector) -> None:
        """Give a connection other selectors; the indices follow."""
        self.core.conns.unindex(conn)
        conn.narrow(mine, theirs)
        self.core.conns.index(conn)

    def dissolve(self, conn: Conn) -> None:
        """Remove an instance nothing hangs on any more."""
        if conn.kind is not Kind.INSTANCE or conn.children or conn.negotiating or conn.template is None:
            return
        if conn.ikes:
            return
        self.core.say(conn, f"deleting connection instance with peer {conn.peer}", Rc.LOG)
        self.remove(conn)

    def remove(self, conn: Conn) -> None:
        """Take a connection or instance out for good: SAs, eroute, route, guard, then itself."""
        for instance in list(conn.instances.values()):
            self.remove(instance)
        conn.kind = Kind.GOING_AWAY
        conn.wanted = conn.on_demand = False
        self.stop(conn)
        if not self.brain.router.happen(conn, RouteEvent.UNROUTE):
            self.brain.router.unguard(conn)
        self.core.conns.remove(conn)
        self.brain.redirects.forget(conn)
        if conn.template is not None:
            conn.template.instances.pop(conn.instance, None)
            self.brain.pairs.gone(conn)
