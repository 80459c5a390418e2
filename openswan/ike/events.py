# SPDX-License-Identifier: GPL-2.0-or-later
"""What an IKE SA is asked to do: frozen requests that wait in its queue until the message-ID window has room.

A datagram and the clock are the other things that go in; they are method arguments (`receive`, `timer`). `token` is
the asker's own number: it comes back in the effect that tells how the request ended. 0 means nobody asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from openswan.base.address import Address
from openswan.base.interval import Duration
from openswan.ike.policy import ChildPolicy


@dataclass(frozen=True, slots=True)
class CreateChild:
    """Negotiate a new pair of ESP SAs (RFC 7296 1.3.1). Ends in ChildEstablished or RequestFailed."""

    policy: ChildPolicy
    token: int = 0


@dataclass(frozen=True, slots=True)
class RekeyChild:
    """Replace the child whose inbound SPI this is (RFC 7296 1.3.3). Ends in ChildEstablished or RequestFailed."""

    spi_in: int
    token: int = 0
    policy: ChildPolicy | None = None
    """None: the policy the child was made with."""


@dataclass(frozen=True, slots=True)
class RekeyIke:
    """Replace this IKE SA by a successor (RFC 7296 1.3.2). Ends in IkeRekeyed or RequestFailed."""

    token: int = 0


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Close the child whose inbound SPI this is (RFC 7296 1.4.1). Ends in ChildGone."""

    spi_in: int
    token: int = 0


@dataclass(frozen=True, slots=True)
class DeleteIke:
    """Close this IKE SA and all its children (RFC 7296 1.4.1). Ends in Forget."""

    token: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask whether the peer is alive, by an empty INFORMATIONAL request (RFC 7296 2.4).

    Ends in ProbeAnswered; no answer within the retransmission time ends the IKE SA like any unanswered request.
    """

    token: int = 0
    patience: Duration = 0.0
    """Seconds it is repeated, if that is less than the retransmission time; 0: that."""
    quiet: bool = False
    """Silence means nothing while no other request waits: it is repeated for ever, now and then."""
    pressing: bool = False
    """Packets wait for the answer."""


@dataclass(frozen=True, slots=True)
class ProbePath:
    """Find the largest of `sizes` (octets of IKE messages, descending) that reaches the peer; the last is safe.

    Ends in PathProbed, or RequestFailed when the peer takes no fragments (RFC 7383).
    """

    sizes: tuple[int, ...]
    wait: Duration
    """For each size but the last."""
    token: int = 0


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a notification in an INFORMATIONAL exchange (RFC 7296 2.21.4); nothing comes of it."""

    kind: int
    """Notify Message Type."""
    data: bytes
    token: int = 0


@dataclass(frozen=True, slots=True)
class MoveIke:
    """Our address is another one now: use it, and tell the peer (RFC 4555 3.5). Ends in PeerMoved, at once."""

    local: Address
    token: int = 0


@dataclass(frozen=True, slots=True)
class TellAddresses:
    """Our addresses have changed and the peer decides which are used (RFC 4555 3.6). Has no effect of its own."""

    token: int = 0


Request: TypeAlias = (
    CreateChild | RekeyChild | RekeyIke | DeleteChild | DeleteIke | Probe | ProbePath | Tell | MoveIke | TellAddresses
)
