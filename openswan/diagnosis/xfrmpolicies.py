# SPDX-License-Identifier: GPL-2.0-or-later
"""IPsec policies of the kernel's own, which are another program's: we have none."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

from openswan.base.address import Subnet


@dataclass(frozen=True, slots=True)
class KernelPolicy:
    """What it takes; sockets' own policies are left out."""

    src: Subnet
    dst: Subnet
    direction: str
    """out, in or fwd."""

    @property
    def remove(self) -> str:
        """The command that takes it out."""
        return f"ip xfrm policy delete src {self.src} dst {self.dst} dir {self.direction}"

    def takes(self, src: Subnet, dst: Subnet) -> bool:
        """Does it take packets between the two, one way or the other?"""
        one, other = (src, dst) if self.direction == "out" else (dst, src)
        return (
            self.src.version == one.version
            and self.dst.version == other.version
            and self.src.overlaps(one)
            and self.dst.overlaps(other)
        )


def read_policies(text: str) -> tuple[KernelPolicy, ...]:
    """What `ip xfrm policy` prints."""
    found = []
    nets: tuple[Subnet, Subnet] | None = None
    for words in map(str.split, text.splitlines()):
        if words[:1] == ["src"] and words[2:3] == ["dst"] and len(words) > 3:
            try:
                nets = ip_network(words[1], strict=False), ip_network(words[3], strict=False)
            except ValueError:
                nets = None
        elif words[:1] == ["dir"] and len(words) > 1 and nets is not None:
            found.append(KernelPolicy(*nets, words[1]))
            nets = None
    return tuple(found)
