# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs of hosts that groups' lines have met: what happens to them is told to the machine of opportunistic encryption.

    first packet -> the line's %trap -> Acquire -> machine -> %hold for the pair, IKE with the peer
                                                     tunnel -> the pair's connection, an instance of its line
                                                    failure -> the pair's %pass, %drop or %reject
                                                  forgotten -> the line's %trap again

A pair's eroute is as narrow as can be, so it stands before the line's. What the packet engine keeps under it goes where
the eroute leads next, in order. Tunnels belong to ordinary instances, with a guard of their own. What the machine wants
is carried out by openswan.engine.pairdeeds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from openswan.base.address import Address, Subnet
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.base.said import Shunt
from openswan.engine import oeevents as oe
from openswan.engine.conn import Conn, Kind
from openswan.engine.demux import Bucket
from openswan.engine.effects import CountUse, Decision
from openswan.engine.events import FlowsUsed, GatewaysLearned
from openswan.engine.oeevents import OeEvent, Pair
from openswan.engine.oejudge import LATCHED, by_gateway, shorter
from openswan.engine.oeterms import terms_of
from openswan.engine.opportunistic import Opportunistic
from openswan.engine.pairdeeds import PairDeeds, flow_of, same_gateway
from openswan.engine.statedb import ChildState, IkeState
from openswan.engine.timers import Timer
from openswan.ike.v2.tasks.cert import carries_name
from openswan.plane.events import Acquire
from openswan.policy.connection import Connection, ShuntPolicy
from openswan.policy.exempt import exempt
from openswan.policy.flowtable import Flow
from openswan.policy.gateways import Gateway, with_key
from openswan.policy.grade import Grade
from openswan.policy.groups import Stance
from openswan.policy.identity import address_identity
from openswan.policy.selector import Selector

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

LOOK_AT_USE = 60.0
"""Seconds between two looks at which pairs still carry packets."""
BUSY = 150.0
"""Seconds since a tunnel was last seen to carry packets for which it is rekeyed: two looks, and what they take."""
LINES = (100.0, 2000.0)
"""Lines of the log a second, and at once, about first packets."""
MOST_TERMS = 1024
"""Lines whose terms are known without working them out: names in groups' files come and go for ever."""
SLICE = 200
"""Pairs that are looked at between two events when lines have changed: some 20 ms where each is forgotten."""


def grade_of(ike: IkeState, conn: Conn) -> Grade:
    """What the peer of an IKE SA has proved; a shared secret or a key that any peer may have is the group's."""
    machine = ike.machine
    if machine.anonymous:
        return Grade.NULL
    # Whom we have called has shown the key that the DNS had for the first pair.
    called = conn.gateway or (ike.conn.gateway if ike.conn is not None else None)
    shown = called is not None and machine.peer_key
    published = machine.peer_grade or (called.grade if called is not None and shown else None)
    if published is not None:
        return published
    if not machine.peer_chain:
        return Grade.GROUP
    # An authority that vouches for the address binds the key to it; another name is any member's.
    address = address_identity(machine.remote.address)
    return Grade.CERT if carries_name(machine.peer_chain[0], address) else Grade.GROUP


class Pairs:
    """The machine, and what it is told by the rest of pluto."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.machine = Opportunistic()
        self.conns: dict[Pair, Conn] = {}
        """The instances of pairs that have a tunnel or are being called."""
        self.shunts: dict[Pair, str] = {}
        """Pairs whose eroute is ours, and the line it was set for."""
        self.aside: set[Pair] = set()
        """Pairs that the host stops before routing: they have no eroute unless the packet engine has met them."""
        self.overflows = 0
        """First packets there was no room for."""
        self._lines = Bucket(*LINES)
        self._known_terms: dict[str, tuple[Connection, oe.Terms]] = {}
        """By the name of a line, oldest first: what its policy comes to."""
        self._events: deque[OeEvent] = deque()
        self._busy = False
        self._suspects: deque[Pair] = deque()
        """Pairs whose lines have changed, still to be looked at."""
        self.on_change: Callable[[], None] = lambda: None
        """Hears that something has become of pairs."""
        self.deeds = PairDeeds(brain, self)

    # -- what is told -------------------------------------------------------------------------------------------------

    def packet(self, line: Conn, event: Acquire) -> None:
        """A packet has met a line's trap; the packet engine keeps it, and what follows it, under the pair's key."""
        flow = event.flow
        pair = Pair(flow.src.network_address, flow.dst.network_address)
        self.aside.discard(pair)
        self.deeds.decided(pair)
        self.met(line, pair)

    def stopped(self, line: Conn, pair: Pair) -> None:
        """The host has stopped a packet that nothing was decided about, before the packet engine could meet it."""
        if pair not in self.machine.pairs and pair not in self.shunts:
            self.aside.add(pair)
        self.met(line, pair)

    def met(self, line: Conn, pair: Pair) -> None:
        """A packet of a pair that nothing was decided about, where it was met."""
        state = self.machine.pairs.get(pair)
        if state is None and self._lines.take(self.core.now):
            self.core.say(line, f"first packet of {pair}", Rc.LOG, event="first-packet")
        self.run(oe.Packet(pair, self._terms(line, pair)))
        if state is not None and self.machine.pairs.get(pair) is state:
            # It has been forgotten there: in time, or with the table.
            self.brain.interception.decide(pair, Decision.TUNNEL if state.shunt is None else state.shunt)

    def _terms_of(self, line: Conn) -> oe.Terms:
        return terms_of(line.policy, self.core.settings.shunt_lifetime)

    def _terms(self, line: Conn, pair: Pair) -> oe.Terms:
        policy, terms = self._known_terms.get(line.name, (None, None))
        if policy is not line.policy or terms is None:
            terms = self._terms_of(line)
            if self._known_terms.pop(line.name, None) is None and len(self._known_terms) >= MOST_TERMS:
                del self._known_terms[next(iter(self._known_terms))]
            self._known_terms[line.name] = line.policy, terms
        if exempt(Flow(pair.src, pair.dst), self.core.plugs.place):
            terms = replace(terms, stance=Stance.CLEAR)
        return terms

    def refuses(self, child: ChildState) -> bool:
        """Has the peer of a tunnel proved too little? Then it is not installed, so nothing is ever sent into it."""
        conn = child.conn
        pair = self.pair_of(conn)
        if pair is None or conn.template is None:
            return False
        return bool(self._objection(pair, conn.template, child.ike, conn))

    def objection(self, conn: Conn, src: Address, dst: Address) -> str:
        """Why the peer whose IKE SA asks may not have a tunnel of a line, or of its instance; empty: it may."""
        asking = self.core.asking
        if asking is None:
            return ""
        return self._objection(Pair(src, dst), conn.template or conn, asking, conn)

    def _objection(self, pair: Pair, line: Conn, ike: IkeState, conn: Conn) -> str:
        shown, far = ike.machine.peer_key, ike.machine.remote.address
        why = self.machine.objection(pair, self._terms_of(line), grade_of(ike, conn), shown, far)
        if why is LATCHED and pair in self.conns:
            self.brain.liveness.doubt(self.conns[pair])  # a host that was set up anew has a new key
        return why

    def spares(self, older: IkeState, newer: IkeState) -> bool:
        """Do pairs' tunnels hold an older IKE SA to another key than one has shown that says it is the only one?"""
        conns = [child.conn for child in older.children.values() if child.conn.group is not None]
        if not conns or not older.machine.peer_key or newer.machine.peer_key == older.machine.peer_key:
            return False
        spared = any(not grade_of(newer, conn).beats(grade_of(older, conn)) for conn in conns)
        if spared:
            self.brain.liveness.doubt(conns[0])
        return spared

    def up(self, child: ChildState) -> None:
        """A tunnel of a pair carries traffic, or has been refused."""
        conn = child.conn
        pair = self.pair_of(conn)
        if pair is None or conn.template is None:
            return
        self.deeds.is_upgrade(pair, conn)
        self.conns[pair] = conn
        terms, grade = self._terms_of(conn.template), grade_of(child.ike, conn)
        key = child.ike.machine.peer_key
        self.run(oe.Up(pair, terms, conn.instance, grade, child.remote.address, child.initiator, key))
        if child.alias is not None and (peer := self.machine.peers.get(pair.dst)) is not None:
            peer.alias = child.alias[1]

    def wishes(self, conn: Conn) -> tuple[Address, ...]:
        """What we would like to be called behind NAT by whom a call goes to: what it called us last."""
        pair = self.pair_of(conn)
        peer = self.machine.peers.get(pair.dst) if pair is not None else None
        return (peer.alias,) if peer is not None and peer.alias is not None else ()

    def answered(self, conn: Conn) -> None:
        """Whoever a call goes to has answered: what is held may wait until IKE has had its time."""
        pair = self.pair_of(conn)
        if pair is not None and self.conns.get(pair) is conn:
            self.run(oe.Answered(pair))

    def hinted(self, conn: Conn, text: str) -> None:
        """Somebody says without proof that a call comes to nothing: that is shown, and ends nothing."""
        pair = self.pair_of(conn)
        if pair is not None and self.conns.get(pair) is conn:
            self.run(oe.Hinted(pair, text))

    def parting(self, conn: Conn, until: Instant) -> None:
        """The peer of a call has let us in, has been refused, and is told so until then."""
        pair = self.pair_of(conn)
        if pair is not None and self.conns.get(pair) is conn:
            self.run(oe.Parting(pair, until))

    def failed(self, conn: Conn, reason: str) -> None:
        """A call has come to nothing."""
        pair = self.pair_of(conn)
        if pair is not None and self.deeds.is_upgrade(pair, conn):
            self.run(oe.Failed(pair, shorter(reason)))
        elif pair is not None and self.conns.get(pair) is conn:
            if not conn.children:
                del self.conns[pair]
            self.run(oe.Failed(pair, shorter(reason)))
            if not conn.children:
                self.run(oe.Down(pair, conn.instance, shorter(reason)))
                self.deeds.catch_up(pair)

    def gone(self, conn: Conn) -> None:
        """The instance of a pair is no more."""
        pair = self.pair_of(conn)
        if pair is not None and self.deeds.is_upgrade(pair, conn):
            self.run(oe.Failed(pair, "called off"))
        if pair is None or self.conns.get(pair) is not conn:
            return
        del self.conns[pair]
        state = self.machine.pairs.get(pair)
        if state is not None and state.calling is not None:
            self.run(oe.Failed(pair, "called off"))
        self.run(oe.Down(pair, conn.instance))
        self.deeds.fall_back(pair)

    def used(self, event: FlowsUsed) -> None:
        """These flows have carried packets of late."""
        pairs = (Pair(key.src.network_address, key.dst.network_address) for key in event.flows)
        self.run(oe.Used(tuple(pair for pair in pairs if pair in self.machine.pairs)))

    def learned(self, event: GatewaysLearned) -> None:
        """The DNS has answered, or has not."""
        for complaint in event.complaints:
            self.core.log(complaint, event="dns-record")
        self.run(event.learned)
        self.brain.triggers.learned(event.learned)

    def forget(self, conn: Conn) -> None:
        """Another line has the flow of a pair's connection."""
        pair = self.pair_of(conn)
        if pair is not None:
            self.run(oe.Remove(pair))
        if conn.kind is Kind.INSTANCE:
            self.brain.negotiator.remove(conn)

    def recheck(self, nets: Iterable[Subnet]) -> None:
        """Lines about these nets have changed: pairs that another one decides about now, or none, are forgotten.

        Those that go in clear first; what is more than a slice waits for its turn between other events.
        """
        found = {pair for net in nets for pair in self.machine.index.within(net)}
        known = self.machine.pairs
        self._suspects.extendleft(pair for pair in found if known[pair].shunt is not Shunt.PASS)
        self._suspects.extendleft(pair for pair in found if known[pair].shunt is Shunt.PASS)
        self._look_at_suspects()

    def plugged(self, first: bool) -> None:
        """This host has an address that it had not before: what failed without it is tried anew."""
        self._suspects.extendleft(self.machine.plugged(self.core.now, first))
        self._look_at_suspects()

    def linked(self) -> None:
        """Other nets are on our links now: what is there is not reached by its gateways any more."""
        onlink = self.core.plugs.onlink
        for peers in (self.machine.peers, self.machine.peers_of_others):
            for address, peer in peers.known.items():
                if peer.gateways:
                    peer.gateways = onlink.itself(address, peer.gateways)
        self.recheck(onlink.links.direct)

    def _look_at_suspects(self) -> None:
        for _ in range(min(SLICE, len(self._suspects))):
            pair = self._suspects.popleft()
            state = self.machine.pairs.get(pair)
            if state is None:
                continue
            line = self.brain.groups.decides(pair.src, pair.dst)
            again = 0 < state.retry_at <= self.core.now and state.shunt is not Shunt.PASS
            if again or line is None or line.name != state.terms.owner or self._changed(line, state.terms):
                self.run(oe.Remove(pair))
            elif by_gateway(state) and pair.dst in self.core.plugs.onlink:
                self.drop(pair)
        if self._suspects:
            self.core.after(Timer.OE_RECHECK, "", 0.0, self._look_at_suspects)

    def begin(self, pair: Pair, line: Conn) -> None:
        """Try a pair now as if a packet had come, whatever was decided about it before."""
        self.drop(pair)
        self.run(oe.Packet(pair, self._terms(line, pair)))

    def drop(self, pair: Pair) -> bool:
        """Forget a pair and that its peer was deaf; was anything known?"""
        for peers in (self.machine.peers, self.machine.peers_of_others):
            if (peer := peers.known.get(pair.dst)) is not None:
                peer.deaf_until = 0.0
        known, conn = pair in self.machine.pairs, self.conns.get(pair)
        self.run(oe.Remove(pair))
        if conn is not None and conn.kind is Kind.INSTANCE:
            self.brain.negotiator.remove(conn)
        return known or conn is not None

    def drop_of(self, line: Conn) -> None:
        """Forget all pairs of a line."""
        for net in {key.dst for key in line.keys}:
            for pair in list(self.machine.index.within(net)):
                if self.machine.pairs[pair].terms.owner == line.name:
                    self.drop(pair)

    def busy(self, conn: Conn) -> bool:
        """Has the tunnel of a pair carried packets lately?"""
        pair = self.pair_of(conn)
        state = self.machine.pairs.get(pair) if pair is not None else None
        return state is not None and state.last_used + BUSY > self.core.now

    def _changed(self, line: Conn, terms: oe.Terms) -> bool:
        now = self._terms_of(line)
        return replace(terms, stance=now.stance) != now

    # -- instances ----------------------------------------------------------------------------------------------------

    def instance(self, line: Conn, pair: Pair, gateway: Gateway | None = None, caller: Address | None = None) -> Conn:
        """The connection of a pair: one, whoever begins; `gateway` is whom the DNS has named to be called, `caller` who
        has called us for a host behind it."""
        known = self.conns.get(pair)
        other = caller is not None and known is not None and known.peer != caller
        if known is not None and known.kind is Kind.INSTANCE and known.template is line and not other:
            # What a packet from there has begun is given up for what is wanted here: it asks only once.
            same = gateway is None or known.children or same_gateway(gateway, known.gateway)
            if same and not (known.once and not known.children):
                return known
            self.deeds.hang(pair)
        conn = self.conns[pair] = self.another(line, pair, gateway, caller)
        return conn

    def another(self, line: Conn, pair: Pair, gateway: Gateway | None, caller: Address | None = None) -> Conn:
        """A new connection for a pair, which nobody knows yet."""
        # A line may let go in clear what a peer may still encrypt; its tunnel is a tunnel.
        policy = line.policy
        if policy.prospective is not ShuntPolicy.TRAP:
            policy = replace(policy, prospective=ShuntPolicy.TRAP)
        if gateway is None:
            conn = self.brain.negotiator.new_instance(line, caller or pair.dst, None, policy)
        else:
            conn = self.brain.negotiator.new_instance(line, gateway.address, None, with_key(policy, gateway))
            conn.gateway = gateway
        conn.on_demand = True
        self.brain.negotiator.narrow(conn, Selector.host(pair.src), Selector.host(pair.dst))
        return conn

    @staticmethod
    def pair_of(conn: Conn) -> Pair | None:
        """Which pair a connection is about; None: it is no pair's."""
        if conn.group is None or conn.template is None or conn.local is None or conn.remote is None:
            return None
        return Pair(conn.local.first, conn.remote.first)

    # -- what is wanted -----------------------------------------------------------------------------------------------

    def run(self, event: OeEvent) -> None:
        """Let the machine handle an event; what its effects cause comes after them."""
        self._events.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._events:
                event = self._events.popleft()
                self.brain.debugging.of_pairs(event)
                for effect in self.machine.handle(event, self.core.now):
                    self.brain.debugging.of_pairs(effect)
                    self.deeds(effect)
        finally:
            self._busy = False
        self._set_timers()
        self.brain.memory.soon()
        self.on_change()

    def _set_timers(self) -> None:
        due = self.machine.next_timer()
        if due is None:
            self.core.timers.cancel((Timer.OE_DUE, ""))
        else:
            self.core.timers.set((Timer.OE_DUE, ""), due, lambda: self.run(oe.Due(self.core.heard_by)))
        if self.machine.pairs and self.core.timers.when((Timer.OE_USE, "")) is None:
            self.core.after(Timer.OE_USE, "", LOOK_AT_USE, self._look_at_use)

    def _look_at_use(self) -> None:
        if self.machine.pairs:
            children = ((pair, self.core.states.children.get(conn.newest_child)) for pair, conn in self.conns.items())
            tunnels = tuple((flow_of(pair), child.said_in) for pair, child in children if child is not None)
            self.core.emit(CountUse(LOOK_AT_USE, tunnels))
            self.core.after(Timer.OE_USE, "", LOOK_AT_USE, self._look_at_use)
