# SPDX-License-Identifier: GPL-2.0-or-later
"""What an IKE SA must be told by whoever owns connections and keys: frozen policies, and the questions it asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Protocol

from cryptography.x509 import Certificate

from openswan.base.address import Address, Endpoint
from openswan.base.interval import Duration, Instant
from openswan.crypto import registry
from openswan.crypto.registry import Kind
from openswan.crypto.revocation import Question
from openswan.crypto.tokenkey import SigningKey
from openswan.policy.connection import Auth, Childless, PpkUse, SendCert
from openswan.policy.gateways import Published
from openswan.policy.identity import Identity
from openswan.policy.modecfg import Assigned
from openswan.policy.proposal import NO_KE, Proposal, Transform
from openswan.policy.selector import Selector
from openswan.wire.v2.cert import HashUrl
from openswan.wire.v2.numbers import ProtocolId

if TYPE_CHECKING:
    from openswan.ike.resumption import Session, TicketBox


@dataclass(frozen=True, slots=True)
class IkePolicy:
    """How one connection negotiates its IKE SA."""

    name: str
    """The connection's name."""
    proposals: tuple[Proposal, ...]
    """IKE proposals, best first; never empty."""
    my_id: Identity
    peer_id: Identity | None
    """Whom we expect: policy.identity.matches decides; None: anybody who can prove what he says."""
    my_auth: Auth
    """How we prove ourselves: one flag, or several of which the first possible one is used (ECDSA, RSASIG, PSK)."""
    peer_auth: Auth
    """How the peer may prove itself."""
    psk: bytes = field(default=b"", repr=False)
    private_key: SigningKey | None = field(default=None, repr=False)
    certificates: tuple[bytes, ...] = ()
    """Our certificate as DER and intermediate ones after it; empty: raw key."""
    resumption: bool = False
    """As initiator ask for a ticket to resume the IKE SA by, as responder give one (RFC 5723)."""
    childless: Childless = Childless.ALLOW
    """Whether IKE_AUTH may, or as initiator shall, go without a child; the first one follows then."""
    intermediate: bool = False
    """Offer IKE_INTERMEDIATE (RFC 9242) also when no additional key exchange is proposed, and then do one."""
    ppk: PpkUse = PpkUse.NO
    """Postquantum preshared keys (RFC 8784)."""
    ppks: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    """Those this connection may use, (name, secret), best first."""
    eap_identity: str = ""
    """EAP: the user name we give, or the only one we let in; empty: our identity, and anybody with a secret."""
    send_cert: SendCert = SendCert.ALWAYS
    peer_keys: tuple[bytes, ...] = ()
    """The peer's raw keys, as crypto.dnskey.raw_octets has them; used when it proves itself by no certificate."""
    peer_published: bool = False
    """The peer's raw keys are in the DNS, under its address or the name that its address has there."""
    peer_name: Identity | None = None
    """What it may call itself instead of `peer_id`: the name by which the DNS has led us to it."""
    peer_certificate: bytes = b""
    """The peer's certificate as DER when it is configured here; it must then be that one."""
    peer_by_certificate: bool = False
    """The peer must prove itself by a certificate that chains to `anchors` and carries its identity."""
    anchors: tuple[bytes, ...] = ()
    """Trusted CA certificates, DER."""
    peer_ca: bytes = b""
    """DER of the name of the authority that the peer's chain must lead through; empty: any of `anchors` will do."""
    request_certs: bool = True
    """Ask the peer for its certificate, when it may prove itself by one."""
    fetch_certs: bool = False
    """And tell it that hash and URL of the certificate will do."""
    certificate_bases: tuple[str, ...] = ()
    """For each of `certificates`, what stands before its hash in the URL a peer can fetch it from; "": it cannot."""
    encapsulation: str = "auto"
    """UDP encapsulation of ESP: auto (NAT found, or both ends prefer it), yes or no (never, and no NAT detection)."""
    fragmentation: bool = True
    """Announce and use IKE fragmentation (RFC 7383)."""
    fragment_size: int = 1220
    """Largest IKE message in octets, header included, before it is cut into fragments."""
    retransmit_interval: Duration = 0.5
    """First wait before a request is repeated; each next wait is twice as long."""
    retransmit_timeout: Duration = 60.0
    """A request is given up after this long in all."""
    brisk: Duration = 0.0
    """Requests that packets wait for are repeated faster for so long: all until the IKE SA is up, some afterwards."""
    init_once: bool = False
    """IKE_SA_INIT is not repeated: nobody may be there."""
    init_timeout: Duration = 0.0
    """The first one, if that is less; 0: it is not."""
    initial_contact: bool = False
    """As initiator: tell the peer that we remember no other SA with it."""
    accept_redirect: bool = False
    """As initiator: the peer may send us to another gateway (RFC 5685)."""
    redirected_from: Address | None = None
    """The gateway that has sent us to this peer."""
    redirect_to: Address | None = None
    """As responder: where the peer is sent once it has proved itself."""
    window: int = 32
    """Requests that may be unanswered at once, each way, with a peer that takes more than one (RFC 7296 2.3)."""
    max_children: int = 64
    """Children one IKE SA may hold; the peer gets NO_ADDITIONAL_SAS beyond."""
    local_natt_port: int = 4500
    """Where we move when ESP will travel in UDP."""
    remote_natt_port: int = 4500
    """Where the peer listens then."""
    own_vendor: bool = True
    """Announce that we are built from this project: two such ends prefer UDP encapsulation."""
    mobike: bool = False
    """Follow changes of address, ours and the peer's (RFC 4555)."""
    ask_addresses: tuple[int, ...] = ()
    """As initiator: families of which the responder is asked for an address (RFC 7296 2.19)."""
    wishes: tuple[Address, ...] = ()
    """Addresses we would like to have then."""
    assigns: bool = False
    """As responder: whoever falls under this policy has to ask for an address."""
    only_behind_nat: bool = False
    """Addresses are asked for, and given, only where the one who asks is behind NAT; nobody has to ask."""


@dataclass(frozen=True, slots=True)
class ChildPolicy:
    """How one connection negotiates a pair of ESP or AH SAs."""

    name: str
    """The connection's name."""
    proposals: tuple[Proposal, ...]
    """All ESP or all AH, best first; never empty. `dh` is only used outside IKE_AUTH."""
    mine: tuple[Selector, ...]
    theirs: tuple[Selector, ...]
    pfs: bool = True
    """A fresh key exchange for SAs made outside IKE_AUTH; with no `dh` in the proposals the IKE SA's group is used.
    A peer that wants one gets it also when this is false."""
    narrowing: bool = False
    """Accept less than the selectors above (RFC 7296 2.9)."""
    pfs_optional: bool = False
    """A peer whose proposals have no group gets its SAs without one; with `pfs` only, it is refused."""
    transport: bool = False
    """Transport mode, and nothing else (RFC 7296 1.3.1)."""
    compress: bool = False
    """Offer IPComp with DEFLATE, and take it when offered (RFC 7296 2.22)."""
    unpadded: bool = False
    """Tell the peer not to pad packets to hide their lengths (RFC 7296 3.10.1)."""
    virtual: bool = False
    """Our side is the address the responder assigns; `mine` is what it is narrowed from."""
    cat: bool = False
    """It is so where we are behind NAT and ask for an address (IkePolicy.only_behind_nat)."""
    trigger: tuple[Selector, Selector] | None = None
    """Source and destination of the packet that wants this child, seen from us: where less than all may be agreed it is
    named first, so that it is what the peer's choice covers (RFC 7296 2.9)."""

    @property
    def protocol(self) -> ProtocolId:
        """ESP or AH."""
        return ProtocolId(self.proposals[0].protocol)


@dataclass(frozen=True, slots=True)
class ChosenIke:
    """The IKE SA's algorithms: one of each kind."""

    encr: Transform
    integ: Transform | None
    """None with an AEAD."""
    prf: Transform
    dh: Transform
    addke: tuple[Transform, ...] = ()
    """Additional key exchanges, in their order (RFC 9370)."""

    def allowed_by(self, proposals: Iterable[Proposal]) -> bool:
        """Could they have come of one of these proposals?"""
        return any(
            self.encr in p.encr
            and self.prf in p.prf
            and self.dh in p.dh
            and self.addke in {tuple(t for t in choice if t != NO_KE) for choice in product(*filter(None, p.addke))}
            for p in proposals
        )

    def __str__(self) -> str:
        """`cipher=aes_gcm_16_256 integ=n/a prf=sha256 group=modp2048`: the classic short names."""
        encr = registry.get(Kind.ENCR, self.encr.name).short
        bits = f"_{self.encr.key_bits}" if self.encr.key_bits else ""
        integ = registry.get(Kind.INTEG, self.integ.name).short if self.integ else "n/a"
        prf, group = registry.get(Kind.PRF, self.prf.name).short, registry.get(Kind.DH, self.dh.name).short
        more = "".join("+" + registry.get(Kind.DH, one.name).short for one in self.addke)
        return f"cipher={encr}{bits} integ={integ} prf={prf} group={group}{more}"


@dataclass(frozen=True, slots=True)
class ChosenChild:
    """A child's algorithms."""

    encr: Transform | None
    """None for AH."""
    integ: Transform | None
    """None with an AEAD."""
    esn: bool
    dh: Transform | None = None
    """The fresh key exchange, None without one."""
    addke: tuple[Transform, ...] = ()
    """Additional key exchanges, in their order (RFC 9370)."""

    @property
    def protocol(self) -> ProtocolId:
        """ESP or AH: what goes without encryption is AH, as even NULL has a name."""
        return ProtocolId.AH if self.encr is None else ProtocolId.ESP

    def __str__(self) -> str:
        """`aes_gcm_16_256-none`, `aes_cbc_128-hmac_sha1_96`; AH has its integrity alone."""
        if self.encr is None:
            return self.integ.name if self.integ else "none"
        encr = f"{self.encr.name}_{self.encr.key_bits}" if self.encr.key_bits else self.encr.name
        return f"{encr}-{self.integ.name if self.integ else 'none'}"


@dataclass(frozen=True, slots=True)
class Extras:
    """What a child has beside its algorithms."""

    transport: bool = False
    """Transport mode; else a tunnel."""
    cpi_in: int = 0
    """Compression Parameter Index we receive under; 0: no compression."""
    cpi_out: int = 0
    """The peer's."""
    original: tuple[Address, Address] | None = None
    """Transport mode behind a NAT: source and destination of inbound packets as the peer wrote them."""
    unpadded: bool = False
    """The peer takes no packets that are padded to hide their lengths (ESP_TFC_PADDING_NOT_SUPPORTED)."""


NO_EXTRAS = Extras()


@dataclass(frozen=True, slots=True)
class AuthQuestion:
    """What a peer that has not proved anything yet claims in its IKE_AUTH request."""

    local: Endpoint
    remote: Endpoint
    peer_id: Identity
    my_id: Identity | None
    """IDr: who it wants us to be; None: it does not care."""
    method: Auth
    """How it will prove itself; RSASIG and ECDSA both with or without a certificate."""
    has_certificate: bool
    chosen: ChosenIke
    wants_address: bool = False
    """It asks for an address."""
    issuers: tuple[bytes, ...] = ()
    """DER of the names of the authorities of the certificates it sent."""


@dataclass(frozen=True, slots=True)
class ChildQuestion:
    """What an authenticated peer wants to protect."""

    ike: IkePolicy
    peer_id: Identity
    local: Endpoint
    remote: Endpoint
    mine: tuple[Selector, ...]
    """TSr as proposed: our side."""
    theirs: tuple[Selector, ...]
    """TSi as proposed: the peer's side."""
    transport: bool = False
    """It asks for transport mode; selectors behind a NAT are as we see them (RFC 7296 2.23.1)."""
    assigned: tuple[Address, ...] = ()
    """Addresses we have given it."""
    anonymous: bool = False
    """The peer has proved nothing (RFC 7619): it takes nothing from anybody who has."""
    version: int = 2
    """Of IKE: a connection is for one of them."""


@dataclass(frozen=True, slots=True)
class AddressQuestion:
    """An authenticated peer asks for addresses."""

    ike: IkePolicy
    peer_id: Identity
    versions: tuple[int, ...]
    """Families."""
    wishes: tuple[Address, ...] = ()
    user: str = ""
    """Who it is besides, by XAUTH (IKEv1): an address for each."""


class Responder(Protocol):
    """Questions an IKE SA asks while it works; the owner of connections and secrets implements it.

    Answers are given at once. An initiator asks them too: its peer may want further children or a clock.
    """

    def ike_candidates(self, local: Endpoint, remote: Endpoint) -> tuple[IkePolicy, ...]:
        """At IKE_SA_INIT: every policy these addresses allow, best first.

        IkeError (notify 14, NO_PROPOSAL_CHOSEN) when there is none.
        """

    def authenticate(self, question: AuthQuestion) -> IkePolicy:
        """At IKE_AUTH: the policy the claimed identity falls under; its secrets and keys judge the claim.

        IkeError (notify 24, AUTHENTICATION_FAILED) when there is none.
        """

    def child(self, question: ChildQuestion) -> ChildPolicy:
        """The policy for proposed selectors, perhaps of another connection of the same peer.

        Its selectors may be wider or narrower than proposed; the machine intersects. IkeError (notify 38,
        TS_UNACCEPTABLE) when no connection fits.
        """

    def addresses(self, question: AddressQuestion) -> Assigned:
        """Addresses for a peer, which are its own as long as this IKE SA lives.

        IkeError (notify 36, INTERNAL_ADDRESS_FAILURE) when there is none of any family it asks for.
        """

    def published(self, identity: Identity, remote: Address) -> Published | str:
        """The keys that the DNS has for a peer at `remote` that claims `identity`, or the name to be looked up first.

        CryptoError when it claims something that the DNS does not bind to its address, or too much is asked for.
        """

    def knows_gateways(self, host: Address) -> bool:
        """Is it known who the gateways of a host behind a peer are, or that nobody will say?"""

    def ticket_box(self) -> TicketBox | None:
        """Who seals and opens our tickets; None: nobody does."""

    def resumable(self, session: Session, local: Endpoint, remote: Endpoint) -> IkePolicy:
        """The policy of the connection a ticket names, as it is now; IkeError when that does not let it go on."""

    def password(self, user: str) -> str | None:
        """The password of an EAP user; None when there is no such user."""

    def crash_token(self, spi_i: bytes, spi_r: bytes) -> bytes:
        """What would prove that we have lost the IKE SA with these SPIs (RFC 6290); empty: we have no secret."""

    def other_addresses(self, local: Address) -> tuple[Address, ...]:
        """Where we can be reached beside `local` (RFC 4555 3.4)."""

    def spi_in_use(self, spi: int) -> bool:
        """Is this inbound ESP or AH SPI taken?"""

    def cpi_in_use(self, cpi: int) -> bool:
        """Is this inbound Compression Parameter Index taken?"""

    def revocation(self, chain: Sequence[Certificate], at: datetime) -> tuple[Question, ...]:
        """What must be fetched before a chain, leaf first, can be judged; nothing: none of it is known to be revoked.

        CryptoError when a certificate is revoked, or nothing is known of it and the configuration wants that known.
        """

    def certificate(self, what: HashUrl, remote: Address) -> bytes | None:
        """A certificate (DER) that a peer at `remote` names by hash and URL; None: it has to be fetched first.

        CryptoError when it is not to be had, or not to be fetched: the URL is not one that a ca section names.
        """

    def knows_another(self, local: Address, remote: Address) -> bool:
        """Is there an established IKE SA with this peer already?"""

    def wall_clock(self, now: Instant) -> datetime:
        """The calendar time (aware, UTC) of an instant, for certificates."""
