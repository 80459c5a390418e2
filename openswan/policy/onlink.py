# SPDX-License-Identifier: GPL-2.0-or-later
"""Which destinations are on a link of this host, so that packets to them pass no router (RFC 4861 2.1, on-link).

What is there is never called at a gateway that its records name: it would answer past that gateway, in clear.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openswan.base.address import Address, Subnet
from openswan.policy.gateways import Gateway

MOST_NETS = 4096
"""That are looked at, the widest first."""
BITS = {4: 32, 6: 128}


@dataclass(frozen=True, slots=True)
class Links:
    """The nets of this host's links, and those within them that are reached by a router all the same."""

    direct: tuple[Subnet, ...] = ()
    routed: tuple[Subnet, ...] = ()


class OnLink:
    """The longest prefix decides, as it does for the kernel."""

    def __init__(self, links: Links = Links()) -> None:
        self.links = links
        self._nets: dict[tuple[int, int], dict[int, bool]] = {}
        """By family and prefix length, longest first: the leading bits, and whether they are on a link."""
        known = [(net, False) for net in links.routed] + [(net, True) for net in links.direct]
        for net, direct in sorted(known[-MOST_NETS:], key=lambda one: -one[0].prefixlen):
            leading = int(net.network_address) >> (BITS[net.version] - net.prefixlen)
            # Two routes to one net, of different metrics: what is on a link at all is on that link.
            nets = self._nets.setdefault((net.version, net.prefixlen), {})
            nets[leading] = nets.get(leading, False) or direct

    def __contains__(self, address: Address) -> bool:
        """Is it on a link of ours?"""
        for (version, length), nets in self._nets.items():
            if version == address.version:
                direct = nets.get(int(address) >> (BITS[version] - length))
                if direct is not None:
                    return direct
        return False

    def itself(self, destination: Address, gateways: Iterable[Gateway]) -> tuple[Gateway, ...]:
        """Those of a destination's gateways that it may be called at: on a link of ours none but itself."""
        return tuple(one for one in gateways if one.address == destination or destination not in self)
