# SPDX-License-Identifier: GPL-2.0-or-later
"""Host names looked up by commands, which may wait: the daemon's own resolver behind a plain call."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from pathlib import Path

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.base.marks import Marks
from openswan.host.resolver import HOSTS, LIFETIME, RESOLV_CONF, Resolver


def addresses_of(
    name: str,
    version: int = 0,
    hosts: Path = HOSTS,
    resolv_conf: Path = RESOLV_CONF,
    lifetime: float = LIFETIME,
    *,
    marks: Marks,
) -> list[Address]:
    """The addresses of a host, which may be an address already; HostError says why there are none.

    `version` 4 or 6 wants that family, 0 takes both; name servers have `lifetime` seconds to answer.
    """
    try:
        found = [ip_address(name)]
    except ValueError:
        resolver = Resolver(hosts, resolv_conf, lifetime, marks)
        addresses, reason, _ = asyncio.run(resolver.look_up(name, version))
        if not addresses:
            raise HostError(reason) from None
        return list(addresses)
    if version and found[0].version != version:
        raise HostError(f"{name} is no IPv{version} address")
    return found
