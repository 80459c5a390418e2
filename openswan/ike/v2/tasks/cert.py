# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates in IKE_AUTH: asking, sending, and what their refusal is told as (RFC 7296 3.6, 3.7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography.x509 import Certificate

from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Instant
from openswan.ike import certificates
from openswan.ike.certificates import carries_name, check_chain, require_name, subject_identity, trust_store
from openswan.ike.later import CertificateJob
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.policy.connection import SIGNATURES, Auth, SendCert
from openswan.policy.identity import Identity
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.cert import HASH_OCTETS, Cert, CertReq, HashUrl
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import CertEncoding, NotifyType

MOST_AUTHORITIES = 1024
"""Hashes of certificate requests that are remembered; what comes after them tells nothing anybody needs."""
MOST_LOOKUPS = 4
"""Certificates one message may name by hash and URL (RFC 7296 3.6 wants four)."""
REFUSED = NotifyType.AUTHENTICATION_FAILED

__all__ = [
    "carries_name", "check_chain", "issuers", "judge", "learn_requests", "my_identity", "requests", "require_name",
    "require_unrevoked", "subject_identity", "to_send", "trust_store",
]  # fmt: skip


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
    """Our identity; IkeError when it is in a certificate that is not there."""
    try:
        return certificates.my_identity(policy)
    except CryptoError as why:
        raise IkeError(str(why), REFUSED) from None


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
    return certificates.issuers(_sent(sa, message)[0])


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
        return certificates.judge(policy, peer_id, sent, at)
    except CryptoError as why:
        raise IkeError(str(why), REFUSED) from None


def require_unrevoked(sa: Core, chain: Sequence[Certificate], now: Instant) -> None:
    """IkeError when a certificate of the chain is revoked, or nothing is known of that and we insist; Later, first."""
    try:
        certificates.require_unrevoked(sa.ask, sa.need, chain, now)
    except CryptoError as why:
        raise IkeError(str(why), REFUSED) from None
