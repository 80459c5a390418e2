# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates in IKE_AUTH: asking, sending, judging (RFC 7296 3.6, 3.7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from cryptography.x509 import Certificate

from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Instant
from openswan.crypto import x509
from openswan.crypto.trust import TrustStore
from openswan.ike.later import CertificateJob, RevocationJob
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.policy.connection import SIGNATURES, Auth, SendCert
from openswan.policy.dn import dn_matches, dn_text
from openswan.policy.identity import FROM_CERT, Identity, IdKind, matches
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.cert import HASH_OCTETS, Cert, CertReq, HashUrl
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import CertEncoding, NotifyType

MOST_AUTHORITIES = 1024
"""Hashes of certificate requests that are remembered; what comes after them tells nothing anybody needs."""
MOST_LOOKUPS = 4
"""Certificates one message may name by hash and URL (RFC 7296 3.6 wants four)."""
MOST_ROUNDS = 8
"""How often it is looked whether something else has to be fetched about a chain."""
REFUSED = NotifyType.AUTHENTICATION_FAILED


@lru_cache(maxsize=8)
def trust_store(anchors: tuple[bytes, ...]) -> TrustStore:
    """The parsed authorities; parsing them for every handshake would cost more than the handshake."""
    return TrustStore(anchors)


def requests(policy: IkePolicy) -> list[Payload]:
    """A certificate request when the peer may prove itself by one, and whether hash and URL of it will do."""
    if not policy.peer_by_certificate or not policy.anchors or not policy.request_certs:
        return []
    hashes = trust_store(policy.anchors).hashes(policy.peer_ca)
    if not hashes:
        return []
    found = [Notify(NotifyType.HTTP_CERT_LOOKUP_SUPPORTED)] if policy.fetch_certs else []
    return [CertReq(CertEncoding.X509_SIGNATURE, hashes), *found]


def learn_requests(sa: Core, message: Message) -> None:
    """Which authorities the peer accepts, and whether it fetches certificates."""
    sa.peer_fetches = sa.peer_fetches or message.notify(NotifyType.HTTP_CERT_LOOKUP_SUPPORTED) is not None
    asked = [r for r in message.all(CertReq) if r.encoding == CertEncoding.X509_SIGNATURE]
    if asked:
        hashes = b"".join(r.authority for r in asked)[: MOST_AUTHORITIES * HASH_OCTETS]
        found = (hashes[at : at + HASH_OCTETS] for at in range(0, len(hashes), HASH_OCTETS))
        sa.peer_authorities = tuple(dict.fromkeys((*(sa.peer_authorities or ()), *found)))


def to_send(sa: Core, policy: IkePolicy, method: Auth) -> list[Payload]:
    """Our certificate and the intermediate ones above it, if we sign by one and the peer is to have them.

    A peer that fetches certificates gets hash and URL of those that a ca section says are somewhere (RFC 7296 3.6).
    """
    if not method & SIGNATURES or not policy.certificates or policy.send_cert is SendCert.NEVER:
        return []
    if policy.send_cert is SendCert.IF_ASKED and sa.peer_authorities is None:
        return []
    bases = (sa.peer_fetches and policy.certificate_bases) or ("",) * len(policy.certificates)
    return [
        Cert(CertEncoding.HASH_AND_URL, HashUrl.of(base, der).emit())
        if base
        else Cert(CertEncoding.X509_SIGNATURE, der)
        for der, base in zip(policy.certificates, bases, strict=True)
    ]


def my_identity(policy: IkePolicy) -> Identity:
    """Our identity; %fromcert is our certificate's subject."""
    if policy.my_id != FROM_CERT:
        return policy.my_id
    if not policy.certificates:
        raise IkeError("our identity is %fromcert and there is no certificate", REFUSED)
    return Identity(IdKind.DER_ASN1_DN, x509.load(policy.certificates[0]).subject.public_bytes())


def _sent(sa: Core, message: Message) -> tuple[list[bytes], list[str]]:
    """The certificates of a message, the peer's own first, and what is wrong with others; Later while one is fetched.

    Without its own one, which is the first, there is none.
    """
    found: list[bytes] = []
    complaints: list[str] = []
    lookups = 0
    for one in message.all(Cert):
        try:
            if one.encoding == CertEncoding.X509_SIGNATURE:
                found.append(one.data)
            elif one.encoding == CertEncoding.HASH_AND_URL:
                lookups += 1
                if lookups > MOST_LOOKUPS:
                    raise CryptoError(f"more than {MOST_LOOKUPS} certificates by hash and URL")
                found.append(_looked_up(sa, HashUrl.parse(one.data)))
            elif one.encoding == CertEncoding.HASH_AND_URL_BUNDLE:
                raise CryptoError(
                    "a bundle of certificates by hash and URL, which is not taken: each has to come alone"
                )
        except (CryptoError, WireError) as why:
            complaints.append(str(why))
            if not found:
                break
    return found, complaints


def _looked_up(sa: Core, what: HashUrl) -> bytes:
    """What is at a URL; Later while it is fetched, CryptoError when it is not to be had."""
    found = sa.ask.certificate(what, sa.remote.address)
    if found is None:
        sa.need(CertificateJob(what, sa.remote.address))
        found = sa.ask.certificate(what, sa.remote.address)
    if found is None:
        raise CryptoError(f"{what.url[:200]}: it did not come")
    return found


def issuers(sa: Core, message: Message) -> tuple[bytes, ...]:
    """The names under which the certificates of a message were issued; those that cannot be read have none."""
    found: list[bytes] = []
    for data in _sent(sa, message)[0]:
        try:
            found.append(x509.load(data).issuer.public_bytes())
        except CryptoError:
            continue
    return tuple(dict.fromkeys(found))


def judge(sa: Core, policy: IkePolicy, peer_id: Identity, message: Message, at: datetime) -> tuple[Certificate, ...]:
    """The chain of the peer's certificate, that one first, once authority, dates and identity are in order.

    IkeError (AUTHENTICATION_FAILED) says which certificate failed which check. Whether one of them was revoked is asked
    when the peer has shown that the key is its own.
    """
    sent, complaints = _sent(sa, message)
    for complaint in complaints if sent or policy.peer_certificate else ():
        sa.log(f"a certificate of the peer is left out: {complaint}")
    try:
        if complaints and not sent and not policy.peer_certificate:
            raise CryptoError(f"the peer's certificate is not to be had: {complaints[0]}")
        chain = _configured(policy, sent, at) if policy.peer_certificate else _verified(policy, sent, at)
        if not _vouches(chain[0], peer_id):
            x509.require_identity(chain[0], int(peer_id.kind), peer_id.body, str(peer_id))
    except CryptoError as why:
        raise IkeError(str(why), REFUSED) from None
    return tuple(chain)


def check_chain(policy: IkePolicy, chain: Sequence[bytes], at: datetime) -> tuple[Certificate, ...]:
    """The chain of what a peer has shown, its own first, when it comes from an authority of ours; else CryptoError."""
    return tuple(_verified(policy, chain, at))


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


def _verified(policy: IkePolicy, sent: Sequence[bytes], at: datetime) -> Sequence[Certificate]:
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
    return chain


def _configured(policy: IkePolicy, sent: Sequence[bytes], at: datetime) -> Sequence[Certificate]:
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


def require_unrevoked(sa: Core, chain: Sequence[Certificate], now: Instant) -> None:
    """IkeError when a certificate of the chain is revoked, or nothing is known of that and we insist; Later, first."""
    try:
        for _ in range(MOST_ROUNDS):
            questions = sa.ask.revocation(chain, sa.ask.wall_clock(now))
            if not questions:
                return
            sa.need(RevocationJob(questions))
    except CryptoError as why:
        raise IkeError(str(why), REFUSED) from None
    raise IkeError(f"certificate {x509.describe(chain[0])}: whether it is revoked cannot be told", REFUSED)


def _vouches(leaf: Certificate, peer_id: Identity) -> bool:
    """DNs compare as policy.identity does, whatever string types their parts have."""
    if peer_id.kind is not IdKind.DER_ASN1_DN:
        return False
    names = [Identity(IdKind.DER_ASN1_DN, body) for kind, body in x509.identities(leaf) if kind == IdKind.DER_ASN1_DN]
    # The claim is the pattern's place here, so it must not work as a pattern.
    return any(name.body == peer_id.body or (matches(name, peer_id) and matches(peer_id, name)) for name in names)
