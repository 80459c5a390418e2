# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host's network looks like, and word of every change: interfaces, addresses, routes of the main table."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address, ip_network
from typing import Any

from pyroute2 import AsyncIPRoute  # type: ignore[import-untyped]
from pyroute2.netlink import exceptions  # type: ignore[import-untyped]

from openswan.base.address import Address, Subnet
from openswan.base.errors import HostError
from openswan.engine.events import DefaultRoute, Interface, NetworkState
from openswan.host.nlmsg import NETLINK_ROUTE, NetlinkSocket, parse_attrs, split
from openswan.policy.onlink import MOST_NETS, Links, OnLink

RT_TABLE_MAIN = 254
RTN_UNICAST = 1
SCOPE_LINK, SCOPE_HOST = 253, 254
IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x08, 0x20, 0x40
UNUSABLE = IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TENTATIVE
IFF_UP, IFF_POINTOPOINT = 0x1, 0x10
GROUPS = (1, 5, 7, 9, 11)
"""RTNLGRP_ of links, and of addresses and routes of both families."""
RTM_NEWROUTE, RTM_DELROUTE = 24, 25
LINKS_AND_ADDRESSES = frozenset((16, 17, 20, 21))
"""RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR."""
FAMILIES = (2, 10)
RTA_DST, RTA_GATEWAY, RTA_MULTIPATH, RTA_VIA = 1, 5, 9, 18
ROUTE_HEADER = 12
"""Octets of struct rtmsg."""
OCTETS = {2: 4, 10: 16}
"""Of an address, by family."""
SETTLE = 0.1
"""Seconds of quiet before a change is told: an interface that comes up is a dozen messages."""


async def network_state(is_virtual: Callable[[str], bool]) -> NetworkState:
    """Interfaces with usable addresses, and the default routes and links of the main table.

    Devices for which `is_virtual` holds (our own ipsecN) are left out, as is loopback. HostError: no netlink.
    """
    try:
        # With strict checking the kernel itself leaves out what other tables hold.
        async with AsyncIPRoute(strict_check=True) as netlink:
            links = [message async for message in await netlink.get_links()]
            addresses = [message async for message in await netlink.get_addr()]
            routes = [
                message
                for family in FAMILIES
                async for message in await netlink.get_routes(family=family, table=RT_TABLE_MAIN)
            ]
    except (OSError, exceptions.NetlinkError) as why:
        raise HostError(f"cannot read the network's state: {why}") from None
    names = {link["index"]: str(link.get("IFLA_IFNAME")) for link in links}
    by_index: dict[int, list[tuple[Address, int]]] = {}
    for message in addresses:
        if (found := _usable(message)) is not None:
            by_index.setdefault(message["index"], []).append(found)
    interfaces = tuple(
        Interface(
            name=names[link["index"]],
            virtual="",
            addresses=tuple(by_index.get(link["index"], ())),
            up=bool(link["flags"] & IFF_UP),
            mtu=int(link.get("IFLA_MTU") or 1500),
        )
        for link in links
        if names[link["index"]] != "lo" and not is_virtual(names[link["index"]])
    )
    wires = {link["index"] for link in links if not link["flags"] & IFF_POINTOPOINT}
    wires -= {index for index, name in names.items() if is_virtual(name)}
    return NetworkState(interfaces, _defaults(routes, names, by_index, is_virtual), links=_links(routes, wires))


def _usable(message: Any) -> tuple[Address, int] | None:
    text = message.get("IFA_LOCAL") or message.get("IFA_ADDRESS")
    flags = message.get("IFA_FLAGS") or message["flags"]
    if text is None or message["scope"] in (SCOPE_LINK, SCOPE_HOST) or flags & UNUSABLE:
        return None
    return ip_address(text), int(message["prefixlen"])


def _defaults(
    routes: list[Any],
    names: dict[int, str],
    by_index: dict[int, list[tuple[Address, int]]],
    is_virtual: Callable[[str], bool],
) -> tuple[DefaultRoute, ...]:
    found: dict[int, tuple[int, DefaultRoute]] = {}
    for route in routes:
        if route["dst_len"] or route["type"] != RTN_UNICAST:
            continue
        # A default over several next hops: the first one that can be named.
        hops = route.get("RTA_MULTIPATH") or [route]
        for hop in hops:
            index = hop.get("RTA_OIF") or hop.get("oif", 0)
            name = names.get(index, "")
            version = 4 if route["family"] == FAMILIES[0] else 6
            gateway = hop.get("RTA_GATEWAY")
            source = _source(route, gateway, version, by_index.get(index, []))
            if not name or is_virtual(name) or source is None:
                continue
            metric = route.get("RTA_PRIORITY") or 0
            if version not in found or metric < found[version][0]:
                nexthop = ip_address(gateway) if gateway else None
                found[version] = (metric, DefaultRoute(name, source, nexthop))
            break
    return tuple(found[version][1] for version in sorted(found))


def _links(routes: list[Any], wires: set[int]) -> Links:
    """What routes say is on a link (one that has neighbours), and routes by a router into the midst of that."""
    direct: dict[Subnet, None] = {}
    others: dict[Subnet, None] = {}
    for route in routes:
        net = _net(route)
        if net is None or not net.prefixlen:
            continue
        hops = route.get("RTA_MULTIPATH") or [route]
        on_wire = all((hop.get("RTA_OIF") or hop.get("oif", 0)) in wires for hop in hops)
        routed = any(hop.get("RTA_GATEWAY") or hop.get("RTA_VIA") for hop in hops)
        unicast = route["type"] == RTN_UNICAST
        (direct if unicast and on_wire and not routed else others)[net] = None
    found = tuple(sorted(direct, key=_by_size)[:MOST_NETS])
    onlink = OnLink(Links(found))
    return Links(
        found, tuple(sorted((net for net in others if net.network_address in onlink), key=_by_size)[:MOST_NETS])
    )


def _by_size(net: Subnet) -> tuple[int, int, int]:
    return net.prefixlen, net.version, int(net.network_address)


def _net(route: Any) -> Subnet | None:
    """The destination of a route; None for one of another family."""
    octets = OCTETS.get(route["family"])
    return ip_network((route.get("RTA_DST") or bytes(octets), route["dst_len"])) if octets else None


def _source(route: Any, gateway: str | None, version: int, addresses: list[tuple[Address, int]]) -> Address | None:
    if preferred := route.get("RTA_PREFSRC"):
        return ip_address(preferred)
    mine = [(address, length) for address, length in addresses if address.version == version]
    if gateway:
        via = int(ip_address(gateway))
        for address, length in mine:
            shift = (32 if version == 4 else 128) - length
            if int(address) >> shift == via >> shift:
                return address
    return mine[0][0] if mine else None


def matters(kind: int, body: memoryview, around: OnLink) -> bool:
    """Could this rtnetlink message change what network_state() says?

    Of the main table's routes these do: defaults, those without a router, and those by one into a net of a link, which
    `around` tells.
    """
    if kind not in (RTM_NEWROUTE, RTM_DELROUTE):
        return kind in LINKS_AND_ADDRESSES
    if len(body) < ROUTE_HEADER or body[4] != RT_TABLE_MAIN or body[0] not in OCTETS:
        return False
    if not body[1]:
        return True
    attrs = dict(parse_attrs(body[ROUTE_HEADER:]))
    if not attrs.keys() & {RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH}:
        return True
    return RTA_DST in attrs and ip_address(bytes(attrs[RTA_DST])) in around


async def changes(around: Callable[[], OnLink] = OnLink) -> AsyncIterator[None]:
    """One None after every change of what network_state() says, once it has settled; the first one at once.

    `around` tells the links' nets that it has named last, whatever routers are within them. Routes of other tables are
    told apart by their first octets: our own come and go by the thousand.
    """
    loop = asyncio.get_running_loop()
    with NetlinkSocket(NETLINK_ROUTE, GROUPS) as events:
        events.sock.setblocking(False)
        woken = asyncio.Event()
        woken.set()

        def read() -> None:
            while True:
                try:
                    data = events.sock.recv(1 << 20)
                except BlockingIOError:
                    return
                except OSError as why:
                    if why.errno != errno.ENOBUFS:
                        raise
                    woken.set()  # some were lost: look
                    continue
                if any(matters(kind, body, around()) for kind, _, body in split(data)):
                    woken.set()

        loop.add_reader(events.fileno(), read)
        try:
            while True:
                await woken.wait()
                await asyncio.sleep(SETTLE)
                woken.clear()  # before the look, so that what happens during it is looked at again
                yield None
        finally:
            loop.remove_reader(events.fileno())
