# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers to what IKE SAs ask: policies an address allows, whose identity that is, addresses, sessions, proofs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.x509 import Certificate

from openswan.base.address import Address, Endpoint
from openswan.base.errors import IkeError
from openswan.base.interval import Instant
from openswan.crypto.revocation import Question
from openswan.engine.childanswers import ChildAnswers, may_be
from openswan.engine.conn import Conn
from openswan.engine.core import Core
from openswan.engine.policies import Keyring
from openswan.engine.revocation import Revocation
from openswan.engine.router import Router
from openswan.ike.policy import AddressQuestion, AuthQuestion, ChildPolicy, ChildQuestion, IkePolicy
from openswan.ike.resumption import Session, TicketBox
from openswan.ike.v2.tasks.crash import token
from openswan.policy.connection import EAP
from openswan.policy.gateways import Published
from openswan.policy.identity import NOBODY, Identity, IdKind, matches
from openswan.policy.modecfg import Assigned
from openswan.wire.v2.cert import HashUrl
from openswan.wire.v2.numbers import NotifyType

LEAST_SPI = 0x1000
"""Below this lie the IETF's reserved SPIs and those of manual keying."""
MOST_CANDIDATES = 32
"""Different ways to open an IKE SA that one pair of addresses can have; more is no sensible configuration."""


@dataclass(eq=False)
class Answers:
    """openswan.ike.policy.Responder over the connection database and the secrets."""

    core: Core
    keyring: Keyring
    router: Router
    clock: Callable[[Instant], datetime]
    revoked: Revocation
    others: Callable[[Address], tuple[Address, ...]] = lambda local: ()
    """Addresses beside one that we answer at."""
    published: Callable[[Identity, Address], Published | str] = lambda identity, remote: Published(())
    """openswan.ike.policy.Responder.published."""
    named: Callable[[HashUrl, Address], bytes | None] = lambda what, remote: None
    """openswan.ike.policy.Responder.certificate."""
    elsewhere: Callable[[Conn, Address], Address | None] = lambda conn, me: None
    """Where a client that has proved itself is sent; None: it may stay."""

    def __post_init__(self) -> None:
        self.children = ChildAnswers(self.core, self.keyring, self.router)

    def ike_candidates(self, local: Endpoint, remote: Endpoint) -> tuple[IkePolicy, ...]:
        """One policy for every way these addresses may open an IKE SA."""
        found: dict[object, IkePolicy] = {}
        for answering in self.core.conns.answering(local.address, remote.address):
            for way, conns in answering.ways.items():
                conn = next(iter(conns.values()))
                if way not in found and len(found) < MOST_CANDIDATES and conn.policy.ike_version == 2:
                    found[way] = self.keyring.ike(conn, conn.signature)
        if not found:
            raise IkeError(
                f"initial message received on {local} but no connection has been authorized",
                NotifyType.NO_PROPOSAL_CHOSEN,
            )
        return tuple(found.values())

    def authenticate(self, question: AuthQuestion) -> IkePolicy:
        """The policy whose identities fit best: exact ones before wildcards, certificates as the peer brings them."""
        best: Conn | None = None
        best_score = -1
        for answering in self.core.conns.answering(question.local.address, question.remote.address):
            for conn in answering.claimed(question.peer_id):
                rank = self._fit(conn, question)
                if rank > best_score:
                    best, best_score = conn, rank
        if best is None:
            raise IkeError(f"no suitable connection for peer '{question.peer_id}'", NotifyType.AUTHENTICATION_FAILED)
        if best.group is not None:
            best = self.children.line(question.local.address, question.remote.address) or best
        policy = self.keyring.ike(best, best.signature, question.peer_id)
        there = self.elsewhere(best, question.local.address)
        return policy if there is None else replace(policy, redirect_to=there)

    def _fit(self, conn: Conn, question: AuthQuestion) -> int:
        """How well a connection fits what a peer claims; -1: not at all."""
        if conn.policy.ike_version != 2:
            return -1
        if conn.group is not None:
            line = self.children.line(question.local.address, question.remote.address)
            # A line about hosts behind us waits until the peer says which one it means.
            if (line or conn).signature != conn.signature or (line is None and not conn.behind):
                return -1
        policy = self.keyring.ike(conn, conn.signature)
        if question.chosen.encr not in {t for p in policy.proposals for t in p.encr}:
            return -1
        if question.my_id is not None and not matches(policy.my_id, question.my_id):
            return -1
        if not question.method & policy.peer_auth or not may_be(policy, question.peer_id):
            return -1
        # A chain that leads elsewhere is refused when it is looked at, with words that say what was wanted.
        led = 16 if self.keyring.may_lead_to(policy, question.issuers) else 0
        theirs = conn.oriented.theirs if conn.oriented else None
        exact = 8 if policy.peer_id is not None and policy.peer_id == question.peer_id else 0
        fitting = 4 if policy.assigns == question.wants_address else 0
        kept = 2 if theirs is not None and theirs.use_cert_key == question.has_certificate else 0
        return led + exact + fitting + kept + (1 if conn.peer is not None else 0)

    def child(self, question: ChildQuestion) -> ChildPolicy:
        """The connection of this peer whose selectors fit best what it proposes."""
        return self.children.child(question)

    def knows_gateways(self, host: Address) -> bool:
        """Is it known who a host's gateways are?"""
        return self.children.knows_gateways(host)

    def addresses(self, question: AddressQuestion) -> Assigned:
        """Out of the connection's pools; the same for an identity as last time when that can be."""
        conn = self.core.conns.unique.get(question.ike.name)
        if conn is None or conn.oriented is None:
            raise IkeError(f"no connection {question.ike.name!r} any more", NotifyType.INTERNAL_ADDRESS_FAILURE)
        holder = self.core.asking.serial if self.core.asking is not None else 0
        # Peers without an identity of their own share nothing; nor do those whose name may be a private address.
        known = question.peer_id.kind is not IdKind.NULL and conn.group is None
        owner: Hashable = question.peer_id if known else holder
        if question.user:
            owner = (question.peer_id, question.user)
        if question.peer_id.kind is IdKind.NULL and self.core.asking is not None:
            self._share(conn, self.core.asking.machine.remote.address, holder)
        found = []
        for version in question.versions:
            pools = [pool for pool in conn.oriented.theirs.pools if pool.version == version]
            wish = next((wish for wish in question.wishes if wish.version == version), None)
            address = self.core.leases.take(pools, owner, holder, wish, self.core.plugs.addresses.__contains__)
            if address is not None:
                found.append(address)
        if not found:
            sizes = ", ".join(map(str, conn.oriented.theirs.pools))
            raise IkeError(
                f"no address is left for '{question.peer_id}' in the pool of \"{conn.name}\", {sizes}",
                NotifyType.INTERNAL_ADDRESS_FAILURE,
            )
        return Assigned(tuple(found), conn.policy.dns, conn.policy.domains)

    def _share(self, conn: Conn, origin: Address, holder: int) -> None:
        """IkeError when as many who prove nothing have addresses behind one outer address as may."""
        pools = conn.oriented.theirs.pools if conn.oriented is not None else ()
        crowd = self.core.leases.crowded(pools, origin, holder)
        if crowd is None:
            return
        where, share = crowd
        if where not in self.core.leases.complained:
            self.core.leases.complained.add(where)
            text = f'{where}: {share} hosts that prove nothing have addresses of "{conn.name}"; no more until some go'
            self.core.log(text, True, "pool-share")
        raise IkeError(f"{share} of {where} have addresses", NotifyType.INTERNAL_ADDRESS_FAILURE)

    def ticket_box(self) -> TicketBox:
        """Who seals our tickets."""
        if self.keyring.box is None:
            self.keyring.box = TicketBox(self.core.rng, self.core.now)
        return self.keyring.box

    def resumable(self, session: Session, local: Endpoint, remote: Endpoint) -> IkePolicy:
        """The policy of the connection a ticket names; what was proved then must be enough now."""
        conn = self.core.conns.unique.get(session.connection)
        known = conn is not None and conn.policy.ike_version == 2
        if conn is None or not known or conn.oriented is None or conn.oriented.me != local.address or conn.never:
            raise IkeError(f"no connection {session.connection!r} to resume", NotifyType.AUTHENTICATION_FAILED)
        if conn.peer not in (None, remote.address):
            raise IkeError(f"connection {conn.name} is not with {remote.address}", NotifyType.AUTHENTICATION_FAILED)
        policy = self.keyring.ike(conn, conn.signature, session.peer_id)
        same = session.my_id == policy.my_id or session.my_id == NOBODY
        enough = bool(session.proved & policy.peer_auth) and may_be(policy, session.peer_id)
        if session.proved & EAP:
            enough = bool(session.proved & policy.peer_auth)  # rightid= was about what was claimed, not about the user
        if not (policy.resumption and same and enough and session.chosen.allowed_by(policy.proposals)):
            raise IkeError(f"connection {conn.name} does not resume that session", NotifyType.AUTHENTICATION_FAILED)
        return policy

    def password(self, user: str) -> str | None:
        """The password of an EAP user."""
        return self.keyring.secrets.password(user)

    def crash_token(self, spi_i: bytes, spi_r: bytes) -> bytes:
        """Proof that we have lost the IKE SA with these SPIs."""
        return token(self.core.settings.crash_secret, spi_i, spi_r)

    def other_addresses(self, local: Address) -> tuple[Address, ...]:
        """Where we can be reached beside `local`."""
        return self.others(local)

    def spi_in_use(self, spi: int) -> bool:
        """Is this inbound ESP or AH SPI taken?"""
        states = self.core.states
        return spi < LEAST_SPI or spi in states.by_esp or spi in states.lingering

    def cpi_in_use(self, cpi: int) -> bool:
        """Is this inbound Compression Parameter Index taken?"""
        return cpi in self.core.states.cpis

    def revocation(self, chain: Sequence[Certificate], at: datetime) -> tuple[Question, ...]:
        """What has to be fetched before a chain can be judged."""
        return self.revoked.check(chain, at)

    def certificate(self, what: HashUrl, remote: Address) -> bytes | None:
        """A certificate that a peer names by hash and URL; None: it has to be fetched first."""
        return self.named(what, remote)

    def knows_another(self, local: Address, remote: Address) -> bool:
        """Is there an established IKE SA with this peer already?"""
        return self.core.states.established_between(local, remote) is not None

    def wall_clock(self, now: Instant) -> datetime:
        """The calendar time of an instant."""
        return self.clock(now)
