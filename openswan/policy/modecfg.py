# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses one end gives the other: pools, what is asked for, what is assigned (RFC 7296 2.19, RFC 8598)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, ip_address

from openswan.base.address import Address

MOST_SERVERS, MOST_DOMAINS = 8, 64
"""DNS servers and domains that are told or taken."""
MOST_BANNER, MOST_ROUTES = 1024, 64
"""Characters of a banner, and networks behind a server, likewise."""
LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
DOMAIN = re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*")
"""A domain name in ASCII, as RFC 8598 3.1 wants it; names in other scripts are written as A-labels."""


class ConfigRole(Enum):
    """Who gets an address by IKEv1's Mode Config."""

    NONE = "nobody"
    CLIENT = "we do"
    SERVER = "the peer does"


def is_domain(text: str) -> bool:
    """Is it a domain name that can be told a resolver or a script?"""
    return DOMAIN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Pool:
    """A range of addresses of one family, both ends inclusive."""

    first: Address
    last: Address

    @property
    def size(self) -> int:
        """How many addresses it has."""
        return int(self.last) - int(self.first) + 1

    @property
    def version(self) -> int:
        """Address family."""
        return self.first.version

    def at(self, index: int) -> Address:
        """The address at a place, counted from 0."""
        packed = (int(self.first) + index).to_bytes(4 if self.version == 4 else 16, "big")
        return ip_address(packed)

    def __contains__(self, address: Address) -> bool:
        return address.version == self.version and int(self.first) <= int(address) <= int(self.last)

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Assigned:
    """What the server of addresses has given, as both ends remember it."""

    addresses: tuple[Address, ...] = ()
    """At most one of each family."""
    dns: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()
    """Names those servers know; empty: all."""
    wins: tuple[Address, ...] = ()
    """WINS servers (IKEv1)."""
    banner: str = ""
    """What the server wants people to read (IKEv1, Cisco's), lines."""
    routes: tuple[IPv4Network, ...] = ()
    """The networks behind the server (IKEv1, Cisco's split tunnels); empty: it does not say."""

    def address(self, version: int) -> Address | None:
        """The address of one family."""
        return next((address for address in self.addresses if address.version == version), None)
