# SPDX-License-Identifier: GPL-2.0-or-later
"""What policy groups leave to this host by itself: its queries to its configured resolvers, and its DHCP.

    a group's line covers the resolver -> %pass for ports 53 and 853 of just that server, and the guard lets answers in
    a conn covers it, or a line names that very host or service, or it has a tunnel -> nothing, they count

The eroutes are of this host's own addresses, so what others send through it is not exempt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from openswan.base.address import Address, any_subnet, host_subnet
from openswan.base.numbers import IpProtocol
from openswan.base.said import Shunt
from openswan.engine.conn import Conn
from openswan.engine.effects import OpenFlows
from openswan.engine.oeevents import Pair
from openswan.plane.commands import DelEroute, SetEroute
from openswan.policy.connection import ShuntPolicy
from openswan.policy.exempt import DHCP_PORTS, resolver_rules
from openswan.policy.flowtable import Flow
from openswan.policy.selector import FlowKey

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

OWNER = "%exempt"
"""In listings, of these eroutes: no conn can have this name."""
MOST_RESOLVERS = 8
"""Those that come after them are not exempt."""


class Exemptions:
    """Owner of these eroutes."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.eroutes: dict[FlowKey, str] = {}
        """In force, and the device of each."""
        self.stale = False
        """Something has changed that they depend on."""

    @property
    def resolvers(self) -> tuple[Address, ...]:
        """Other hosts that this one asks for names."""
        found = dict.fromkeys(self.core.network.resolvers)
        others = (each for each in found if not each.is_loopback and each not in self.core.plugs.addresses)
        return tuple(others)[:MOST_RESOLVERS]

    def touched(self, key: FlowKey) -> None:
        """A conn has taken or given up a flow, seen outbound."""
        if not key.dst.prefixlen or any(server in key.dst for server in self.core.network.resolvers):
            self.stale = True

    def settle(self) -> None:
        """Let what is in force be what should be, if anything has changed."""
        if not self.stale:
            return
        self.stale = False
        queries = dict(self._queries())
        wanted = queries | dict(self._dhcp())
        gone = [key for key in self.eroutes if key not in wanted]
        for key in gone:
            del self.eroutes[key]
            if key not in self.brain.router.eroutes:
                self.core.klips(DelEroute(key))
        opened = tuple(key for key in queries)
        if gone or any(key not in self.eroutes for key in opened):
            self.core.emit(OpenFlows(opened))
        for key, device in wanted.items():
            if self.eroutes.get(key) != device:
                self.eroutes[key] = device
                self.core.klips(SetEroute(key, Shunt.PASS, device, OWNER, 0))

    def open_to(self) -> tuple[Address, ...]:
        """Resolvers that this host asks in clear although a group covers them, for the status."""
        hosts = (key.dst.network_address for key in self.eroutes if key.dst_port and key.dst.prefixlen)
        return tuple(dict.fromkeys(hosts))

    def _queries(self) -> Iterator[tuple[FlowKey, str]]:
        for rule in resolver_rules(self.core.plugs.addresses, self.resolvers):
            key = rule.key
            mine, server = key.src.network_address, key.dst.network_address
            flow = Flow(mine, server, key.protocol, 0, key.dst_port)
            line = self.brain.groups.table.match(flow)
            if line is None or not line.yields or line.key.protocol:
                continue
            conn = self.core.conns.named.get(line.owner)
            if conn is None or not _takes(conn) or self._tunnelled(mine, server) or self._covered(key):
                continue
            yield key, conn.device

    def _dhcp(self) -> Iterator[tuple[FlowKey, str]]:
        """Of lines that are about everybody; a narrower line or conn comes before it by the order of eroutes."""
        for mine in self.core.plugs.addresses:
            everybody = any_subnet(mine.version)
            rule = self.brain.groups.table.match(Flow(mine, everybody.network_address))
            conn = self.core.conns.named.get(rule.owner) if rule is not None and rule.key.dst == everybody else None
            if conn is None or not _takes(conn):
                continue
            client, server = DHCP_PORTS[mine.version]
            for ports in ((client, server), (server, client)):
                key = FlowKey(host_subnet(mine), everybody, IpProtocol.UDP, *ports)
                if not self._covered(key):
                    yield key, conn.device

    def _tunnelled(self, mine: Address, server: Address) -> bool:
        conn = self.brain.pairs.conns.get(Pair(mine, server))
        return conn is not None and bool(conn.children)

    def _covered(self, flow: FlowKey) -> bool:
        """Has a conn of the configuration taken it, or is it guarded for one?"""
        router = self.brain.router
        taken = (key for key, holder in router.eroutes.items() if holder.group is None)
        guarded = (e.key for conn, guard in router.guards.values() if conn.group is None for e in guard.entries)
        return any(_within(flow, key) for keys in (taken, guarded) for key in keys)


def _takes(line: Conn) -> bool:
    """Does a line do anything to its traffic?"""
    return line.policy.prospective is not ShuntPolicy.PASS


def _within(flow: FlowKey, key: FlowKey) -> bool:
    return (
        flow.src.version == key.src.version
        and flow.src.network_address in key.src
        and flow.dst.network_address in key.dst
        and flow.dst.prefixlen >= key.dst.prefixlen
        and key.protocol in (0, flow.protocol)
        and key.src_port in (0, flow.src_port)
        and key.dst_port in (0, flow.dst_port)
    )
