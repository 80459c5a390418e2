# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of the DNS for commands, which may wait: the daemon's own look-ups behind plain calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from openswan.base.address import Address
from openswan.engine.oeevents import Learned
from openswan.host.dnslookup import DnsLookup
from openswan.host.oelookup import NameKeys, OeLookup
from openswan.host.resolver import RESOLV_CONF
from openswan.policy.dnsanswer import DnsAnswer


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
