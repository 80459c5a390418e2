# SPDX-License-Identifier: GPL-2.0-or-later
"""Judging the certificates a peer has shown, in either version of IKE: chain, authority, identity, revocation.

Everything raises CryptoError that says which certificate failed which check; how that is told the peer is the version's
own (RFC 4945, RFC 5280).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from cryptography.x509 import Certificate

from openswan.base.errors import CryptoError
from openswan.base.interval import Instant
from openswan.crypto import x509
from openswan.crypto.revocation import Question
from openswan.crypto.trust import TrustStore
from openswan.ike.later import Job, RevocationJob
from openswan.policy.dn import dn_matches, dn_text
from openswan.policy.identity import FROM_CERT, Identity, IdKind, matches

MOST_ROUNDS = 8
"""How often it is looked whether something else has to be fetched about a chain."""


class Trust(Protocol):
    """What a connection's policy says about certificates."""

    @property
    def my_id(self) -> Identity:
        """Who we say we are."""

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """Our certificate as DER and intermediate ones after it; empty: raw key."""

    @property
    def peer_certificate(self) -> bytes:
        """The peer's certificate as DER when it is configured here; it must then be that one."""

    @property
    def anchors(self) -> tuple[bytes, ...]:
        """Trusted CA certificates, DER."""

    @property
    def peer_ca(self) -> bytes:
        """DER of the name of the authority that the peer's chain must lead through; empty: any anchor will do."""


class Records(Protocol):
    """Who knows what was revoked, and what time it is."""

    def revocation(self, chain: Sequence[Certificate], at: datetime) -> tuple[Question, ...]:
        """What must be fetched before a chain, leaf first, can be judged; CryptoError when it is judged, and badly."""

    def wall_clock(self, now: Instant) -> datetime:
        """The calendar time (aware, UTC) of an instant."""


@lru_cache(maxsize=8)
def trust_store(anchors: tuple[bytes, ...]) -> TrustStore:
    """The parsed authorities; parsing them for every handshake would cost more than the handshake."""
    return TrustStore(anchors)


def my_identity(policy: Trust) -> Identity:
    """Our identity; %fromcert is our certificate's subject."""
    if policy.my_id != FROM_CERT:
        return policy.my_id
    if not policy.certificates:
        raise CryptoError("our identity is %fromcert and there is no certificate")
    return Identity(IdKind.DER_ASN1_DN, x509.load(policy.certificates[0]).subject.public_bytes())


def issuers(sent: Iterable[bytes]) -> tuple[bytes, ...]:
    """The names under which certificates were issued; those that cannot be read have none."""
    found: list[bytes] = []
    for data in sent:
        try:
            found.append(x509.load(data).issuer.public_bytes())
        except CryptoError:
            continue
    return tuple(dict.fromkeys(found))


def judge(policy: Trust, peer_id: Identity, sent: Sequence[bytes], at: datetime) -> tuple[Certificate, ...]:
    """The chain of the peer's certificate, that one first, once authority, dates and identity are in order.

    Whether one of them was revoked is asked when the peer has shown that the key is its own.
    """
    chain = _configured(policy, sent, at) if policy.peer_certificate else check_chain(policy, sent, at)
    require_name(chain[0], peer_id)
    return tuple(chain)


def check_chain(policy: Trust, sent: Sequence[bytes], at: datetime) -> tuple[Certificate, ...]:
    """The chain of what a peer has shown, its own first, when it comes from an authority of ours."""
    if not sent:
        raise CryptoError("the peer sent no certificate")
    leaf = x509.load(sent[0], "the peer's certificate")
    others = [x509.load(data, "a certificate the peer sent along") for data in sent[1:]]
    chain = trust_store(policy.anchors).verify(leaf, others, at)
    if policy.peer_ca and not any(dn_matches(policy.peer_ca, above.subject.public_bytes()) for above in chain[1:]):
        raise CryptoError(
            f"certificate {x509.describe(leaf)} comes from '{x509.show_name(chain[-1].subject)}' by "
            f"'{x509.show_name(leaf.issuer)}', the connection wants one of '{dn_text(policy.peer_ca)}'"
        )
    return tuple(chain)


def carries_name(leaf: Certificate, identity: Identity) -> bool:
    """Does a certificate say that its holder is `identity`?"""
    try:
        require_name(leaf, identity)
    except CryptoError:
        return False
    return True


def require_name(leaf: Certificate, identity: Identity) -> None:
    """CryptoError unless a certificate says that its holder is `identity`."""
    if not _vouches(leaf, identity):
        x509.require_identity(leaf, int(identity.kind), identity.body, str(identity))


def subject_identity(leaf: Certificate) -> Identity:
    """Who a certificate says its holder is."""
    return Identity(IdKind.DER_ASN1_DN, leaf.subject.public_bytes())


def require_unrevoked(
    records: Records, need: Callable[[Job], bytes], chain: Sequence[Certificate], now: Instant
) -> None:
    """CryptoError when a certificate of the chain is revoked, or nothing is known of that and we insist.

    `need` has something fetched: it raises Later, and gives a result when the step is done again.
    """
    for _ in range(MOST_ROUNDS):
        questions = records.revocation(chain, records.wall_clock(now))
        if not questions:
            return
        need(RevocationJob(questions))
    raise CryptoError(f"certificate {x509.describe(chain[0])}: whether it is revoked cannot be told")


def _configured(policy: Trust, sent: Sequence[bytes], at: datetime) -> Sequence[Certificate]:
    """The configuration names the certificate: it needs no authority, but what an authority of ours revoked is out."""
    if sent and sent[0] != policy.peer_certificate:
        raise CryptoError("the peer sent another certificate than the one configured for it")
    leaf = x509.load(policy.peer_certificate)
    x509.require_valid(leaf, at)
    try:
        others = [x509.load(data) for data in sent[1:]]
        return trust_store(policy.anchors).verify(leaf, others, at)
    except CryptoError:
        return [leaf]


def _vouches(leaf: Certificate, peer_id: Identity) -> bool:
    """DNs compare as policy.identity does, whatever string types their parts have."""
    if peer_id.kind is not IdKind.DER_ASN1_DN:
        return False
    names = [Identity(IdKind.DER_ASN1_DN, body) for kind, body in x509.identities(leaf) if kind == IdKind.DER_ASN1_DN]
    # The claim is the pattern's place here, so it must not work as a pattern.
    return any(name.body == peer_id.body or (matches(name, peer_id) and matches(peer_id, name)) for name in names)
