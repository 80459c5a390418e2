# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses, subnets and endpoints: the standard library's values with IPsec's text forms around them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from openswan.base.errors import ConfigError

Address: TypeAlias = IPv4Address | IPv6Address
Subnet: TypeAlias = IPv4Network | IPv6Network

ANY4 = IPv4Network("0.0.0.0/0")
ANY6 = IPv6Network("::/0")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a UDP conversation: an address and a port in host order."""

    address: Address
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


def parse_address(text: str) -> Address:
    """Read a numeric IPv4 or IPv6 address; ConfigError says what is wrong with anything else."""
    try:
        return ip_address(text)
    except ValueError:
        raise ConfigError(f"'{text}' is not a numeric IP address") from None


def parse_subnet(text: str) -> Subnet:
    """Read NET/LEN, NET/MASK or a bare address (a host subnet); host bits set are an error."""
    try:
        return ip_network(text, strict=True)
    except ValueError as why:
        raise ConfigError(f"'{text}' is not a subnet: {why}") from None


def host_subnet(address: Address) -> Subnet:
    """The subnet that holds just `address`: /32 or /128."""
    return ip_network(address)


def any_subnet(version: int) -> Subnet:
    """0.0.0.0/0 for version 4, ::/0 for version 6."""
    return ANY4 if version == 4 else ANY6


def half_subnets(subnet: Subnet) -> tuple[Subnet, ...]:
    """A default route cut in half, so that it eclipses the real one without replacing it; others unchanged.

    0.0.0.0/0 becomes 0.0.0.0/1 and 128.0.0.0/1; ::/0 becomes ::/1 and 8000::/1.
    """
    return tuple(subnet.subnets()) if subnet.prefixlen == 0 else (subnet,)
