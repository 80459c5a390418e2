# SPDX-License-Identifier: GPL-2.0-or-later
"""Carries out the moves of routing.MOVES: guard, eroutes, and the updown commands around them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from openswan.base.address import Address, Subnet
from openswan.base.log import Rc
from openswan.base.said import Said, Shunt
from openswan.engine.conn import Conn, Kind
from openswan.engine.core import Core
from openswan.engine.effects import DelGuard, FlushConntrack, GuardEntry, SetGuard
from openswan.engine.events import UpdownDone
from openswan.engine.names import openings
from openswan.engine.routing import Act, RouteEvent, Routing, next_move
from openswan.engine.settings import FAILURE_SHUNT_LIFETIME
from openswan.engine.timers import Timer
from openswan.engine.updown import UpdownQueue, Verb, is_default, outcome, remedy, verb_name
from openswan.plane.commands import DelEroute, SetEroute
from openswan.policy.connection import ShuntPolicy
from openswan.policy.grade import Grade
from openswan.policy.groups import stance_of
from openswan.policy.identity import NOBODY, Identity
from openswan.policy.selector import FlowKey

Then = Callable[[bool], None]
RouteKey = tuple[Subnet, str]


def _ignore(_: bool) -> None:
    return None


def _unheard(_: FlowKey) -> None:
    return None


class Router:
    """Owner of all eroutes, routes and guard entries; connections change them only through `happen`."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.updowns = UpdownQueue(core.emit)
        self.eroutes: dict[FlowKey, Conn] = {}
        self.eclipsed: dict[FlowKey, list[Conn]] = {}
        self.routes: dict[RouteKey, dict[str, Conn]] = {}
        self.laid: set[RouteKey] = set()
        """Routes whose command has ended well; what has users alone may still be on its way."""
        self.opening: dict[str, list[Then]] = {}
        """Who waits, by connection, for the commands that a first tunnel has begun."""
        self.guards: dict[str, tuple[Conn, SetGuard]] = {}
        self.kept: set[str] = set()
        """Names under which a daemon before this one left a guard that still stands; for the status alone."""
        self.keep_guards = False
        """Going down for a restart: nothing is unprotected any more."""
        self.on_change: Callable[[FlowKey], None] = _unheard
        """Hears which flows are taken, given up and guarded."""
        self.on_move: Callable[[Conn, RouteEvent, Routing], None] = lambda conn, event, before: None
        """Hears of every move, after it: what has happened, and how the connection was routed before."""

    def obstacle(self, conn: Conn) -> tuple[int, str] | None:
        """Why `conn` cannot own its eroute and route: reply code and text; None when it can."""
        if conn.oriented is None:
            return Rc.ORIENT, "we cannot identify ourselves with either end of this connection."
        if not conn.keys:
            return Rc.ROUTE, f"cannot route template policy of {conn.label}"
        for key in conn.keys:
            holder = self.eroutes.get(key)
            if holder is not None and not self.yields(holder, conn, conn.peer_id, conn.peer):
                serial = f" #{holder.owner}" if holder.owner else ""
                return Rc.LOG_SERIOUS, f"cannot install eroute -- it is in use for {holder.label}{serial}"
        for user in self.routes.get((conn.keys[0].dst, conn.device), {}).values():
            ours, its = conn.oriented, user.oriented
            if its is not None and (ours.interface, ours.nexthop) != (its.interface, its.nexthop):
                return Rc.LOG_SERIOUS, f"cannot route -- route already in use for {user.label}"
        return None

    @staticmethod
    def yields(holder: Conn, taker: Conn, peer_id: Identity | None, peer: Address | None = None) -> bool:
        """May `taker`, or its instance for `peer_id` at `peer`, have the eroute that `holder` has?"""
        template = taker if taker.kind is Kind.TEMPLATE else taker.template
        if holder is taker or holder is template:
            return True
        if template is not None and holder.template is template:
            if holder.group is not None and not holder.owner:
                return True  # a pair without a tunnel: it is what both ends ask for
            itself = holder.remote is not None and holder.remote.first == peer
            if holder.group is not None and itself and holder.peer != peer and peer_id != NOBODY:
                return True  # the host itself, in the place of a gateway that spoke for it
            # The same road warrior from a new address; another one never takes what is in use, nor does nobody, who
            # gives way to anybody that proves who he is.
            return peer_id != NOBODY and holder.peer_id in (peer_id, NOBODY)
        return holder.policy.overlap_ip and taker.policy.overlap_ip

    def happen(self, conn: Conn, event: RouteEvent, target: Said | None = None, then: Then = _ignore) -> bool:
        """Let the table decide; False when it has no move. `then` hears whether route or tunnel could be had.

        `target` is the outbound SA for SA_UP; the caller has put its serial into conn.owner.
        """
        move = next_move(conn.routing, event)
        if move is None:
            return False
        if event is RouteEvent.NEGOTIATION_FAILED and conn.failure_shunt() is None:
            return False
        fresh = not self.has_route(conn)
        before, conn.routing = conn.routing, move.to
        self.on_move(conn, event, before)
        if event is RouteEvent.SA_UP:
            then = self._opens(conn, then, begins=Act.UP in move.acts)
        self._carry_out(conn, list(move.acts), target, fresh, then)
        return True

    def _opens(self, conn: Conn, then: Then, begins: bool) -> Then:
        """A tunnel that comes while the commands for an earlier one run waits for them too."""
        waiters = self.opening.get(conn.unique)
        if begins:
            waiters = self.opening[conn.unique] = [then]
            return partial(self._opened, conn.unique, waiters)
        if waiters is None:
            return then
        waiters.append(then)
        return _ignore

    def _opened(self, unique: str, waiters: list[Then], ok: bool) -> None:
        if self.opening.get(unique) is waiters:
            del self.opening[unique]
        for then in waiters:
            then(ok)

    def after_opening(self, conn: Conn, then: Callable[[], None]) -> None:
        """Call `then` once the commands of a first tunnel have ended; at once when there are none."""
        waiters = self.opening.get(conn.unique)
        if waiters is None:
            then()
        else:
            waiters.append(lambda _: then())

    def is_opening(self, conn: Conn) -> bool:
        """Are the commands of a first tunnel still being run?"""
        return conn.unique in self.opening

    def answers_pass(self, conn: Conn) -> bool:
        """Would what is answered to the peer now find a route into the tunnel, and the packet filter open?"""
        if self.is_opening(conn):
            return False
        key = self._route_key(conn)
        laid = key is None or (self.has_route(conn) and key in self.laid)
        command = conn.oriented.ours.updown if conn.oriented else ""
        opens = openings(conn) or (command and not is_default(command))  # a command of the user's may open anything
        return conn.routing is Routing.ROUTED_TUNNEL or (laid and not opens)

    def has_route(self, conn: Conn) -> bool:
        """Is `conn` among the users of its route?"""
        key = self._route_key(conn)
        return key is not None and conn.unique in self.routes.get(key, {})

    @staticmethod
    def _route_key(conn: Conn) -> RouteKey | None:
        """None for shunts that let traffic pass: they need no route into the virtual interface, and hide none."""
        needed = conn.keys and conn.policy.prospective is not ShuntPolicy.PASS
        return (conn.keys[0].dst, conn.device) if needed else None

    # -- acts ---------------------------------------------------------------------------------------------------------

    def _carry_out(self, conn: Conn, acts: list[Act], target: Said | None, fresh: bool, then: Then) -> None:
        """Do `acts` in order; after an updown command whose outcome matters the rest waits for it."""
        while acts:
            act = acts.pop(0)
            if act is Act.UP and not conn.never:
                self.updowns.run(conn, Verb.UP, partial(self._up_done, conn, acts, target, fresh, then))
                return
            if act is Act.ROUTE and self._join_route(conn):
                self.updowns.run(conn, Verb.PREPARE, partial(self._noted, conn, Verb.PREPARE))
                self.updowns.run(conn, Verb.ROUTE, partial(self._route_done, conn, then))
                return
            if act is Act.UNROUTE and self._leave_route(conn):
                self.updowns.run(conn, Verb.UNROUTE, partial(self._unroute_done, conn, acts, target, fresh, then))
                return
            self._act(conn, act, target)
        then(True)

    def _act(self, conn: Conn, act: Act, target: Said | None) -> None:
        if act is Act.GUARD:
            self.guard(conn)
        elif act is Act.UNGUARD:
            self.unguard(conn)
        elif act is Act.POLICY:
            shunt = conn.prospective_shunt()
            if conn.shunt is Shunt.HOLD and shunt is Shunt.TRAP:
                # What was held for a negotiation that failed is given up; sent to the trap it would start the next one.
                self._eroute(conn, Shunt.DROP)
            self._eroute(conn, shunt)
        elif act is Act.HOLD:
            self._eroute(conn, conn.hold_shunt())
        elif act is Act.FAILURE:
            self._eroute(conn, conn.failure_shunt() or conn.prospective_shunt())
            self.core.after(
                Timer.FAILURE,
                conn.unique,
                FAILURE_SHUNT_LIFETIME,
                lambda: void(self.happen(conn, RouteEvent.FAILURE_EXPIRED)),
            )
        elif act is Act.TUNNEL and target is not None:
            self._eroute(conn, target)
        elif act is Act.CLEAR:
            self._clear(conn)
        elif act is Act.DOWN and not conn.never:
            self._tell(conn, Verb.DOWN)
            self._resolver_back(conn)

    def _eroute(self, conn: Conn, target: Said | Shunt) -> None:
        if isinstance(target, Shunt):
            self._claim(conn, conn.keys, target)
            self._withdraw(conn, conn.keys)
            conn.shunt, conn.owner = target, 0
            return
        keys = conn.tunnel_keys or conn.keys
        self._claim(conn, keys, Shunt.HOLD if conn.held else target)
        # What the peer would not take into the tunnel must not go anywhere else.
        self._claim(conn, tuple(key for key in conn.keys if key not in keys), Shunt.DROP)
        self._withdraw(conn, (*keys, *conn.keys))
        conn.held_keys = keys
        conn.shunt = None

    def _claim(self, conn: Conn, keys: tuple[FlowKey, ...], target: Said | Shunt) -> None:
        """Set eroutes; whoever had one of these keys is eclipsed."""
        serial = 0 if isinstance(target, Shunt) else conn.owner
        for key in keys:
            holder = self.eroutes.get(key)
            if holder is not None and holder is not conn:
                self.eclipsed.setdefault(key, []).append(holder)
                self.happen(holder, RouteEvent.ECLIPSE)
            self.eroutes[key] = conn
            self.on_change(key)
            self.core.klips(SetEroute(key, target, conn.device, conn.unique, serial))

    def _withdraw(self, conn: Conn, keep: tuple[FlowKey, ...]) -> None:
        """Take away the eroutes of an earlier, narrower child that are not among `keep`."""
        for key in conn.held_keys:
            if key not in keep and self.eroutes.get(key) is conn:
                del self.eroutes[key]
                self.on_change(key)
                self.core.klips(DelEroute(key))
        conn.held_keys = ()

    def _clear(self, conn: Conn) -> None:
        """Take the eroutes away, or give them back to the connection they were taken from."""
        self._withdraw(conn, conn.keys)
        for key in conn.keys:
            if self.eroutes.get(key) is not conn:
                others = self.eclipsed.get(key, [])
                if conn in others:
                    others.remove(conn)
                continue
            del self.eroutes[key]
            self.on_change(key)
            waiting = self.eclipsed.pop(key, [])
            heir = waiting.pop() if waiting else None
            if waiting:
                self.eclipsed[key] = waiting
            if heir is None or not self.happen(heir, RouteEvent.RESTORE):
                self.core.klips(DelEroute(key))
        conn.shunt, conn.owner = None, 0

    # -- routes -------------------------------------------------------------------------------------------------------

    def _join_route(self, conn: Conn) -> bool:
        """Become a user of the route; True when nobody else was."""
        key = self._route_key(conn)
        if key is None:
            return False
        users = self.routes.setdefault(key, {})
        first = not users
        users[conn.unique] = conn
        return first

    def _leave_route(self, conn: Conn) -> bool:
        """Stop being a user of the route; True when that was the last."""
        key = self._route_key(conn)
        if key is None:
            return False
        users = self.routes.get(key, {})
        was = users.pop(conn.unique, None) is not None
        if not users:
            self.routes.pop(key, None)
            self.laid.discard(key)
        return was and not users

    def tell_move(self, conn: Conn, verb: Verb) -> None:
        """An end has another address: `down` before the connection knows it, `up` afterwards; nothing depends on it."""
        self.updowns.run(conn, verb, partial(self._noted, conn, verb), moving=True)

    def regrade(self, conn: Conn, grade: Grade) -> None:
        """What the peer has proved now: where it had a tunnel, what is open to it is closed and opened anew."""
        was, before, conn.grade = conn.grade, openings(conn), grade
        if openings(conn) != before and conn.routing is Routing.ROUTED_TUNNEL and conn.oriented is not None:
            conn.grade = was  # `down` tells of what was opened
            self._tell(conn, Verb.DOWN)
            conn.grade = grade
            self._tell(conn, Verb.UP)

    def _tell(self, conn: Conn, verb: Verb) -> None:
        """Run a command on whose outcome nothing depends."""
        self.updowns.run(conn, verb, partial(self._noted, conn, verb))

    def _resolver_over(self, conn: Conn) -> None:
        """A Cisco peer has told us of its DNS servers: they are to be asked while the tunnel is up."""
        if conn.policy.cisco and conn.virtual and conn.assigned.dns and not conn.policy.ignore_dns:
            conn.other_resolver = True
            self._tell(conn, Verb.UPDATE_RESOLVER)

    def _resolver_back(self, conn: Conn) -> None:
        if conn.other_resolver:
            conn.other_resolver = False
            self._tell(conn, Verb.RESTORE_RESOLVER)
        if conn.policy.cisco and conn.policy.nm_configured:
            self._tell(conn, Verb.DISCONNECT_MANAGER)

    def _noted(self, conn: Conn, verb: Verb, event: UpdownDone) -> None:
        """Log what a command said and how it ended."""
        name = verb_name(conn, verb) if conn.oriented else verb.value
        code = Rc.LOG_SERIOUS if event.status else Rc.LOG
        for line in event.output:
            self.core.say(conn, f"{name} output: {line}", code)
        if complaint := outcome(name, event.status):
            self.core.say(conn, complaint, Rc.LOG_SERIOUS, event="updown-failed")
            self.core.say(conn, f"{name}: {remedy(conn.device, event)}", code)

    def _up_done(
        self, conn: Conn, acts: list[Act], target: Said | None, fresh: bool, then: Then, event: UpdownDone
    ) -> None:
        self._noted(conn, Verb.UP, event)
        if event.status:
            self.happen(conn, RouteEvent.UP_FAILED_UNROUTED if fresh else RouteEvent.UP_FAILED)
            then(False)
        elif conn.routing is Routing.ROUTED_TUNNEL:
            self._carry_out(conn, acts, target, fresh, then)
            self._resolver_over(conn)
        else:
            then(False)

    def _route_done(self, conn: Conn, then: Then, event: UpdownDone) -> None:
        self._noted(conn, Verb.ROUTE, event)
        key = self._route_key(conn)
        if event.status:
            self._leave_route(conn)
            self.happen(conn, RouteEvent.ROUTE_FAILED)
        elif key in self.routes:
            self.laid.add(key)
        then(event.status == 0)

    def _unroute_done(
        self, conn: Conn, acts: list[Act], target: Said | None, fresh: bool, then: Then, event: UpdownDone
    ) -> None:
        self._noted(conn, Verb.UNROUTE, event)
        self._carry_out(conn, acts, target, fresh, then)

    # -- guard --------------------------------------------------------------------------------------------------------

    def guard(self, conn: Conn) -> None:
        """Protect what `conn` covers; at once, and before anything else is done for it."""
        entry = guard_of(conn)
        if entry is None:
            return
        known = self.guards.get(conn.unique)
        self.kept.discard(conn.unique)
        self.guards[conn.unique] = (conn, entry)
        conn.guarded = True
        if known is not None and known[1] == entry:
            return
        self.core.emit(entry)
        for each in entry.entries:
            self.on_change(each.key)
        flows = tuple((e.key.src, e.key.dst) for e in entry.entries)
        self.core.emit(FlushConntrack(flows + tuple((dst, src) for src, dst in flows)))

    def unguard(self, conn: Conn) -> None:
        """Stop protecting, unless the connection is wanted again or another one has taken over its name."""
        known = self.guards.get(conn.unique)
        if known is None or known[0] is not conn or self.keep_guards or conn.routing is not Routing.UNROUTED:
            return
        if conn.wanted and conn.kind is not Kind.GOING_AWAY:
            return
        del self.guards[conn.unique]
        conn.guarded = False
        for each in known[1].entries:
            self.on_change(each.key)
        self.core.emit(DelGuard(conn.unique))

    def inherit_guard(self, old: Conn, new: Conn) -> None:
        """`new` replaces `old` under the same name: the guard changes hands without a gap."""
        known = self.guards.get(old.unique)
        if known is None:
            return
        entry = guard_of(new)
        old.guarded, new.guarded = False, True
        self.guards[new.unique] = (new, known[1])
        if entry is not None:
            self.guard(new)


def guard_of(conn: Conn) -> SetGuard | None:
    """The guard a connection needs: none with leakguard=no, for what passes in clear, or before it is oriented."""
    if not conn.policy.leak_guard or conn.policy.prospective is ShuntPolicy.PASS or not conn.keys:
        return None
    if conn.group is not None and conn.kind is not Kind.INSTANCE and stance_of(conn.policy).permits_clear:
        return None  # its pairs with a tunnel are guarded one by one
    block: tuple[int, ...] = ()
    if not conn.policy.other_family_clear:
        block = tuple(sorted({10 - key.dst.version for key in conn.keys if key.dst.prefixlen == 0}))
    return SetGuard(conn.unique, tuple(GuardEntry(key, conn.device) for key in conn.guarded_keys), block)


def void(_: object) -> None:
    """Turn something that answers into something that does not."""
