# SPDX-License-Identifier: GPL-2.0-or-later
"""Which conn, policy group or exemption a flow falls under, and on which terms: all that is configured in one table.

Built anew when the configuration, a group's file, a host name's addresses or the network changes; nothing in it changes
by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from openswan.base.address import Address, Subnet, less
from openswan.base.interval import Duration
from openswan.engine.oeevents import Terms
from openswan.engine.oeterms import SHUNT_LIFETIME, terms_of
from openswan.engine.orient import Plugs
from openswan.policy.connection import Connection, End, HostKind
from openswan.policy.exempt import exempt, resolver_rules
from openswan.policy.flowtable import Flow, FlowTable, Rule, Standing
from openswan.policy.groups import Target, clients_of, group_end, group_file, named, rules_of, settle
from openswan.policy.selector import FlowKey

MOST_PIECES = 256
HALVES = {4: 1, 6: 3}
"""Prefix lengths: a route as wide is a default one in two halves (0.0.0.0/1 and 128.0.0.0/1), or by the one net that is
in use (2000::/3)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said about one flow."""

    owner: str
    """Name of the conn, or what an exemption is for."""
    terms: Terms | None
    """Of an opportunistic conn; None: an ordinary conn's, or exempt and so in clear."""
    exempt: bool = False
    where: str = ""
    """FILE:LINE of a group's line."""


class OePolicy:
    """All rules as of one moment."""

    def __init__(
        self,
        conns: Iterable[Connection],
        targets: Mapping[str, tuple[Target, ...]],
        plugs: Plugs,
        names: Mapping[str, tuple[Address, ...]] | None = None,
        resolvers: Iterable[Address] = (),
        ordinary: Iterable[tuple[str, FlowKey]] = (),
        lifetime: Duration = SHUNT_LIFETIME,
    ) -> None:
        """`conns` are the opportunistic ones, `targets` their files' lines by file name, `ordinary` other conns' flows.

        `names` are the addresses of host names that have been looked up.
        """
        self.table = FlowTable()
        self.terms: dict[str, Terms] = {}
        self.complaints: tuple[str, ...] = ()
        """A line for each rule that another conn had first."""
        self.place = plugs.place
        self.names: tuple[str, ...] = ()
        """Host names of groups' files."""
        complaints: list[str] = []
        for owner, key in ordinary:
            self.table.add(Rule(key, owner, Standing.CONN))
        wanted: list[str] = []
        for conn in conns:
            end = group_end(conn)
            assert end is not None, f'"{conn.name}" is not opportunistic'
            self.terms[conn.name] = terms_of(conn, lifetime)
            lines = targets.get(group_file(conn), ())
            wanted += named(lines)
            ours = conn.left if end is conn.right else conn.right
            rules = rules_of(conn, clients_of(conn, own_addresses(ours, plugs)), settle(lines, names or {}))
            for refused, first in self.table.extend(rules):
                complaints.append(_taken(refused, first))
        for rule in resolver_rules(self.place.own, resolvers):
            self.table.add(rule)
        self.names = tuple(dict.fromkeys(wanted))
        self.complaints = tuple(complaints)

    def decide(self, flow: Flow) -> Decision | None:
        """What a flow, seen outbound, falls under; None: nothing, it is nobody's business here."""
        why = exempt(flow, self.place)
        if why:
            return Decision(why, None, True)
        rule = self.table.match(flow)
        if rule is None:
            return None
        return Decision(rule.owner, self.terms.get(rule.owner), rule.standing is Standing.EXEMPT, rule.where)


def _taken(refused: Rule, first: Rule) -> str:
    """In the classic words."""
    where = f"{refused.where}: " if refused.where else ""
    return f'{where}subnet "{refused.key.dst}", source {refused.key.src}, already "{first.owner}": it stays there'


def own_addresses(end: End, plugs: Plugs) -> tuple[Address, ...]:
    """The local addresses that our end of an opportunistic conn stands for, of both families."""
    host = end.host
    if host.kind is HostKind.ADDRESS:
        return (host.address,) if host.address is not None and host.address in plugs.addresses else ()
    if host.kind is HostKind.INTERFACE:
        interfaces = [host.name]
    else:
        interfaces = [default.interface for default in plugs.defaults.values()]
    found = [plugs.interfaces[name] for name in dict.fromkeys(interfaces) if name in plugs.interfaces]
    return tuple(dict.fromkeys(address for each in found for address, _ in each.addresses))


def outer_interfaces(end: End, plugs: Plugs) -> frozenset[str]:
    """Where those live who are not behind us: the interfaces of our end, and those of default routes."""
    own = {plugs.addresses[address].name for address in own_addresses(end, plugs)}
    return frozenset(own | {default.interface for default in plugs.defaults.values()})


def nets_behind(homes: Iterable[tuple[Subnet, str]], outer: Collection[str]) -> tuple[Subnet, ...]:
    """The nets that routes lead to by other interfaces than `outer`, without what lies in them and is led out.

    An interface with a route as wide as half of everything is an outer one too. A net of which more than MOST_PIECES
    would be left is cut no further, the widest first: to be guarded for nothing is better than not to be.
    """
    homes = tuple(homes)
    outer = {*outer, *(device for net, device in homes if net.prefixlen <= HALVES[net.version])}
    inside = {net for net, device in homes if device not in outer and not _of_one_link(net)}
    away = {net for net, device in homes if device in outer} - inside
    found: dict[int, list[Subnet]] = {4: [], 6: []}
    for net in inside:
        found[net.version] += _without(net, away)
    four = collapse_addresses(each for each in found[4] if isinstance(each, IPv4Network))
    six = collapse_addresses(each for each in found[6] if isinstance(each, IPv6Network))
    return (*four, *six)


def _without(net: Subnet, away: Iterable[Subnet]) -> tuple[Subnet, ...]:
    within = (each for each in away if each.prefixlen > net.prefixlen and each[0] in net)
    pieces: tuple[Subnet, ...] = (net,)
    for hole in sorted(within, key=lambda each: (each.prefixlen, int(each[0]))):
        cut = tuple(each for piece in pieces for each in less(piece, hole))
        if len(cut) > MOST_PIECES:
            break
        pieces = cut
    return pieces


def _of_one_link(net: Subnet) -> bool:
    where = net.network_address
    return where.is_loopback or where.is_link_local or where.is_multicast
