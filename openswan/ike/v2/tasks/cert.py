# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates in IKE_AUTH: asking, sending, judging (RFC 7296 3.6, 3.7)."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from cryptography.x509 import Certificate

from openswan.base.errors import CryptoError, IkeError
from openswan.crypto import x509
from openswan.crypto.rsakey import PublicKey
from openswan.crypto.trust import TrustStore
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.policy.connection import SIGNATURES, Auth, SendCert
from openswan.policy.identity import FROM_CERT, Identity, IdKind, matches
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.cert import HASH_OCTETS, Cert, CertReq
from openswan.wire.v2.numbers import CertEncoding, NotifyType


@lru_cache(maxsize=8)
def trust_store(anchors: tuple[bytes, ...], crls: tuple[bytes, ...]) -> TrustStore:
    """The parsed authorities; parsing them for every handshake would cost more than the handshake."""
    return TrustStore(anchors, crls)


@lru_cache(maxsize=8)
def _hashes(anchors: tuple[bytes, ...]) -> bytes:
    return TrustStore(anchors).hashes()


def requests(policy: IkePolicy) -> list[Payload]:
    """A certificate request when the peer may prove itself by one."""
    if not policy.peer_by_certificate or not policy.anchors:
        return []
    return [CertReq(CertEncoding.X509_SIGNATURE, _hashes(policy.anchors))]


def learn_requests(sa: Core, message: Message) -> None:
    """Which authorities the peer accepts."""
    asked = [r for r in message.all(CertReq) if r.encoding == CertEncoding.X509_SIGNATURE]
    if asked:
        hashes = b"".join(r.authority for r in asked)
        found = tuple(hashes[at : at + HASH_OCTETS] for at in range(0, len(hashes), HASH_OCTETS))
        sa.peer_authorities = (sa.peer_authorities or ()) + found


def to_send(sa: Core, policy: IkePolicy, method: Auth) -> list[Payload]:
    """Our certificates, if we sign by one and the peer is to have them."""
    if not method & SIGNATURES or not policy.certificates or policy.send_cert is SendCert.NEVER:
        return []
    if policy.send_cert is SendCert.IF_ASKED and sa.peer_authorities is None:
        return []
    return [Cert(CertEncoding.X509_SIGNATURE, der) for der in policy.certificates]


def my_identity(policy: IkePolicy) -> Identity:
    """Our identity; %fromcert is our certificate's subject."""
    if policy.my_id != FROM_CERT:
        return policy.my_id
    if not policy.certificates:
        raise IkeError("our identity is %fromcert and there is no certificate", NotifyType.AUTHENTICATION_FAILED)
    return Identity(IdKind.DER_ASN1_DN, x509.load(policy.certificates[0]).subject.public_bytes())


def judge(policy: IkePolicy, peer_id: Identity, message: Message, at: datetime) -> PublicKey:
    """The key of the peer's certificate, once chain, dates, revocation and identity are in order; else IkeError."""
    sent = [c.data for c in message.all(Cert) if c.encoding == CertEncoding.X509_SIGNATURE]
    try:
        if policy.peer_certificate:
            # The configuration names the certificate; what the peer sends must then be that one.
            if sent and sent[0] != policy.peer_certificate:
                raise CryptoError("the peer sent another certificate than the one configured for it")
            leaf = x509.load(policy.peer_certificate)
            _check_dates(leaf, at)
        else:
            if not sent:
                raise CryptoError("the peer sent no certificate")
            leaf = x509.load(sent[0])
            others = [x509.load(data) for data in sent[1:]]
            trust_store(policy.anchors, policy.crls).verify(leaf, others, at)
        if not _vouches(leaf, peer_id):
            x509.require_identity(leaf, int(peer_id.kind), peer_id.body, str(peer_id))
        return x509.public_key(leaf)
    except CryptoError as why:
        raise IkeError(str(why), NotifyType.AUTHENTICATION_FAILED) from None


def check_chain(policy: IkePolicy, chain: tuple[bytes, ...], at: datetime) -> Certificate:
    """The leaf of a chain that a peer has shown, when it comes from an authority of ours; else CryptoError."""
    if not chain:
        raise CryptoError("the peer showed no certificate")
    leaf, *others = (x509.load(data) for data in chain)
    trust_store(policy.anchors, policy.crls).verify(leaf, others, at)
    return leaf


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


def _check_dates(leaf: Certificate, at: datetime) -> None:
    if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc:
        raise CryptoError(f"certificate {x509.describe(leaf)} is not valid now")


def _vouches(leaf: Certificate, peer_id: Identity) -> bool:
    """DNs compare as policy.identity does, whatever string types their parts have."""
    if peer_id.kind is not IdKind.DER_ASN1_DN:
        return False
    names = [Identity(IdKind.DER_ASN1_DN, body) for kind, body in x509.identities(leaf) if kind == IdKind.DER_ASN1_DN]
    # The claim is the pattern's place here, so it must not work as a pattern.
    return any(name.body == peer_id.body or (matches(name, peer_id) and matches(peer_id, name)) for name in names)
