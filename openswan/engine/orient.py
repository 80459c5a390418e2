# SPDX-License-Identifier: GPL-2.0-or-later
"""Orientation: which end of a connection is this machine, given its addresses and default routes as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_network

from openswan.base.address import Address
from openswan.engine.conn import Oriented
from openswan.engine.events import DefaultRoute, Interface, NetworkState
from openswan.policy.connection import Auth, Connection, End, HostKind
from openswan.policy.exempt import Place
from openswan.policy.onlink import OnLink

NOBODY = "We cannot identify ourselves with either end of this connection."
FIRST_DEVICE = "ipsec0"


@dataclass
class Plugs:
    """Local addresses by value, interfaces by name, default routes by family, and links: made for each NetworkState."""

    addresses: dict[Address, Interface] = field(default_factory=dict)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    defaults: dict[int, DefaultRoute] = field(default_factory=dict)
    onlink: OnLink = field(default_factory=OnLink)

    @classmethod
    def of(cls, state: NetworkState) -> Plugs:
        """Index a NetworkState; the first default route of a family and the first owner of an address count."""
        plugs = cls(onlink=OnLink(state.links))
        for interface in state.interfaces:
            if not interface.up:
                continue
            plugs.interfaces[interface.name] = interface
            for address, _ in interface.addresses:
                plugs.addresses.setdefault(address, interface)
        for default in state.defaults:
            plugs.defaults.setdefault(default.source.version, default)
        return plugs

    @cached_property
    def place(self) -> Place:
        """This host's addresses, and the broadcast addresses of its links."""
        broadcasts = set()
        for interface in self.interfaces.values():
            for address, length in interface.addresses:
                if address.version == 4 and length < 31:
                    broadcasts.add(ip_network((address, length), strict=False).broadcast_address)
        return Place(frozenset(self.addresses), frozenset(broadcasts - set(self.addresses)))

    def mtu(self, address: Address) -> int:
        """Of the interface that has a local address."""
        interface = self.addresses.get(address)
        return interface.mtu if interface else 1500


def ours(end: End, family: int, plugs: Plugs, names: Mapping[str, tuple[Address, ...]]) -> Address | None:
    """The local address `end` stands for, or None when it is not us; `family` 0 means either."""
    host = end.host
    if host.kind is HostKind.ADDRESS:
        return host.address if host.address in plugs.addresses else None
    if host.kind is HostKind.NAME:
        return next((address for address in names.get(host.name, ()) if address in plugs.addresses), None)
    if host.kind is HostKind.DEFAULTROUTE:
        for version in (family,) if family else (4, 6):
            if version in plugs.defaults:
                return plugs.defaults[version].source
    if host.kind is HostKind.INTERFACE and (interface := plugs.interfaces.get(host.name)):
        return next((a for a, _ in interface.addresses if family in (0, a.version)), None)
    return None


def theirs(end: End, family: int, names: Mapping[str, tuple[Address, ...]]) -> Address | None:
    """The peer's address, or None when it is not known (%any, a name without an address of our family)."""
    if end.host.kind is HostKind.ADDRESS:
        return end.host.address
    if end.host.kind is HostKind.NAME:
        return next((address for address in names.get(end.host.name, ()) if address.version == family), None)
    return None


def family_of(end: End, names: Mapping[str, tuple[Address, ...]]) -> int:
    """The family an end's host is known to have, else 0."""
    if end.host.kind is HostKind.ADDRESS and end.host.address is not None:
        return end.host.address.version
    if end.host.kind is HostKind.OPPORTUNISTIC and end.subnet is not None:
        return end.subnet.version
    if end.host.kind is HostKind.NAME:
        versions = {address.version for address in names.get(end.host.name, ())}
        return versions.pop() if len(versions) == 1 else 0
    return 0


def orient(
    policy: Connection, plugs: Plugs, names: Mapping[str, tuple[Address, ...]], devices: Mapping[str, str] | None = None
) -> tuple[Oriented | None, str]:
    """Find our end of `policy`; (None, why) when there is none or both could be ours."""
    found: list[tuple[End, End, Address]] = []
    for mine, other in ((policy.left, policy.right), (policy.right, policy.left)):
        address = ours(mine, family_of(other, names), plugs, names)
        if address is not None:
            found.append((mine, other, address))
    if not found:
        return None, NOBODY
    if len(found) == 2 and found[0][2] != found[1][2]:
        # %defaultroute and %interface say outright that they are us; otherwise a machine that is both ends is a
        # mistake, except for shunts, which concern nobody else (127.0.0.1 to 127.0.0.2).
        outright = [f for f in found if f[0].host.kind in (HostKind.DEFAULTROUTE, HostKind.INTERFACE)]
        if not outright and not policy.auth & Auth.NEVER:
            return None, f"both ends of this connection are ours ({found[0][2]} and {found[1][2]})."
        found = outright or found
    mine, other, me = found[0]
    peer = theirs(other, me.version, names)
    if peer == me:
        return None, f"both ends of this connection are our own address {me}."
    interface = plugs.addresses.get(me)
    default = plugs.defaults.get(me.version)
    nexthop = mine.nexthop
    if nexthop is None and mine.host.kind is HostKind.DEFAULTROUTE and default is not None:
        nexthop = default.nexthop
    name = interface.name if interface else ""
    device = (interface.virtual if interface else "") or (devices or {}).get(name, FIRST_DEVICE)
    return Oriented(mine, other, mine is policy.left, me, name, device, peer, nexthop), ""
