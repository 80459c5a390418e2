# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection at run time: what its policy says, which end we are, and what has become of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from openswan.base.address import Address, Subnet, any_subnet, host_subnet, less
from openswan.base.said import Shunt
from openswan.engine.routing import NEGOTIATION_SHUNTS, PROSPECTIVE_SHUNTS, Routing
from openswan.policy.connection import Auth, Connection, End, HostKind, ShuntPolicy, TcpUse
from openswan.policy.gateways import Gateway
from openswan.policy.grade import Grade
from openswan.policy.groups import stance_of
from openswan.policy.identity import Identity
from openswan.policy.modecfg import Assigned
from openswan.policy.selector import FlowKey, Selector, flow_keys

NOTHING_ASSIGNED = Assigned()


class Kind(Enum):
    """What sort of connection this is."""

    GROUP = "CK_GROUP"
    TEMPLATE = "CK_TEMPLATE"
    PERMANENT = "CK_PERMANENT"
    INSTANCE = "CK_INSTANCE"
    GOING_AWAY = "CK_GOING_AWAY"


@dataclass(frozen=True, slots=True)
class Oriented:
    """Which end is ours and where it is plugged in."""

    ours: End
    theirs: End
    left_is_ours: bool
    me: Address
    interface: str
    """Physical interface."""
    device: str
    """Virtual interface on top of it."""
    peer: Address | None
    """None: %any, or a name without an address so far."""
    nexthop: Address | None

    @property
    def asks_password(self) -> bool:
        """Do we ask the peer for a name and a password (XAUTH)?"""
        return self.ours.xauth_server or self.theirs.xauth_client

    @property
    def answers_password(self) -> bool:
        """Does the peer ask us?"""
        return self.ours.xauth_client or self.theirs.xauth_server


NO_LOGIN = ("", False)


@dataclass(eq=False, repr=False)
class Conn:
    """One connection or instance of a template, with everything that changes."""

    policy: Connection
    kind: Kind = Kind.PERMANENT
    oriented: Oriented | None = None
    instance: int = 0
    template: Conn | None = None
    peer_id: Identity | None = None
    """What the peer of an instance has proved to be."""
    local: Selector | None = None
    remote: Selector | None = None
    keys: tuple[FlowKey, ...] = ()
    """Eroute keys, seen outbound; empty while the connection is not oriented or its client unknown."""
    routing: Routing = Routing.UNROUTED
    owner: int = 0
    """Serial of the child SA that owns the eroute."""
    shunt: Shunt | None = None
    """What the eroute does when no SA owns it; None when there is no eroute."""
    on_demand: bool = False
    """Routed by --route or auto=route: traffic starts the tunnel."""
    wanted: bool = False
    """Started by --up or auto=start: kept up."""
    guarded: bool = False
    newest_ike: int = 0
    newest_child: int = 0
    children: set[int] = field(default_factory=set)
    """Serials of the live child SAs."""
    ikes: set[int] = field(default_factory=set)
    """Serials of the IKE SAs that follow this connection's policy."""
    tunnel_keys: tuple[FlowKey, ...] = ()
    """Eroute keys of the child that owns the eroute; narrower than `keys` when the peer wanted less."""
    assigned: Assigned = NOTHING_ASSIGNED
    """What the peer has given us, or gave last (leftsourceip=%config)."""
    parts: tuple[Selector, ...] = ()
    """Of the peer's side, the networks that its split tunnel is for (remote_peer_type=cisco); empty: all of it."""
    login: tuple[str, bool] = NO_LOGIN
    """The peer's user name by XAUTH, and whether its password was wrong and it was let in all the same."""
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """The name and the password we answer XAUTH with that the operator has given; they go when they turn out wrong."""
    opened: tuple[FlowKey, ...] = ()
    """What the last `up` was told that the tunnel covers; `down` is told the same."""
    other_resolver: bool = False
    """This host asks the peer's DNS servers (updateresolvconf)."""
    in_udp: bool = False
    """ESP did not pass as protocol 50: UDP is asked for from now on."""
    redirected: Address | None = None
    """The gateway we have been sent to (RFC 5685),"""
    redirected_from: Address | None = None
    """and the one that has sent us there."""
    in_tcp: bool = False
    """Nobody answered in UDP, or ESP did not pass in it: TCP is used from now on (enable-tcp=fallback)."""
    restarting: bool = False
    """The peer was lost and dpdaction= wants the connection back, or our address changed under way: tries go on."""
    away: Address | None = None
    """Where the peer has moved to while SAs live (RFC 4555)."""
    stranded: bool = False
    """Our address is gone while SAs live: traffic is held."""
    awaited: int = 0
    """Serial of a child on a newer IKE SA than the owner's, until the peer has been heard there: traffic is held."""
    beside: int = 0
    """The negotiation begun beside SAs whose peer fell silent, by its token; 0: none."""
    held_keys: tuple[FlowKey, ...] = ()
    """Eroute keys that point at a child now."""
    attempt: int = 0
    """Keying attempts that failed in a row."""
    clients: list[int] = field(default_factory=list)
    """whack clients waiting for this connection to come up."""
    negotiating: int = 0
    """Serial of the IKE SA or child on which a negotiation for this connection runs; 0: none."""
    signature: Hashable = None
    """What it must share with another connection to use one IKE SA with it; ConnDb keeps it right."""
    instances: dict[int, Conn] = field(default_factory=dict)
    """Of a template."""
    counter: int = 0
    """Instances made so far."""
    trigger: tuple[Selector, Selector] | None = None
    """Of the packet that wants it up: source and destination, until it is up."""
    gateway: Gateway | None = None
    """Of an opportunistic instance that we begin: whom the DNS has named."""
    grade: Grade | None = None
    """What the peer of its newest tunnel has proved; None: it has had none."""
    group: Conn | None = None
    """The conn of the policy group this is a line of."""
    once: bool = False
    """Somebody's packet has begun it who may not be there: its first message is not repeated."""
    holes: tuple[Subnet, ...] = ()
    """Nets inside the peer's client that more specific lines of groups let go in clear: not guarded."""

    def __repr__(self) -> str:
        return f"<connection {self.unique} {self.routing.story}>"

    @property
    def held(self) -> bool:
        """Do packets wait although a child owns the eroute?"""
        return self.stranded or bool(self.awaited)

    @property
    def behind(self) -> bool:
        """Is this a line about hosts behind this one?"""
        return self.group is not None and self.oriented is not None and self.oriented.ours.subnet is not None

    @property
    def name(self) -> str:
        """The name in ipsec.conf; instances share it."""
        return self.policy.name

    @property
    def unique(self) -> str:
        """A name no other connection or instance has: `x` or `x[3]`."""
        return f"{self.name}[{self.instance}]" if self.instance else self.name

    @property
    def label(self) -> str:
        """As log lines and listings say it: `"x"` or `"x"[3] 203.0.113.9`."""
        if not self.instance:
            return f'"{self.name}"'
        return f'"{self.name}"[{self.instance}] {self.peer}'

    def prefix(self, serial: int = 0) -> str:
        """What stands in front of a log line: `"x" #12: `."""
        return f"{self.label} #{serial}: " if serial else f"{self.label}: "

    @property
    def me(self) -> Address | None:
        """Our outer address."""
        return self.oriented.me if self.oriented else None

    @property
    def peer(self) -> Address | None:
        """The peer's outer address, if known."""
        return self.oriented.peer if self.oriented else None

    @property
    def device(self) -> str:
        """The virtual interface this connection's packets take."""
        return self.oriented.device if self.oriented else "ipsec0"

    @property
    def never(self) -> bool:
        """Is this a shunt (type=passthrough, drop or reject): nothing to negotiate?"""
        if self.policy.auth & Auth.NEVER:
            return True
        # clear-or-private lets traffic pass, and answers a peer that asks for encryption.
        return self.policy.prospective in NO_NEGOTIATION and (self.group is None or not stance_of(self.policy).responds)

    @property
    def host_to_host(self) -> bool:
        """Is our client just our own address? Selects -host or -client updown verbs."""
        return self.local is not None and self.local.first == self.local.last == self.me

    def prospective_shunt(self) -> Shunt:
        """The eroute without an SA: the policy's shunt, %trap if traffic may start the tunnel, else %drop."""
        shunt = PROSPECTIVE_SHUNTS[self.policy.prospective]
        return Shunt.DROP if shunt is Shunt.TRAP and not (self.on_demand or self.wanted) else shunt

    def hold_shunt(self) -> Shunt:
        """The eroute while IKE runs."""
        return NEGOTIATION_SHUNTS[self.policy.negotiation_shunt]

    def failure_shunt(self) -> Shunt | None:
        """The eroute after IKE has failed; None: failureshunt=none, the trap is set again."""
        if self.policy.failure_shunt in (ShuntPolicy.NONE, ShuntPolicy.TRAP):
            return None
        return PROSPECTIVE_SHUNTS[self.policy.failure_shunt]

    @property
    def encapsulation(self) -> str:
        """encapsulation=, and what has been learned since."""
        return "yes" if self.in_udp else self.policy.encapsulation

    @property
    def in_stream(self) -> bool:
        """Do IKE SAs that begin here begin in TCP?"""
        return self.policy.tcp is TcpUse.YES or self.in_tcp

    @property
    def may_rekey(self) -> bool:
        """rekey=yes."""
        return self.policy.rekey

    def orient(self, oriented: Oriented | None) -> None:
        """Take note of which end we are; clients default to the hosts themselves."""
        self.oriented = oriented
        self.local = self.remote = None
        self.keys = ()
        if oriented is None or self.kind is Kind.GROUP:
            return
        self.local = self._assigned_client() or client(oriented.ours, oriented.me)
        # Whoever gets an address of a pool is that address, which is not known yet.
        given = oriented.theirs.pools and self.group is None
        self.remote = client(oriented.theirs, oriented.peer) if not given else None
        if self.local is not None and self.remote is not None:
            self.narrow(self.local, self.remote)

    @property
    def virtual(self) -> bool:
        """Does the peer assign the address we are behind this connection?"""
        return self.oriented is not None and bool(self.oriented.ours.ask_addresses)

    @property
    def asks_behind_nat(self) -> bool:
        """Behind NAT, does its IKE SA ask for an address (IKEv2)? It may carry pairs of hosts behind us beside ours."""
        grouped = self.group is not None and self.policy.ike_version == 2
        return grouped and self.oriented is not None and self.oriented.ours.cat

    @property
    def translated(self) -> bool:
        """Behind NAT, are we known by an address that the peer assigns? This connection is still about ours."""
        return self.asks_behind_nat and not self.behind

    @property
    def inner_version(self) -> int:
        """Address family of what the connection protects; 0: not known."""
        known = self.remote or self.local
        return known.first.version if known is not None else 0

    def _assigned_client(self) -> Selector | None:
        if not self.virtual or self.oriented is None:
            return None
        theirs = client(self.oriented.theirs, self.oriented.peer)
        if theirs is None:
            return None
        address = self.assigned.address(theirs.first.version)
        if address is not None:
            return Selector.host(address)
        # Until one is assigned it is the host itself, or of the other family anything.
        same = self.oriented.me.version == theirs.first.version
        return None if same else Selector.of(any_subnet(theirs.first.version))

    @property
    def sources(self) -> tuple[Address, ...]:
        """Our own addresses toward the peer's client: assigned ones, or those of leftsourceip=."""
        if self.oriented is None:
            return ()
        if self.behind and not self.virtual and not self.oriented.ours.source_ips:
            return (self.oriented.me,)  # what we send ourselves is not what the group is about
        return self.assigned.addresses if self.virtual else self.oriented.ours.source_ips

    @property
    def guarded_keys(self) -> tuple[FlowKey, ...]:
        """What may leave through the tunnel only; with an assigned address also what comes from our outer one."""
        if not self.virtual or self.oriented is None or self.remote is None:
            return tuple(each for key in self.keys for each in _outside(key, self.holes))
        outer = Selector.host(self.oriented.me)
        theirs = (self.parts or (self.remote,)) if self._same_family() else ()
        return tuple(dict.fromkeys((*self.keys, *(key for part in theirs for key in flow_keys(outer, part)))))

    def _same_family(self) -> bool:
        return self.oriented is not None and self.oriented.me.version == self.inner_version

    def narrow(self, local: Selector, remote: Selector) -> None:
        """Make these the selectors (an instance whose peer has said what it wants)."""
        self.local, self.remote = local, remote
        self.parts = self.split(self.assigned, remote)
        self.keys = tuple(key for part in self.parts or (remote,) for key in flow_keys(local, part))

    def split(self, given: Assigned, remote: Selector) -> tuple[Selector, ...]:
        """The parts of the peer's side that it says are behind it, when it is one to be believed; empty: all of it."""
        if not self.policy.cisco or not self.virtual:
            return ()
        return tuple(part for part in map(Selector.of, given.routes) if remote.contains(part))


def _outside(key: FlowKey, holes: tuple[Subnet, ...]) -> list[FlowKey]:
    """A flow without the nets that are left open in its destination."""
    pieces = [key.dst]
    for hole in holes:
        pieces = [piece for whole in pieces for piece in less(whole, hole)]
    return [replace(key, dst=piece) for piece in pieces]


NO_NEGOTIATION = (ShuntPolicy.PASS, ShuntPolicy.DROP, ShuntPolicy.REJECT)


def client(end: End, host: Address | None) -> Selector | None:
    """The selector of an end: its subnet, or the host itself; None while the host is not known."""
    net: Subnet | None = end.subnet
    if net is None and host is not None:
        net = host_subnet(host)
    return Selector.of(net, end.protocol, end.port) if net is not None else None


def kind_of(policy: Connection) -> Kind:
    """Template when one side is %any, group when it is a policy group, permanent otherwise."""
    kinds = {policy.left.host.kind, policy.right.host.kind}
    if HostKind.OPPORTUNISTIC in kinds and policy.auth & Auth.NEVER:
        return Kind.PERMANENT
    if kinds & {HostKind.GROUP, HostKind.OPPORTUNISTIC_GROUP}:
        return Kind.GROUP
    return Kind.TEMPLATE if kinds & {HostKind.ANY, HostKind.OPPORTUNISTIC} else Kind.PERMANENT


def joined(names: Iterable[str]) -> str:
    """Names for a log line, quoted and separated by commas."""
    return ", ".join(f'"{name}"' for name in names)
