# SPDX-License-Identifier: GPL-2.0-or-later
"""The connections pluto knows: by name and alias, by host pair, by the flow they protect; every look-up is one hash."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from openswan.base.address import Address
from openswan.engine.conn import Conn, Oriented
from openswan.engine.policies import signature
from openswan.policy.selector import FlowKey

HostPair = tuple[Address, Address | None]


class ConnDb:
    """All connections and instances; the indices follow `index` and `unindex`."""

    def __init__(self) -> None:
        self.named: dict[str, Conn] = {}
        self.aliases: dict[str, dict[str, Conn]] = {}
        self.pairs: dict[HostPair, dict[Hashable, dict[str, Conn]]] = {}
        """Negotiable connections by host pair, grouped by what decides about their IKE SA."""
        self.flows: dict[FlowKey, dict[str, Conn]] = {}
        """Connections by eroute key; several only with overlapip or unrouted alternatives."""
        self.unique: dict[str, Conn] = {}
        """Every connection and instance by its unique name, which is what eroutes and SAs carry as owner."""
        self.hosts: dict[str, dict[str, Conn]] = {}
        """Connections by the host names they depend on."""

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
        if conn.oriented is None:
            return
        if not conn.never:
            conn.signature = signature(conn)
            pair = self.pairs.setdefault((conn.oriented.me, conn.oriented.peer), {})
            pair.setdefault(conn.signature, {})[conn.unique] = conn
        for key in conn.keys:
            self.flows.setdefault(key, {})[conn.unique] = conn

    def unindex(self, conn: Conn) -> None:
        """The reverse of `index`; call before changing orientation or selectors."""
        self.unique.pop(conn.unique, None)
        if conn.oriented is None:
            return
        pair = (conn.oriented.me, conn.oriented.peer)
        if groups := self.pairs.get(pair):
            drop(groups, conn.signature, conn.unique)
            if not groups:
                del self.pairs[pair]
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

    def groups(self, me: Address, peer: Address) -> Iterator[dict[str, Conn]]:
        """Connections that may answer `peer`, in groups that agree about the IKE SA: its own first, then %any ones."""
        for pair in ((me, peer), (me, None)):
            yield from self.pairs.get(pair, {}).values()

    def candidates(self, me: Address, peer: Address) -> Iterator[Conn]:
        """The same one by one."""
        for group in self.groups(me, peer):
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
