# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic selectors: what a connection, an eroute or an SA covers (RFC 7296 3.13, RFC 4301 4.4.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import summarize_address_range
from typing import Self

from openswan.base.address import Address, Subnet, host_subnet


@dataclass(frozen=True, slots=True)
class Selector:
    """A range of addresses, one protocol (0: any) and a range of ports (0-65535: any), both ends inclusive.

    For ICMP the ports hold type and code as RFC 7296 3.13.1 says; OPAQUE is 65535-0.
    """

    first: Address
    last: Address
    protocol: int = 0
    first_port: int = 0
    last_port: int = 65535

    @classmethod
    def of(cls, subnet: Subnet, protocol: int = 0, port: int = 0) -> Self:
        """The selector of a subnet with an optional protocol and single port (0: any)."""
        return cls(subnet[0], subnet[-1], protocol, port, port or 65535)

    @classmethod
    def host(cls, address: Address) -> Self:
        """The selector of everything of one host."""
        return cls(address, address)

    def contains(self, other: Self) -> bool:
        """Is all of `other` inside this one?"""
        return (
            self.first.version == other.first.version
            and self.protocol in (0, other.protocol)
            and self.first <= other.first  # type: ignore[operator]
            and other.last <= self.last  # type: ignore[operator]
            and self.first_port <= other.first_port
            and other.last_port <= self.last_port
        )

    def intersect(self, other: Self) -> Self | None:
        """What both cover, or None (RFC 7296 2.9 narrowing)."""
        if self.first.version != other.first.version:
            return None
        if self.protocol and other.protocol and self.protocol != other.protocol:
            return None
        first = max(self.first, other.first, key=int)
        last = min(self.last, other.last, key=int)
        low, high = max(self.first_port, other.first_port), min(self.last_port, other.last_port)
        if int(first) > int(last) or low > high:
            return None
        return replace(
            self, first=first, last=last, protocol=self.protocol or other.protocol, first_port=low, last_port=high
        )

    def subnets(self) -> tuple[Subnet, ...]:
        """The fewest subnets that make up the address range."""
        if self.first == self.last:
            return (host_subnet(self.first),)  # many are, and the general way takes four times as long
        return tuple(summarize_address_range(self.first, self.last))

    def is_subnet(self) -> bool:
        """Is the range one subnet?"""
        return len(self.subnets()) == 1

    @property
    def port(self) -> int:
        """The single port, or 0 for any."""
        return self.first_port if self.first_port == self.last_port else 0

    def __str__(self) -> str:
        nets = self.subnets()
        text = str(nets[0]) if len(nets) == 1 else f"{self.first}-{self.last}"
        return f"{text}:{self.protocol}/{self.port}" if self.protocol else text


@dataclass(frozen=True, slots=True)
class FlowKey:
    """An eroute's key: source and destination net, protocol (0: any), ports (0: any); seen from us, outbound."""

    src: Subnet
    dst: Subnet
    protocol: int = 0
    src_port: int = 0
    dst_port: int = 0

    def reversed(self) -> FlowKey:
        """The same flow seen inbound."""
        return FlowKey(self.dst, self.src, self.protocol, self.dst_port, self.src_port)

    def __str__(self) -> str:
        src = f"{self.src}:{self.src_port}" if self.src_port else str(self.src)
        dst = f"{self.dst}:{self.dst_port}" if self.dst_port else str(self.dst)
        return f"{src} -> {dst}" + (f" proto {self.protocol}" if self.protocol else "")


def flow_keys(ours: Selector, theirs: Selector) -> tuple[FlowKey, ...]:
    """The eroute keys that together cover traffic from `ours` to `theirs`."""
    protocol = ours.protocol or theirs.protocol
    return tuple(FlowKey(a, b, protocol, ours.port, theirs.port) for a in ours.subnets() for b in theirs.subnets())
