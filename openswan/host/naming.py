# SPDX-License-Identifier: GPL-2.0-or-later
"""Names looked up by commands, which may wait: the daemon's own resolvers behind plain calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.engine.oeevents import Learned
from openswan.host.dnslookup import DnsLookup
from openswan.host.oelookup import NameKeys, OeLookup
from openswan.host.resolver import HOSTS, LIFETIME, RESOLV_CONF, Resolver
from openswan.policy.dnsanswer import DnsAnswer


def addresses_of(
    name: str, version: int = 0, hosts: Path = HOSTS, resolv_conf: Path = RESOLV_CONF, lifetime: float = LIFETIME
) -> list[Address]:
    """The addresses of a host, which may be an address already; HostError says why there are none.

    `version` 4 or 6 wants that family, 0 takes both; name servers have `lifetime` seconds to answer.
    """
    try:
        found = [ip_address(name)]
    except ValueError:
        resolver = Resolver(hosts, resolv_conf, lifetime)
        addresses, reason, _ = asyncio.run(resolver.look_up(name, version))
        if not addresses:
            raise HostError(reason) from None
        return list(addresses)
    if version and found[0].version != version:
        raise HostError(f"{name} is no IPv{version} address")
    return found


def records(questions: Iterable[tuple[str, str]], resolv_conf: Path = RESOLV_CONF) -> list[DnsAnswer]:
    """Answers to (name, type), asked side by side, in order. Does not raise."""

    async def ask() -> list[DnsAnswer]:
        look_up = DnsLookup(resolv_conf)
        return list(await asyncio.gather(*(look_up.ask(name, kind) for name, kind in questions)))

    return asyncio.run(ask())


def published(
    addresses: Iterable[Address], names: Iterable[str], resolv_conf: Path = RESOLV_CONF
) -> tuple[list[tuple[Learned, tuple[str, ...]]], list[NameKeys]]:
    """What a peer would learn of each address (with complaints) and of each name, side by side. Does not raise."""

    async def ask() -> tuple[list[tuple[Learned, tuple[str, ...]]], list[NameKeys]]:
        look_up = OeLookup(DnsLookup(resolv_conf))
        learned, keys = await asyncio.gather(
            asyncio.gather(*(look_up.learn(each) for each in addresses)),
            asyncio.gather(*(look_up.keys(each) for each in names)),
        )
        return list(learned), list(keys)

    return asyncio.run(ask())
