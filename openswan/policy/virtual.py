# SPDX-License-Identifier: GPL-2.0-or-later
"""leftsubnet=vhost:... and vnet:...: what a road warrior may have behind it, or be itself behind a NAT."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openswan.base.address import Subnet
from openswan.policy.selector import Selector


@dataclass(frozen=True, slots=True)
class Virtual:
    """The clients one %any end may ask for."""

    allowed: tuple[Subnet, ...] = ()
    refused: tuple[Subnet, ...] = ()
    """Never, though they lie in `allowed`: virtual_private's %v4:!NET."""
    itself: bool = False
    """%no: no client, just the address the peer comes from."""
    networks: bool = False
    """vnet: a subnet of any size; vhost: one address."""

    def fits(self, client: Selector) -> bool:
        """May a peer have that for its client?"""
        if not self.networks and client.first != client.last:
            return False
        return any(Selector.of(net).contains(_any_port(client)) for net in self.allowed) and not any(
            Selector.of(net).intersect(_any_port(client)) for net in self.refused
        )

    def choose(self, proposed: Iterable[Selector], ours: Selector) -> Selector | None:
        """The first of what a peer proposes that it may have and that is not our own client."""
        return next((one for one in proposed if self.fits(one) and not ours.intersect(one)), None)


def _any_port(client: Selector) -> Selector:
    return Selector(client.first, client.last)
