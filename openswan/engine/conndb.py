# SPDX-License-Identifier: GPL-2.0-or-later
"""The connections pluto knows: by name and alias, by host pair, by the flow they protect; every look-up is one hash."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from openswan.base.address import Address
from openswan.base.hashed import Hashed
from openswan.engine.conn import Conn, Kind, Oriented
from openswan.engine.identities import identity_of
from openswan.engine.policies import exact_claim, signature
from openswan.policy.identity import NOBODY, Identity
from openswan.policy.selector import FlowKey

HostPair = tuple[Address, Address | None]


@dataclass(eq=False)
class Answering:
    """The negotiable connections of one host pair, grouped by what decides about their IKE SA."""

    groups: dict[Hashable, dict[str, Conn]] = field(default_factory=dict)
    """By signature: these can share an IKE SA."""
    ways: dict[Hashable, dict[str, Conn]] = field(default_factory=dict)
    """By what matters before anybody has said who he is: proposals and encapsulation."""
    asked: dict[Hashable, dict[str, Conn]] = field(default_factory=dict)
    """The groups without what is for one pair of hosts of a policy group alone, of which there may be thousands."""
    known: dict[Hashable, dict[Hashable, dict[str, Conn]]] = field(default_factory=dict)
    """Groups by the one identity their peer must have."""
    open: dict[Hashable, dict[str, Conn]] = field(default_factory=dict)
    """Groups whose peer may have one of several identities."""

    def add(self, conn: Conn) -> None:
        """Enter a connection; its signature must be right."""
        group = self.groups.setdefault(conn.signature, {})
        group[conn.unique] = conn
        if not of_pair(conn):
            self.asked.setdefault(conn.signature, {})[conn.unique] = conn
        self.ways.setdefault(way(conn), {})[conn.unique] = conn
        claim = exact_claim(wanted_peer(conn))
        index = self.open if claim is None else self.known.setdefault(claim, {})
        index[conn.signature] = group

    def remove(self, conn: Conn) -> None:
        """Take it out again."""
        drop(self.ways, way(conn), conn.unique)
        drop(self.asked, conn.signature, conn.unique)
        group = self.groups.get(conn.signature, {})
        group.pop(conn.unique, None)
        if group:
            return
        self.groups.pop(conn.signature, None)
        self.open.pop(conn.signature, None)
        claim = exact_claim(wanted_peer(conn))
        if claim in self.known:
            self.known[claim].pop(conn.signature, None)
            if not self.known[claim]:
                del self.known[claim]

    def claimed(self, identity: Identity) -> Iterator[Conn]:
        """One connection of every group that a peer of this identity may belong to; nobody may belong to any."""
        claim = exact_claim(identity)
        if identity == NOBODY:
            yield from (next(iter(group.values())) for group in self.groups.values())
            return
        for index in (self.known.get(claim, {}) if claim is not None else {}, self.open):
            for group in index.values():
                yield next(iter(group.values()))


def of_pair(conn: Conn) -> bool:
    """Is it an instance for two hosts of a policy group?"""
    return conn.group is not None and conn.template is not None


def way(conn: Conn) -> Hashable:
    """What a first message must fit."""
    policy = conn.policy
    # IKEv1 agrees on how both ends prove themselves with the first message.
    methods: tuple[object, ...] = ()
    if policy.ike_version == 1 and conn.oriented is not None:
        ends = (conn.oriented.ours, conn.oriented.theirs)
        proofs = ((policy.proof(end), end.xauth_server, end.xauth_client) for end in ends)
        methods = (policy.aggressive, *proofs)
    return Hashed(policy.ike_version, policy.ike_proposals, conn.encapsulation, methods)


def wanted_peer(conn: Conn) -> Identity | None:
    """Who the peer of a connection must be; None: it is open."""
    if conn.peer_id is not None or conn.oriented is None:
        return conn.peer_id
    return identity_of(conn.oriented.theirs, conn.oriented.peer)


class ConnDb:
    """All connections and instances; the indices follow `index` and `unindex`."""

    def __init__(self) -> None:
        self.named: dict[str, Conn] = {}
        self.aliases: dict[str, dict[str, Conn]] = {}
        self.pairs: dict[HostPair, Answering] = {}
        """Negotiable connections by host pair."""
        self.shunts: dict[HostPair, dict[str, Conn]] = {}
        """Those of two hosts between which nothing is negotiated."""
        self.flows: dict[FlowKey, dict[str, Conn]] = {}
        """Connections by eroute key; several only with overlapip or unrouted alternatives."""
        self.unique: dict[str, Conn] = {}
        """Every connection and instance by its unique name, which is what eroutes and SAs carry as owner."""
        self.hosts: dict[str, dict[str, Conn]] = {}
        """Connections by the host names they depend on."""
        self.changes = 0
        """Grows whenever an ordinary connection or instance comes, goes, or has other flows."""

    def add(self, conn: Conn) -> None:
        """Enter a connection under its name and aliases; KeyError when the name is taken."""
        if conn.name in self.named:
            raise KeyError(conn.name)
        self.named[conn.name] = conn
        for alias in conn.policy.aliases:
            self.aliases.setdefault(alias, {})[conn.name] = conn
        for end in (conn.policy.left, conn.policy.right):
            if end.host.name and end.host.kind.name == "NAME":
                self.hosts.setdefault(end.host.name, {})[conn.name] = conn
        self.index(conn)

    def remove(self, conn: Conn) -> None:
        """Forget a connection; its instances must be gone."""
        self.unindex(conn)
        if conn.instance:
            return
        self.named.pop(conn.name, None)
        for alias in conn.policy.aliases:
            drop(self.aliases, alias, conn.name)
        for end in (conn.policy.left, conn.policy.right):
            drop(self.hosts, end.host.name, conn.name)

    def index(self, conn: Conn) -> None:
        """Make a connection findable by host pair and flow; call after its orientation or selectors changed."""
        self.unique[conn.unique] = conn
        self.changes += conn.group is None
        if conn.oriented is None:
            return
        if not conn.never and conn.kind is not Kind.GROUP:
            conn.signature = signature(conn)
            pair = (conn.oriented.me, conn.oriented.peer)
            self.pairs.setdefault(pair, Answering()).add(conn)
        elif conn.never and conn.group is None:
            self.shunts.setdefault((conn.oriented.me, conn.oriented.peer), {})[conn.unique] = conn
        for key in conn.keys:
            self.flows.setdefault(key, {})[conn.unique] = conn

    def unindex(self, conn: Conn) -> None:
        """The reverse of `index`; call before changing orientation or selectors."""
        self.unique.pop(conn.unique, None)
        self.changes += conn.group is None
        if conn.oriented is None:
            return
        pair = (conn.oriented.me, conn.oriented.peer)
        answering = self.pairs.get(pair)
        if answering is not None:
            answering.remove(conn)
            if not answering.groups:
                del self.pairs[pair]
        drop(self.shunts, pair, conn.unique)
        for key in conn.keys:
            drop(self.flows, key, conn.unique)

    def reorient(self, conn: Conn, oriented: Oriented | None) -> None:
        """Change a connection's orientation and keep the indices right."""
        self.unindex(conn)
        conn.orient(oriented)
        self.index(conn)

    def find(self, name: str) -> list[Conn]:
        """The connection of that name, or all that have it as an alias; empty when there is none."""
        if name in self.named:
            return [self.named[name]]
        return list(self.aliases.get(name, {}).values())

    def answering(self, me: Address, peer: Address) -> Iterator[Answering]:
        """What may answer `peer`: the connections of that very host pair first, then those for anybody."""
        for pair in ((me, peer), (me, None)):
            if pair in self.pairs:
                yield self.pairs[pair]

    def candidates(self, me: Address, peer: Address) -> Iterator[Conn]:
        """The same one by one."""
        for answering in self.answering(me, peer):
            for group in answering.groups.values():
                yield from group.values()

    def asked(self, me: Address, peer: Address) -> Iterator[Conn]:
        """Those of them that a peer may ask for by what it wants to protect: not what is another pair's of hosts."""
        for answering in self.answering(me, peer):
            for group in answering.asked.values():
                yield from group.values()

    def with_flow(self, key: FlowKey) -> list[Conn]:
        """Connections whose eroute key is `key`."""
        return list(self.flows.get(key, {}).values())

    def __iter__(self) -> Iterator[Conn]:
        """Connections sorted by name, each followed by its instances."""
        for name in sorted(self.named):
            conn = self.named[name]
            yield conn
            for number in sorted(conn.instances):
                yield conn.instances[number]

    def __len__(self) -> int:
        return len(self.named)


def drop(index: dict[Any, dict[str, Conn]], key: Any, name: str) -> None:
    """Take one connection out of an index of dictionaries and leave no empty one behind."""
    inner = index.get(key)
    if inner is not None:
        inner.pop(name, None)
        if not inner:
            del index[key]
