# SPDX-License-Identifier: GPL-2.0-or-later
"""A pair of ESP or AH SAs as its IKE SA remembers it; keys are handed over and not kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openswan.base.interval import Instant
from openswan.ike.policy import NO_EXTRAS, ChildPolicy, ChosenChild, Extras
from openswan.policy.selector import Selector
from openswan.wire.v2.numbers import ProtocolId


@dataclass(slots=True)
class Child:
    """One child SA."""

    policy: ChildPolicy
    spi_in: int
    spi_out: int
    chosen: ChosenChild
    mine: tuple[Selector, ...]
    theirs: tuple[Selector, ...]
    initiator: bool
    """Did we ask for it?"""
    established: Instant
    extras: Extras = NO_EXTRAS
    """Mode and compression."""
    deleting: bool = False
    """A Delete of ours is waiting or on its way."""
    replaced_by: int = 0
    """Inbound SPI of the child that took over; 0: none."""
    redundant: bool = False
    """Lost a simultaneous rekeying."""

    @property
    def protocol(self) -> ProtocolId:
        """ESP or AH."""
        return self.chosen.protocol


def by_spi_out(children: Iterable[Child], protocol: ProtocolId, spi: int) -> Child | None:
    """The child whose outbound SA this is: how the peer names it in REKEY_SA and Delete."""
    return next((child for child in children if (child.protocol, child.spi_out) == (protocol, spi)), None)
