# SPDX-License-Identifier: GPL-2.0-or-later
"""What an ISAKMP SA must be told by whoever owns connections and keys: frozen policies, and the questions it asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from openswan.base.address import Address, Endpoint
from openswan.base.errors import IkeError
from openswan.base.interval import Duration
from openswan.crypto.tokenkey import SigningKey
from openswan.ike.certificates import Records
from openswan.ike.policy import ChildPolicy
from openswan.ike.v1.life import UNSAID, Life
from openswan.ike.v1.phase1 import ChosenIsakmp, Terms
from openswan.policy.connection import SendCert
from openswan.policy.gateways import Published
from openswan.policy.identity import Identity
from openswan.policy.modecfg import Assigned, ConfigRole
from openswan.policy.selector import Selector


@dataclass(frozen=True, slots=True)
class IsakmpPolicy:
    """How one connection negotiates its ISAKMP SA."""

    name: str
    """The connection's name."""
    terms: Terms
    my_id: Identity
    peer_id: Identity | None
    """Whom we expect: policy.identity.matches decides; None: anybody who can prove what he says."""
    psk: bytes = field(default=b"", repr=False)
    private_key: SigningKey | None = field(default=None, repr=False)
    peer_keys: tuple[bytes, ...] = ()
    """The peer's raw RSA keys (RFC 3110 form)."""
    peer_published: bool = False
    """The peer's keys are in the DNS, and are looked up when it proves itself."""
    certificates: tuple[bytes, ...] = ()
    """Our certificate as DER and intermediate ones after it; empty: raw key."""
    send_cert: SendCert = SendCert.ALWAYS
    peer_certificate: bytes = b""
    """The peer's certificate as DER when it is configured here; it must then be that one."""
    peer_by_certificate: bool = False
    """The peer must prove itself by a certificate that chains to `anchors` and carries its identity."""
    anchors: tuple[bytes, ...] = ()
    """Trusted CA certificates, DER."""
    peer_ca: bytes = b""
    """DER of the name of the authority that the peer's chain must lead through; empty: any of `anchors` will do."""
    request_certs: bool = True
    """Ask the peer for its certificate, when it must prove itself by one."""
    aggressive: bool = False
    """Begin, and let the peer begin, by Aggressive Mode: whoever listens learns who both ends are."""
    nat_traversal: bool = True
    """Look for NATs, and have ESP travel in UDP where one is found."""
    force_nat: bool = False
    """Claim that we are behind one, so that ESP travels in UDP anyway."""
    dpd: bool = True
    """Announce that we answer R_U_THERE (RFC 3706 5.1)."""
    fragmentation: bool = True
    """Announce that messages may come in pieces, and cut them for a peer that says so too."""
    fragment_size: int = 1220
    """Largest IKE message in octets, header included, before it is cut."""
    unknown_peer: bool = False
    """Nothing says from which address the peer comes."""
    initial_contact: bool = False
    """As initiator: tell the peer that we remember no other SA with it (RFC 2407 4.6.3.3)."""
    xauth_user: str = ""
    """As XAUTH's client: who we are; empty: nobody is known,"""
    xauth_password: bytes = field(default=b"", repr=False)
    """and what proves it."""
    xauth_soft: bool = False
    """As server: who gives a wrong password is let in all the same, and marked."""
    config: ConfigRole = ConfigRole.NONE
    config_pull: bool = True
    """Mode Config: the client asks; else the server tells it."""
    ask_addresses: tuple[int, ...] = (4,)
    """As client: families of which an address is wanted."""
    wishes: tuple[Address, ...] = ()
    """Addresses we would like to have then."""
    assigns: tuple[int, ...] = (4,)
    """As server: families of which there are addresses."""
    unity: bool = False
    """As client ask for Cisco's attributes, whatever the server announces."""
    retransmit_interval: Duration = 0.5
    """First wait before a message is repeated; each next wait is twice as long."""
    retransmit_timeout: Duration = 60.0
    """A message is given up after this long in all."""
    first_patience: Duration = 0.0
    """The first message is sent once and given up after this; 0: it is as all others."""
    local_natt_port: int = 4500
    """Where we move when there is a NAT (RFC 3947 4)."""
    remote_natt_port: int = 4500
    """Where the peer listens then."""
    max_children: int = 64
    """Pairs of IPsec SAs one ISAKMP SA may hold; a peer's Quick Mode is refused beyond."""


@dataclass(frozen=True, slots=True)
class QuickPolicy(ChildPolicy):
    """How one connection negotiates a pair of IPsec SAs in Quick Mode: one selector on each side.

    With `pfs` we ask for the first group of the proposals, or without one for the ISAKMP SA's; as responder we insist
    on the groups the proposals name, or without one on any that is strong enough. `narrowing` lets a peer have less
    than the selectors. `virtual` and `trigger` mean nothing here.
    """

    life: Life = UNSAID
    """Seconds and kilobytes at most; of a ChildEstablished's policy it is what was agreed."""
    words: str = ""
    """The connection's policy as whack shows it, for the log: PSK+ENCRYPT+TUNNEL+PFS+UP."""


class NotYet(IkeError):
    """What a message asks for is being looked up: it counts as not heard, and comes again."""


@dataclass(frozen=True, slots=True)
class QuickQuestion:
    """Whose traffic an authenticated peer wants to protect. Quick Mode has one selector on each side."""

    isakmp: IsakmpPolicy
    peer_id: Identity
    local: Endpoint
    remote: Endpoint
    mine: Selector
    """IDcr: our side; without one our address as IKE uses it (RFC 2409 5.5)."""
    theirs: Selector
    """IDci: the peer's side."""
    transport: bool = False
    """It asks for transport mode; behind a NAT the selectors have the addresses we see."""
    assigned: tuple[Address, ...] = ()
    """Addresses we have given it."""


@dataclass(frozen=True, slots=True)
class LeaseQuestion:
    """A peer that has proved itself, by XAUTH too if that was agreed, is to have addresses."""

    isakmp: IsakmpPolicy
    peer_id: Identity
    user: str
    """XAUTH's; empty: there was none."""
    versions: tuple[int, ...]
    """Families."""
    remote: Address
    wish: Address | None = None


@dataclass(frozen=True, slots=True)
class IdQuestion:
    """Who an initiator says it is. By a preshared key it has proved to have that; by a signature it has yet to."""

    policy: IsakmpPolicy
    """What its addresses have led to."""
    local: Endpoint
    remote: Endpoint
    peer_id: Identity
    chosen: ChosenIsakmp
    issuers: tuple[bytes, ...] = ()
    """DER of the names of the authorities of the certificates it sent."""


class Owner(Records, Protocol):
    """Questions an ISAKMP SA asks while it works; the owner of connections and secrets implements it."""

    def isakmp_policy(self, local: Endpoint, remote: Endpoint) -> IsakmpPolicy:
        """At the first message: the policy these addresses lead to.

        IkeError (notify 14, NO_PROPOSAL_CHOSEN) when no connection has been authorized.
        """

    def refine(self, question: IdQuestion) -> IsakmpPolicy:
        """The policy the identity falls under, with what was agreed so far among its terms and the same preshared key.

        IkeError (notify 18, INVALID_ID_INFORMATION) when there is no suitable connection.
        """

    def aggressive_policy(self, local: Endpoint, remote: Endpoint, peer_id: Identity) -> IsakmpPolicy:
        """At the first message of Aggressive Mode: the policy of whom it says it is, which nobody has proved yet.

        IkeError (notify 14, NO_PROPOSAL_CHOSEN) when no connection has been authorized.
        """

    def published(self, identity: Identity, remote: Address) -> Published | str:
        """The keys the DNS has for a peer at `remote` that claims `identity`, or the name to be looked up first.

        CryptoError when it claims what the DNS cannot bind to its address, or too many are looked up.
        """

    def lease(self, question: LeaseQuestion) -> Assigned:
        """Addresses for a peer, which are its own as long as this ISAKMP SA or one that took its place lives.

        IkeError when there is none of any family it may have.
        """

    def quick_policy(self, question: QuickQuestion) -> QuickPolicy:
        """The policy for a peer's clients, perhaps of another connection of the same peer.

        Its `mine` and `theirs` have to be those asked for, or with `narrowing` to contain them. IkeError (notify 18,
        INVALID_ID_INFORMATION) when no connection is known for them; NotYet while that is being looked up.
        """

    def number(self) -> int:
        """The next number of a state, under which the log speaks of a Quick Mode that the peer begins."""

    def knows_another(self, local: Endpoint, remote: Endpoint) -> bool:
        """Is there an established ISAKMP SA with this peer already?"""

    def spi_in_use(self, spi: int) -> bool:
        """Is this inbound ESP or AH SPI taken?"""

    def cpi_in_use(self, cpi: int) -> bool:
        """Is this inbound Compression Parameter Index taken?"""
