# SPDX-License-Identifier: GPL-2.0-or-later
"""NAT traversal: which of its dialects both ends speak, and who is behind a NAT (RFC 3947, drafts 02 and 03)."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass

from openswan.base.address import Endpoint
from openswan.crypto.oakley import Oakley, nat_hash
from openswan.wire.v1 import vendor
from openswan.wire.v1.message import Content
from openswan.wire.v1.natd import NatD, NatDDraft, NatOa, NatOaDraft
from openswan.wire.v1.numbers import Encapsulation


@dataclass(frozen=True, slots=True)
class Method:
    """One dialect: how it is announced, its payloads, and its numbers for ESP in UDP."""

    name: str
    vendor: bytes
    natd: type[NatD]
    natoa: type[NatOa]
    tunnel: Encapsulation
    transport: Encapsulation


def _draft(name: str, announced: bytes) -> Method:
    tunnel, transport = Encapsulation.UDP_TUNNEL_DRAFT, Encapsulation.UDP_TRANSPORT_DRAFT
    return Method(name, announced, NatDDraft, NatOaDraft, tunnel, transport)


METHODS = (
    Method(
        "RFC 3947 (NAT-Traversal)",
        vendor.NATT_RFC,
        NatD,
        NatOa,
        Encapsulation.UDP_TUNNEL,
        Encapsulation.UDP_TRANSPORT,
    ),
    _draft("draft-ietf-ipsec-nat-t-ike-03", vendor.NATT_DRAFT_03),
    _draft("draft-ietf-ipsec-nat-t-ike-02_n", vendor.NATT_DRAFT_02_N),
    _draft("draft-ietf-ipsec-nat-t-ike-02", vendor.NATT_DRAFT_02),
)
"""Best first."""


@dataclass(frozen=True, slots=True)
class Cookies:
    """What the hashes cover beside an address and a port."""

    initiator: bytes
    responder: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """Who is behind a NAT."""

    here: bool
    there: bool

    def __str__(self) -> str:
        """The classic words."""
        if self.here and self.there:
            return "both are NATed"
        if self.here:
            return "i am NATed"
        return "peer is NATed" if self.there else "no NAT detected"

    @property
    def any(self) -> bool:
        """Has ESP to travel in UDP?"""
        return self.here or self.there


def agreed(announced: Collection[bytes]) -> Method | None:
    """The best dialect the peer has announced too."""
    return next((method for method in METHODS if method.vendor in announced), None)


def hashes(oakley: Oakley, method: Method, cookies: Cookies, local: Endpoint, remote: Endpoint) -> list[NatD]:
    """What an end says of addresses and ports: first the other end's, then its own (RFC 3947 3.2)."""
    return [method.natd(_hash(oakley, cookies, end)) for end in (remote, local)]


def detect(
    oakley: Oakley, method: Method, content: Content, cookies: Cookies, local: Endpoint, remote: Endpoint
) -> Found | None:
    """What the peer's hashes show; None when there are not both kinds, and nothing is known.

    A peer of several addresses sends a hash for each behind the first: one that fits is enough.
    """
    said = [one.data for one in content.payloads if type(one) is method.natd and isinstance(one, NatD)]
    if len(said) < 2:
        return None
    there = _hash(oakley, cookies, remote)
    return Found(
        not hmac.compare_digest(said[0], _hash(oakley, cookies, local)),
        not any(hmac.compare_digest(one, there) for one in said[1:]),
    )


def modes(method: Method | None, *, udp: bool, transport: bool) -> tuple[Encapsulation, ...]:
    """The encapsulation mode that phase 2 has to agree on (RFC 3947 5.1)."""
    if method is None or not udp:
        return (Encapsulation.TRANSPORT if transport else Encapsulation.TUNNEL,)
    return (method.transport if transport else method.tunnel,)


def _hash(oakley: Oakley, cookies: Cookies, end: Endpoint) -> bytes:
    return nat_hash(oakley, cookies.initiator, cookies.responder, end.address.packed, end.port)
