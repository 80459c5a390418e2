# SPDX-License-Identifier: GPL-2.0-or-later
"""One Quick Mode: what has been said in it so far, and what is done about repetitions (RFC 2409 5.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from openswan.base.address import Address
from openswan.base.interval import Instant
from openswan.crypto.dh import DhPair
from openswan.ike.events import CreateChild, RekeyChild
from openswan.ike.retransmit import Outstanding
from openswan.ike.v1.clients import Clients
from openswan.ike.v1.phase2 import ChosenIpsec
from openswan.ike.v1.policy import QuickPolicy
from openswan.ike.v1.states import ALLOWED, State
from openswan.wire.v1.sa import Sa


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both ends agree to: all that makes a pair of SAs."""

    policy: QuickPolicy
    chosen: ChosenIpsec
    clients: Clients
    """By the addresses we see."""
    transport: bool
    original: tuple[Address, Address] | None
    """Transport mode behind a NAT: the peer's address and ours as the peer writes them."""
    nonce_i: bytes
    nonce_r: bytes
    shared: bytes = field(repr=False)
    """g(qm)^xy, empty without PFS."""


@dataclass(slots=True)
class Quick:
    """A Quick Mode of either end; `message_id` finds it."""

    message_id: int
    is_initiator: bool
    iv: bytes
    """The next message's."""
    state: State
    until: Instant
    """When it is forgotten, unless something is outstanding."""
    begun: Instant = 0.0
    """When its first message was sent or came."""
    request: CreateChild | RekeyChild | None = None
    """As initiator: what is asked of us."""
    number: int = 0
    """As responder: what the owner calls it."""
    policy: QuickPolicy | None = None
    offered: Sa | None = None
    """As initiator: our proposals."""
    pair: DhPair | None = None
    nonce: bytes = b""
    spi: int = 0
    """Ours, 0: none was named yet, or nothing will come of it."""
    cpi: int = 0
    agreement: Agreement | None = None
    outstanding: Outstanding | None = None
    """What is repeated until it is answered."""
    heard: bytes = b""
    """The digest of the datagram last acted on."""
    reply: bytes = field(default=b"", repr=False)
    """What was sent for it."""
    replays: int = 0

    @property
    def token(self) -> int:
        """The owner's number for it and for the pair that comes of it."""
        return self.request.token if self.request is not None else self.number

    @property
    def is_open(self) -> bool:
        """Is something still to come?"""
        return self.state in (State.QUICK_I1, State.QUICK_R1)

    def move(self, target: State) -> None:
        """Change state; a move that is not in the table is a bug."""
        if (self.state, target) not in ALLOWED:
            raise RuntimeError(f"no transition from {self.state} to {target}")
        self.state = target

    def close(self) -> None:
        """Nothing more is wanted of it; what is secret goes."""
        self.outstanding = self.pair = self.agreement = None
