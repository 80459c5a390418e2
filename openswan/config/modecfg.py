# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of the keywords about assigned addresses. Every function takes text and raises ConfigError with a reason."""

from __future__ import annotations

import re

from openswan.base.address import Address, parse_address, parse_range
from openswan.base.errors import ConfigError
from openswan.config.keyword import split_list
from openswan.policy.modecfg import MOST_DOMAINS, MOST_SERVERS, Pool, is_domain

ASKING = {"%config": (4, 6), "%modeconfig": (4, 6), "%config4": (4,), "%config6": (6,)}
"""Words of leftsourceip= that ask the peer for an address, and of which families."""
MOST_POOLS = 8


def parse_families(text: str) -> tuple[int, ...] | None:
    """The families leftsourceip=%config asks for; None when it is no such word."""
    return ASKING.get(text.strip().lower())


def parse_pools(text: str) -> tuple[Pool, ...]:
    """rightaddresspool=: ranges FIRST-LAST and subnets; of a subnet neither its own nor the broadcast address."""
    pools: list[Pool] = []
    for item in split_list(re.sub(r"\s*-\s*", "-", text)):
        first, last = parse_range(item)
        pool = Pool(first, last)
        if "/" in item and pool.size > 2:
            pool = Pool(pool.at(1), pool.at(pool.size - 2) if pool.version == 4 else last)
        if any(other.first in pool or pool.first in other for other in pools):
            raise ConfigError(f"'{item[:60]}' overlaps another range of the list")
        if first.is_multicast or first.is_loopback or first.is_unspecified or last.is_multicast:
            raise ConfigError(f"'{item[:60]}' has addresses no host can have")
        pools.append(pool)
    if not pools:
        raise ConfigError("the list is empty")
    if len(pools) > MOST_POOLS:
        raise ConfigError(f"{len(pools)} ranges, at most {MOST_POOLS} are allowed")
    return tuple(pools)


def parse_servers(text: str) -> tuple[Address, ...]:
    """modecfgdns=: addresses of DNS servers."""
    servers = tuple(dict.fromkeys(parse_address(item) for item in split_list(text)))
    if len(servers) > MOST_SERVERS:
        raise ConfigError(f"{len(servers)} servers, at most {MOST_SERVERS} are allowed")
    return servers


def parse_domains(text: str) -> tuple[str, ...]:
    """modecfgdomains=: names the servers of modecfgdns= answer for."""
    names = tuple(dict.fromkeys(item.rstrip(".").lower() for item in split_list(text)))
    for name in names:
        if not is_domain(name):
            raise ConfigError(f"'{name[:60]}' is not a domain name; other scripts are written as xn--...")
    if len(names) > MOST_DOMAINS:
        raise ConfigError(f"{len(names)} domains, at most {MOST_DOMAINS} are allowed")
    return names
