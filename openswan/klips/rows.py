# SPDX-License-Identifier: GPL-2.0-or-later
"""What the compiled engine answers about an SA, by name; it alone keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

from _fast.cipher import CIPHERS, INTEGS
from openswan.base.address import Address, Endpoint
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.klips.keys import IN_STREAM, RawSelector, address
from openswan.plane.commands import Direction, Life, Mode
from openswan.policy.selector import Selector

CIPHER_NAMES = {number: name for name, number in CIPHERS.items()}
INTEG_NAMES = {number: name for name, number in INTEGS.items()}


@dataclass(frozen=True, slots=True)
class Note:
    """What the engine only keeps: whose an SA or eroute is. SAs and eroutes that were made together share one."""

    owner: str
    serial: int
    device: str


class SaRow(NamedTuple):
    """SaFacts of _fast.pump."""

    cookie: int
    proto: int
    spi: int
    name: bytes
    inbound: bool
    transport: bool
    cipher_number: int
    integ_number: int
    esn: bool
    window: int
    encap: int
    local: bytes
    local_port: int
    remote: bytes
    remote_port: int
    path_mtu: int
    inner_mtu: int
    limits: list[int]
    raw_selectors: list[RawSelector]
    kept_mtu: int
    unproven: bool
    any_note: object

    @property
    def note(self) -> Note:
        """Whose it is."""
        return cast(Note, self.any_note)

    @property
    def said(self) -> Said:
        """As it was added: the destination stays though the path moves."""
        return Said(IpProtocol(self.proto), self.spi, address(self.name))

    @property
    def direction(self) -> Direction:
        """Which way."""
        return Direction.IN if self.inbound else Direction.OUT

    @property
    def mode(self) -> Mode:
        """What it wraps."""
        return Mode.TRANSPORT if self.transport else Mode.TUNNEL

    @property
    def life(self) -> Life:
        """When it ends by use."""
        return Life(*self.limits)

    @property
    def cipher(self) -> str:
        """Its name as it was added; empty for AH and IPIP."""
        if self.proto == IpProtocol.ESP:
            return CIPHER_NAMES[self.cipher_number]
        return "deflate" if self.proto == IpProtocol.COMP else ""

    @property
    def integ(self) -> str:
        """Its name; empty with an AEAD."""
        return INTEG_NAMES[self.integ_number]

    @property
    def ends(self) -> tuple[Endpoint, Endpoint]:
        """Our outer endpoint and the peer's, by now."""
        stream = self.encap == IN_STREAM
        return (
            Endpoint(address(self.local), self.local_port, stream),
            Endpoint(address(self.remote), self.remote_port, stream),
        )

    @property
    def src(self) -> Address:
        """Outer source."""
        return address(self.remote if self.inbound else self.local)

    @property
    def ports(self) -> tuple[int, int] | None:
        """Source and destination port of its UDP or TCP; None: it has neither."""
        if not self.encap:
            return None
        return (self.remote_port, self.local_port) if self.inbound else (self.local_port, self.remote_port)

    @property
    def selectors(self) -> tuple[tuple[Selector, Selector], ...]:
        """What may come out of an inbound one: pairs whose sides name the same protocol."""
        return tuple(_pair(raw) for raw in self.raw_selectors)


def _pair(raw: RawSelector) -> tuple[Selector, Selector]:
    _, protocol, first, last, far_first, far_last, low, high, far_low, far_high = raw
    return (
        Selector(address(first), address(last), protocol, low, high),
        Selector(address(far_first), address(far_last), protocol, far_low, far_high),
    )
