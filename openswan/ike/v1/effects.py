# SPDX-License-Identifier: GPL-2.0-or-later
"""What ISAKMP SAs alone tell: the rest of their effects are those of openswan.ike.effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from openswan.ike.effects import Effect as SharedEffect
from openswan.ike.v1.phase1 import ChosenIsakmp
from openswan.ike.v1.policy import IsakmpPolicy
from openswan.policy.identity import Identity

if TYPE_CHECKING:
    from openswan.ike.v1.exchanges import Exchanges


@dataclass(frozen=True, slots=True)
class IsakmpEstablished:
    """Both ends are authenticated: Quick Modes may begin."""

    policy: IsakmpPolicy
    peer_id: Identity
    chosen: ChosenIsakmp
    initiator: bool
    initial_contact: bool = False
    """The peer says it remembers no other SA with us (RFC 2407 4.6.3.3)."""
    user: str = ""
    """Who the peer has proved to be by XAUTH; empty: it was not asked, or"""
    failed_login: bool = False
    """gave a wrong password and was let in all the same."""


@dataclass(frozen=True, slots=True)
class InitialContact:
    """The peer says on an established ISAKMP SA that it remembers no other with us (RFC 2407 4.6.3.3)."""


@dataclass(frozen=True, slots=True)
class IsakmpReplaced:
    """`successor` has this SA's pairs of IPsec SAs and its waiting requests; this one lingers, then ends.

    Told again whenever the successor gets something more: of Quick Modes that were under way, or at the end. The peer
    may end the one that has taken over; then its successor is one of those whose place it took.
    """

    successor: Exchanges


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The peer repeats its part of a Quick Mode of ours: it does not have the pair of this inbound SPI yet."""

    spi_in: int


Effect: TypeAlias = SharedEffect | IsakmpEstablished | IsakmpReplaced | InitialContact | Unconfirmed
