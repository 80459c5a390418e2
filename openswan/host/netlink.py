# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host's network looks like, and word of every change: links, addresses and default routes by pyroute2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from typing import Any

from pyroute2 import AsyncIPRoute  # type: ignore[import-untyped]
from pyroute2.netlink import exceptions  # type: ignore[import-untyped]

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.engine.events import DefaultRoute, Interface, NetworkState

RT_TABLE_MAIN = 254
RTN_UNICAST = 1
SCOPE_LINK, SCOPE_HOST = 253, 254
IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x08, 0x20, 0x40
UNUSABLE = IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TENTATIVE
IFF_UP = 0x1
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE = (
    0x1, 0x10, 0x40, 0x100, 0x400
)  # fmt: skip
GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE
FAMILIES = (2, 10)
INTERESTING = frozenset(f"RTM_{act}{what}" for act in ("NEW", "DEL") for what in ("LINK", "ADDR", "ROUTE"))
SETTLE = 0.1
"""Seconds of quiet before a change is told: an interface that comes up is a dozen messages."""


async def network_state(is_virtual: Callable[[str], bool]) -> NetworkState:
    """Interfaces with usable addresses, and the default routes of the main table.

    Devices for which `is_virtual` holds (our own ipsecN) are left out, as is loopback. HostError: no netlink.
    """
    try:
        async with AsyncIPRoute() as netlink:
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
    return NetworkState(interfaces, _defaults(routes, names, by_index, is_virtual))


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


async def changes() -> AsyncIterator[None]:
    """One None after every change of links, addresses or routes, once things have settled; the first one at once."""
    async with AsyncIPRoute() as netlink:
        await netlink.bind(groups=GROUPS)
        woken = asyncio.Event()
        woken.set()

        async def listen() -> None:
            while True:
                async for message in netlink.get():
                    if message.get("event") in INTERESTING:
                        woken.set()

        listening = asyncio.get_running_loop().create_task(listen())
        try:
            while not listening.done():
                waiting = asyncio.get_running_loop().create_task(woken.wait())
                await asyncio.wait([waiting, listening], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if woken.is_set():
                    await asyncio.sleep(SETTLE)
                    woken.clear()  # before the look, so that what happens during it is looked at again
                    yield None
            listening.result()
        finally:
            listening.cancel()
