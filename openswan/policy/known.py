# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept of a peer of policy groups from one life of the daemon to the next, and its text: one line a peer.

    openswan-peers 1
    host 10.0.0.7 dnssec 1767225600 1767229200 0
    lan 10.0.0.9 - 0 0 1767226000
    host 192.0.2.7 null 1767225600 0 0 100.64.0.3

For whom (this host, or hosts behind it), address, best grade it has had (`-`: none), when it had a tunnel last, until
when it counts as capable, until when as deaf: seconds since 1970, 0 for never; and, where this host is behind NAT, what
the peer called it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from openswan.base.address import Address
from openswan.base.errors import ConfigError
from openswan.policy.grade import Grade

HEAD = "openswan-peers 1"
MOST_LINES = 10_000
MOST_OCTETS = 2 << 20
LATEST = 1 << 40
"""Seconds since 1970 that no calendar here ever shows."""
WHOSE = {"host": False, "lan": True}
WORDS = {each.word: each for each in Grade}
NUMBER = re.compile(r"0|[1-9][0-9]{0,12}")


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """One peer; times are seconds since 1970, 0: never."""

    address: Address
    behind: bool = False
    """Known to hosts behind this one."""
    best: Grade | None = None
    heard: int = 0
    """When it had a tunnel last."""
    capable: int = 0
    """Until when it is called while the DNS is still asked,"""
    deaf: int = 0
    """and until when it is not waited for."""
    alias: Address | None = None
    """What it called this host, which is behind NAT."""


def text_of(known: Iterable[KnownPeer]) -> str:
    """The file's text."""
    lines = [HEAD]
    for each in known:
        whose = "lan" if each.behind else "host"
        alias = f" {each.alias}" if each.alias is not None else ""
        lines.append(f"{whose} {each.address} {each.best or '-'} {each.heard} {each.capable} {each.deaf}{alias}")
    return "\n".join(lines) + "\n"


def parse_known(text: str) -> tuple[KnownPeer, ...]:
    """Read it; ConfigError names the first line that is wrong, and then none counts."""
    lines = text.split("\n")
    if lines.pop() or not lines or lines[0] != HEAD:
        raise ConfigError(f"it does not begin with '{HEAD}', or has been cut off")
    if len(lines) - 1 > MOST_LINES:
        raise ConfigError(f"it has more than {MOST_LINES} peers")
    known: dict[tuple[bool, Address], KnownPeer] = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            one = _peer(line.split(" "))
        except ValueError:
            raise ConfigError(f"line {number} is not about a peer") from None
        if (one.behind, one.address) in known:
            raise ConfigError(f"line {number} is about a peer that another line is about")
        known[one.behind, one.address] = one
    return tuple(known.values())


def _peer(words: list[str]) -> KnownPeer:
    whose, address, best, *times = words[:6]
    heard, capable, deaf = map(_time, times)
    if whose not in WHOSE or best not in (*WORDS, "-") or any("%" in word for word in words) or len(words) > 7:
        raise ValueError(whose)
    alias = ip_address(words[6]) if len(words) == 7 else None
    return KnownPeer(ip_address(address), WHOSE[whose], WORDS.get(best), heard, capable, deaf, alias)


def _time(word: str) -> int:
    if NUMBER.fullmatch(word) is None or int(word) > LATEST:
        raise ValueError(word)
    return int(word)
