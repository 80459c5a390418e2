# SPDX-License-Identifier: GPL-2.0-or-later
"""What policy groups never touch: flows that must go in clear for a host to be on a network at all.

Most are exempt whatever the configuration says; DNS queries of this host to its own resolvers are rules of the flow
table, so that a conn, or a group's line about that very service, comes before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from openswan.base.address import Address, host_subnet
from openswan.base.numbers import IKE_PORT, NATT_PORT, IpProtocol
from openswan.policy.flowtable import Flow, Rule, Standing
from openswan.policy.selector import FlowKey

BROADCAST = IPv4Address("255.255.255.255")
NEIGHBOUR_DISCOVERY = range(133, 138)
"""ICMPv6 types: router and neighbour solicitation and advertisement, redirect (RFC 4861)."""
DHCP_PORTS = {4: (67, 68), 6: (546, 547)}
DNS_PORTS = (53, 853)
"""Plain, and over TLS or QUIC (RFC 7858, RFC 9250)."""
OUR_PROTOCOLS = (IpProtocol.ESP, IpProtocol.AH)
IKE_PORTS = (IKE_PORT, NATT_PORT)


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of where this host stands."""

    own: frozenset[Address] = frozenset()
    """Its addresses."""
    broadcasts: frozenset[Address] = frozenset()
    """Broadcast addresses of its links."""


def exempt(flow: Flow, place: Place) -> str:
    """Why a flow, seen outbound, is no business of any policy group; empty: it is."""
    ours = flow.src in place.own
    if flow.src.is_loopback or flow.dst.is_loopback or flow.dst in place.own or flow.src == flow.dst:
        return "to ourselves"
    if flow.dst.is_multicast:
        return "multicast"
    if flow.dst == BROADCAST or flow.dst in place.broadcasts:
        return "broadcast"
    if flow.src.is_link_local or flow.dst.is_link_local:
        return "link-local"
    if flow.src.is_unspecified or flow.dst.is_unspecified:
        return "no address yet"
    if flow.protocol == IpProtocol.ICMP6 and flow.src_port in NEIGHBOUR_DISCOVERY:
        return "neighbour discovery"
    if ours and flow.protocol == IpProtocol.UDP and {flow.src_port, flow.dst_port} <= set(DHCP_PORTS[flow.src.version]):
        return "our own DHCP"
    if ours and flow.protocol in OUR_PROTOCOLS:
        return "our own ESP and AH"
    if ours and flow.protocol == IpProtocol.UDP and flow.src_port in IKE_PORTS:
        return "our own IKE"
    return ""


def resolver_rules(own: Iterable[Address], resolvers: Iterable[Address]) -> Iterator[Rule]:
    """Rules that let this host ask its configured resolvers, and only those, only for names."""
    servers = tuple(dict.fromkeys(resolvers))
    for mine in dict.fromkeys(own):
        for server in servers:
            if server.version != mine.version:
                continue
            for protocol in (IpProtocol.UDP, IpProtocol.TCP):
                for port in DNS_PORTS:
                    key = FlowKey(host_subnet(mine), host_subnet(server), protocol, 0, port)
                    yield Rule(key, f"DNS queries to {server}", Standing.EXEMPT)
