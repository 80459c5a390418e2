# SPDX-License-Identifier: GPL-2.0-or-later
"""Child SAs: from a negotiated pair to guard, SAs, eroute and updown, and back; always make before break."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from openswan.base.address import Address, Endpoint
from openswan.base.interval import Duration
from openswan.base.log import Rc
from openswan.base.said import Said, Shunt
from openswan.engine.conn import Conn, Kind
from openswan.engine.effects import KlipsCommand
from openswan.engine.manners import manners
from openswan.engine.names import CHILD_STAGES
from openswan.engine.pairs import grade_of
from openswan.engine.routing import RouteEvent
from openswan.engine.sas import compressor, inbound, moved, outbound, said
from openswan.engine.settings import ADMIT, CONFIRM, HELD, SWITCH, UNDER_WAY
from openswan.engine.statedb import ChildState, IkeState
from openswan.engine.timers import Timer
from openswan.ike.effects import ChildEstablished, ChildGone, Gone, SpiOffered
from openswan.ike.events import DeleteChild, Probe
from openswan.plane.commands import DelSa, ExpectSpi, MoveSa
from openswan.policy.selector import flow_keys
from openswan.wire.v2.numbers import ProtocolId

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

KEEP_INBOUND = (Gone.REPLACED, Gone.REDUNDANT)
"""Ends of a child after which packets for it may still be under way."""


class Children:
    """Installs, switches and removes child SAs."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core

    # -- up -----------------------------------------------------------------------------------------------------------

    def established(self, ike: IkeState, effect: ChildEstablished) -> None:
        """A pair of SAs has been negotiated: guard, outbound SA, eroute, updown, inbound SA; in that order.

        The inbound SA comes first where answers to what it receives have their way already. A responder of IKEv2 holds
        its answer back meanwhile (hold_back), before which the peer has nothing to send by.
        """
        core = self.core
        old = core.states.by_esp.get(effect.replaces) if effect.replaces else None
        asked = core.states.end(effect.token) if effect.token else None
        conn = asked or (old.conn if old is not None else self._connection(ike, effect))
        if conn is None or conn.kind is Kind.GOING_AWAY:
            self._refuse(ike, effect)
            return
        if asked is not None and conn.negotiating == effect.token:
            conn.negotiating = 0
        elif asked is not None:
            self._refuse(ike, effect)  # --down came first
            return
        conn.login = ike.login
        self.brain.negotiator.adopt(conn, ike, effect.mine, effect.theirs)
        child = self._child(ike, conn, effect)
        if conn.policy.tfc and effect.extras.unpadded:
            core.say(conn, "the peer takes no padded packets: tfc= is not followed", Rc.LOG, child.serial)
        if conn.group is not None and self.brain.pairs.refuses(child):
            self._refuse(ike, effect)
            self.brain.pairs.up(child)
            return
        obstacle = self.brain.router.obstacle(conn)
        if obstacle is not None and not child.redundant:
            core.say(conn, obstacle[1], obstacle[0], child.serial, event="eroute-conflict")
            self._refuse(ike, effect)
            if asked is not None:
                self.brain.negotiator.failed(conn, 0, obstacle[1], told=True)
            return
        self.brain.router.regrade(conn, grade_of(ike, conn))
        self.brain.router.guard(conn)
        path = self.brain.pathmtus.start(ike, effect.local.address, effect.remote.address)
        dialect = self.brain.dialects[ike.version]
        habits = manners(child, dialect.child_octets(child), core.settings.hide_tos, path, core.rng)
        child.withheld = tuple(inbound(child, effect, habits))
        confirmed = dialect.confirmed
        if self.brain.router.answers_pass(conn):
            self._receive(child)
        else:
            if not (effect.initiator or confirmed):
                core.klips(ExpectSpi(child.said_in))  # commands may take longer than the answer is held back
            core.after(Timer.ADMIT, child.serial, ADMIT, partial(self._receive, child))
        for command in outbound(child, effect, habits):
            core.emit(KlipsCommand(command, child.serial))
        child.gives_way = any(other.gives_way for other in self._siblings(child))
        core.states.add_child(child)
        self.brain.pathmtus.child_up(child)
        self.brain.lifetimes.start_child(child)
        self.brain.proofs.start(child)
        if child.redundant:
            self._receive_in_time(child)
            return
        newest = self._youngest(conn)
        conn.newest_child = newest.serial if newest is not None else 0
        wait = self._patience(effect, confirmed, old is not None, bool(conn.owner))
        # The peer may get our next packet before it has this SA: until it has been heard on it the older one carries
        # traffic (RFC 7296 2.8), or packets are held as they are now.
        child.waiting = bool(wait) and (bool(conn.owner) or conn.shunt in (Shunt.HOLD, Shunt.TRAP))
        if child.waiting:
            core.after(Timer.CONFIRM, child.serial, wait, partial(self._unheard, child))
        if child.waiting and conn.owner:
            self._receive_in_time(child)
            self._report(child)
            if not effect.initiator:
                self._distrust(child)
        elif self._outranks(child):
            if child.waiting:
                conn.awaited = child.serial
            if not effect.initiator:
                self.brain.ikes.hold_back(ike)
            self._use(child)
        else:
            self._receive_in_time(child)
            self._report(child)
        if child.gives_way:
            self.brain.negotiator.give_way(conn)
        self.brain.endings.first_contact(ike)

    @staticmethod
    def _patience(effect: ChildEstablished, confirmed: bool, rekeyed: bool, owned: bool) -> Duration:
        """How long a new SA is not used unless the peer has been heard on it; 0: it is used at once."""
        if effect.initiator:
            return (SWITCH if owned else UNDER_WAY) if confirmed else 0.0
        return 0.0 if confirmed else CONFIRM if rekeyed else HELD

    def _siblings(self, child: ChildState) -> Iterator[ChildState]:
        """The others of its connection in its IKE SA, which may have thousands of other connections' too."""
        known = (self.core.states.children.get(serial) for serial in child.conn.children)
        return (one for one in known if one is not None and one.ike is child.ike)

    def _outranks(self, child: ChildState) -> bool:
        """Is it to carry traffic instead of the child that does, or that is to as soon as its peer has been heard?"""
        owner = self.core.states.children.get(child.conn.owner)
        return owner is None or owner.closing or owner.serial == child.conn.awaited or child.rank > owner.rank

    def _distrust(self, child: ChildState) -> None:
        """A peer that begins anew instead of rekeying may have lost the older SA: packets wait until it has this one.

        That it has is known as soon as it answers a question that it can only open with our answer in hand.
        """
        older = self.core.states.children.get(child.conn.owner)
        if older is None or older.ike is child.ike or older.rank > child.rank:
            return
        child.conn.awaited = child.serial
        self.brain.mobility.repoint(child.conn)
        self.brain.ikes.later.append((child.ike, Probe(child.serial, pressing=True)))

    def _connection(self, ike: IkeState, effect: ChildEstablished) -> Conn | None:
        """The connection an unasked-for child belongs to; a template's gets an instance of its own selectors."""
        conn = self.core.conns.unique.get(effect.policy.name)
        if conn is None or conn.kind is not Kind.TEMPLATE:
            return conn
        return self.brain.negotiator.instance_for(ike, conn, effect.mine, effect.theirs)

    def _child(self, ike: IkeState, conn: Conn, effect: ChildEstablished) -> ChildState:
        alias = _alias(conn, effect)
        ours = effect.mine if alias is None or conn.local is None else (conn.local,)
        pairs = ((mine, part) for mine in ours for theirs in effect.theirs for part in conn.parts or (theirs,))
        keys = tuple(dict.fromkeys(key for mine, part in pairs for key in flow_keys(mine, part)))
        return ChildState(
            serial=effect.token or self.core.states.serial(),
            ike=ike,
            conn=conn,
            spi_in=effect.spi_in,
            spi_out=effect.spi_out,
            said_in=said(effect.chosen.protocol, effect.spi_in, effect.local.address),
            said_out=said(effect.chosen.protocol, effect.spi_out, effect.remote.address),
            comp_in=compressor(effect.extras.cpi_in, effect.local.address),
            comp_out=compressor(effect.extras.cpi_out, effect.remote.address),
            transport=effect.extras.transport,
            original=effect.extras.original,
            alias=alias,
            chosen=effect.chosen,
            mine=effect.mine,
            theirs=effect.theirs,
            keys=keys,
            local=effect.local,
            remote=effect.remote,
            encap=effect.encap,
            initiator=effect.initiator,
            established=self.core.now,
            redundant=effect.redundant,
            yields=effect.yields,
            policy=effect.policy,
        )

    def _refuse(self, ike: IkeState, effect: ChildEstablished) -> None:
        """Nobody wants this child: it is not installed, and the peer is told."""
        self.brain.ikes.request(ike, DeleteChild(effect.spi_in))

    def _use(self, child: ChildState) -> None:
        """Let the eroute point at this child from now on; as long as its peer is awaited it holds."""
        conn = child.conn
        if conn.awaited != child.serial:
            conn.awaited = 0
        conn.owner, conn.tunnel_keys = child.serial, child.keys
        if not self.brain.router.happen(conn, RouteEvent.SA_UP, child.first_out, partial(self._routed, child)):
            self._receive(child)
            self.brain.ikes.release(child.ike)

    def _receive(self, child: ChildState) -> None:
        """Let packets in: the peer may send at once, and what is answered before there is a route would be lost. They
        wait (ExpectSpi) until there is one, but no longer than the packet engine keeps them."""
        commands, child.withheld = child.withheld, ()
        self.core.timers.cancel((Timer.ADMIT, child.serial))
        for command in commands:
            self.core.emit(KlipsCommand(command, child.serial))

    def _receive_in_time(self, child: ChildState) -> None:
        """Let packets of a pair in that has no commands of its own: after those of another, if they run."""
        router = self.brain.router
        router.after_opening(child.conn, partial(self._receive, child))
        if not child.initiator and router.is_opening(child.conn):
            self.brain.ikes.hold_back(child.ike)
            router.after_opening(child.conn, partial(self.brain.ikes.release, child.ike))

    def _routed(self, child: ChildState, ok: bool) -> None:
        conn = child.conn
        self._receive(child)
        self.brain.ikes.release(child.ike)
        if child.closing or child.serial not in self.core.states.children:
            return
        if ok:
            self._report(child)
            return
        self.core.say(conn, "could not route", Rc.ROUTE, child.serial, event="route-failed")
        self.close(child)
        self.brain.negotiator.failed(conn, 0, "could not route", told=True)

    def _report(self, child: ChildState) -> None:
        """Say once that a child is up, and let go of whoever waited for it."""
        if child.reported:
            return
        child.reported = True
        self.core.say(child.conn, established_line(child), Rc.SUCCESS, child.serial, event="child-established")
        self.brain.negotiator.succeeded(child.conn)

    def confirm(self, child: ChildState) -> None:
        """The peer uses the new SA, or has had time enough: traffic goes out on it."""
        self.core.timers.cancel((Timer.CONFIRM, child.serial))
        if child.waiting and not child.closing:
            child.waiting = False
            self._await_no_more(child)
            if self._outranks(child):
                self._use(child)
            else:
                self.brain.mobility.repoint(child.conn)

    def unconfirmed(self, spi_in: int) -> None:
        """The peer does not have a new SA yet: if it is not used yet, it is not for a while."""
        child = self.core.states.by_esp.get(spi_in)
        if child is not None and child.waiting and child.conn.owner not in (0, child.serial):
            self.core.after(Timer.CONFIRM, child.serial, SWITCH, partial(self._unheard, child))

    def _unheard(self, child: ChildState) -> None:
        """The peer has not been heard on a new SA in time: it is used all the same, unless the peer has spoken on the
        older IKE SA since."""
        older = self.core.states.children.get(child.conn.owner)
        beside = older is not None and older is not child and child.conn.awaited == child.serial
        if older is None or not beside or older.ike.machine.last_heard <= child.established:
            self.confirm(child)
            return
        self._await_no_more(child)
        self.brain.mobility.repoint(child.conn)

    @staticmethod
    def _await_no_more(child: ChildState) -> None:
        if child.conn.awaited == child.serial:
            child.conn.awaited = 0

    def offered(self, effect: SpiOffered) -> None:
        """The peer may use an SPI before we know the keys that go with it (RFC 7296 2.8): its packets wait for them."""
        where = said(effect.protocol, effect.spi_in, effect.local.address)
        self.core.klips(ExpectSpi(where, effect.withdrawn))

    def first_use(self, used: Said) -> None:
        """The packet engine saw the first good packet of an inbound SA."""
        child = self.core.states.by_esp.get(used.spi)
        if child is not None and child.said_in == used:
            self.confirm(child)

    # -- down ---------------------------------------------------------------------------------------------------------

    def gone(self, ike: IkeState, effect: ChildGone) -> None:
        """A machine says that a child has ended."""
        child = self.core.states.by_esp.get(effect.spi_in)
        if child is None:
            return
        if child.closing:
            self.core.states.remove_child(child)
            return
        successor = self.core.states.by_esp.get(effect.replaced_by) if effect.replaced_by else None
        if successor is not None:
            self.confirm(successor)
        self._remove(child, effect.reason)
        self.core.states.remove_child(child)

    def close(self, child: ChildState, reason: Gone = Gone.LOCAL) -> None:
        """Tear a child down here and now, and tell the peer; REPLACED: what is under way may still come."""
        if child.closing:
            return
        child.closing = True
        self._remove(child, reason)
        ike = child.ike
        if ike.closing or child.serial not in ike.children:
            return
        if any(not other.closing for other in ike.children.values()) or ike.attempts:
            self.brain.ikes.request(ike, DeleteChild(child.spi_in))
        else:
            self.brain.ikes.close(ike)

    def _remove(self, child: ChildState, reason: Gone) -> None:
        """Move the eroute away from a child, then take its SAs out."""
        core, conn = self.core, child.conn
        self._receive(child)
        self.brain.pathmtus.child_gone(child)
        self.brain.proofs.gone(child)
        expires = core.timers.when((Timer.EXPIRE_CHILD, child.serial))
        for timer in (Timer.REKEY_CHILD, Timer.EXPIRE_CHILD, Timer.GIVE_WAY, Timer.CONFIRM):
            core.timers.cancel((timer, child.serial))
        conn.children.discard(child.serial)
        self._await_no_more(child)
        self._yield_no_more(child)
        heir = self._youngest(conn)
        if conn.owner == child.serial:
            if heir is not None:
                heir.waiting = False
                self._await_no_more(heir)
                self._use(heir)
            else:
                self.brain.router.happen(conn, RouteEvent.SA_DOWN)
        elif child.waiting and heir is not None and heir.serial == conn.owner:
            self._use(heir)  # packets may wait for what now ends: the older SA is all there is
        for out in (child.comp_out, child.said_out):
            if out is not None:
                core.klips(DelSa(out))
        if reason in KEEP_INBOUND or (heir is not None and reason is not Gone.LOCAL):
            self.brain.lingering.start(child, expires)
        else:
            self.brain.lingering.close(child)
        if conn.newest_child == child.serial:
            conn.newest_child = heir.serial if heir is not None else 0
        if heir is None and conn.group is not None:
            if not conn.negotiating and conn.kind is Kind.INSTANCE:
                self.brain.negotiator.remove(conn)  # its line decides about the next packet
        elif heir is None and not child.redundant and reason not in KEEP_INBOUND:
            if reason in (Gone.LOCAL, Gone.PEER):
                self.brain.negotiator.aftermath(conn, reason, child.serial)
            else:
                child.ike.orphans.append(conn)

    def _yield_no_more(self, gone: ChildState) -> None:
        """The one that was to stay has ended: what was to go is as good as its age again, and better than leftovers."""
        for serial in gone.conn.children:
            other = self.core.states.children.get(serial)
            if other is not None and other.yields == gone.spi_in:
                other.yields = 0

    def _youngest(self, conn: Conn) -> ChildState | None:
        children = (self.core.states.children.get(serial) for serial in conn.children)
        usable = [child for child in children if child is not None and not child.closing]
        return max(usable, key=lambda child: child.rank, default=None)

    def refused(self, serial: int, reason: str) -> None:
        """The packet engine would not take an SA of this child."""
        child = self.core.states.children.get(serial)
        if child is None or child.closing:
            return
        self.core.say(child.conn, f"packet engine: {reason}", Rc.LOG_SERIOUS, serial, event="klips-refused")
        self.close(child)
        self.brain.negotiator.failed(child.conn, 0, reason, told=True)

    # -- moved --------------------------------------------------------------------------------------------------------

    def moved(self, ike: IkeState, local: Endpoint, remote: Endpoint) -> None:
        """An end has a new address or port: outer addresses follow, and perhaps UDP; keys and counters stay."""
        ports = ike.machine.encap()
        for child in list(ike.children.values()):
            self._receive(child)  # what is not there cannot move
            carried = ports if child.chosen.protocol == ProtocolId.ESP else None
            if child.closing or (child.local, child.remote, child.encap) == (local, remote, carried):
                continue
            self.brain.pathmtus.child_gone(child)
            child.local, child.remote, child.encap = local, remote, carried
            for one, src, dst in moved(child, local, remote):
                self.core.klips(MoveSa(one, src, dst))
            self.brain.pathmtus.child_up(child)

    def new_mapping(self, used: Said, remote: Endpoint) -> None:
        """An authenticated ESP packet came from somewhere new (RFC 7296 2.23): only a peer behind NAT may do that,
        or one that has opened another TCP connection (RFC 9329 6.1)."""
        child = self.core.states.by_esp.get(used.spi)
        if child is None or child.encap is None or child.encap.stream is not remote.stream:
            return
        if not (child.ike.machine.nat_there or remote.stream):
            return
        if child.remote == remote:
            return
        self.core.say(child.conn, f"new NAT mapping for #{child.serial}, was {child.remote}, now {remote}")
        child.ike.machine.mapped(remote)
        self.moved(child.ike, child.local, remote)


def _alias(conn: Conn, effect: ChildEstablished) -> tuple[Address, Address] | None:
    """Our own address and the one the peer knows us by, which it has given us because we are behind NAT."""
    if not (conn.translated and effect.policy.virtual) or conn.local is None:
        return None
    return conn.local.first, effect.mine[0].first


def established_line(child: ChildState) -> str:
    """`STATE_PARENT_I3: PARENT SA established tunnel mode {ESP=>0x... <0x... xfrm=... NATD=...}`.

    IPComp adds `IPCOMP=>0x... <0x...`, AH stands where ESP does.
    """
    stage, story = CHILD_STAGES[child.ike.version, child.initiator]
    story = story.rpartition(", ")[2] if child.ike.version == 2 else story
    over = "" if child.encap is None else "/TCP" if child.encap.stream else "/NAT"
    proto = f"{child.chosen.protocol}{over}"
    mode = "transport" if child.transport else "tunnel"
    comp = f" IPCOMP=>0x{child.comp_out.spi:04x} <0x{child.comp_in.spi:04x}" if child.comp_in and child.comp_out else ""
    natoa = child.original[0] if child.original else "none"
    natd = f"{child.remote.address}:{child.remote.port}" if child.encap else "none"
    dpd = "enabled" if child.conn.policy.dpd_delay else "none"
    return (
        f"{stage}: {story} {mode} mode {{{proto}=>0x{child.spi_out:08x} <0x{child.spi_in:08x} "
        f"xfrm={xfrm(child)}{comp} NATOA={natoa} NATD={natd} DPD={dpd}}}"
    )


def xfrm(child: ChildState) -> str:
    """`AES_GCM_16_256-NONE`, as the established line and status show a child's algorithms."""
    return str(child.chosen).upper()
