# SPDX-License-Identifier: GPL-2.0-or-later
"""A pair of IPsec SAs as its ISAKMP SA remembers it; keys are handed over and not kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openswan.base.interval import Instant
from openswan.ike.policy import ChosenChild, Extras
from openswan.ike.v1.policy import QuickPolicy
from openswan.policy.selector import Selector
from openswan.wire.v2.numbers import ProtocolId


@dataclass(slots=True)
class Child:
    """One pair of SAs."""

    policy: QuickPolicy
    """Its life is what was agreed."""
    spi_in: int
    spi_out: int
    chosen: ChosenChild
    mine: tuple[Selector, ...]
    theirs: tuple[Selector, ...]
    initiator: bool
    """Did we ask for it?"""
    established: Instant
    extras: Extras
    token: int = 0
    """The owner's number."""
    replaced_by: int = 0
    """Inbound SPI of the pair that took over; 0: none."""
    delete_at: Instant | None = None
    """When it goes because another has taken over."""

    @property
    def protocol(self) -> ProtocolId:
        """ESP or AH."""
        return self.chosen.protocol

    def loses_to(self, other: Child) -> bool:
        """Of two pairs that both ends have made at once one stays, by what both know of them."""
        return min(self.spi_in, self.spi_out) < min(other.spi_in, other.spi_out)

    def is_like(self, other: Child) -> bool:
        """Is it for the same clients, by the same protocol?"""
        return (self.protocol, self.mine, self.theirs) == (other.protocol, other.mine, other.theirs)


def by_spi_out(children: Iterable[Child], protocol: int, spi: int) -> Child | None:
    """The pair whose outbound SA this is: how the peer names it in a Delete."""
    return next((child for child in children if (child.protocol, child.spi_out) == (protocol, spi)), None)


def newest_like(children: Iterable[Child], new: Child) -> Child | None:
    """The youngest pair for the same clients that nothing has taken over from yet."""
    like = [one for one in children if one is not new and not one.replaced_by and one.is_like(new)]
    return max(like, key=lambda one: one.established, default=None)


def has_younger(children: Iterable[Child], old: Child) -> bool:
    """Is there a pair for the same clients that was made later?"""
    return any(one.is_like(old) and one.established > old.established for one in children)
