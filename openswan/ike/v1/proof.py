# SPDX-License-Identifier: GPL-2.0-or-later
"""Who each end of a phase 1 is, and how it proves it: preshared key, RSA signature, certificate (RFC 2409 5.1, 5.4)."""

from __future__ import annotations

import hmac
from functools import partial

from cryptography.x509 import Certificate

from openswan.base.errors import CryptoError, IkeError
from openswan.base.interval import Instant
from openswan.base.numbers import IpProtocol
from openswan.crypto import oakley, rsakey, sign, x509
from openswan.crypto.dnskey import raw_octets
from openswan.crypto.rsakey import PublicKey
from openswan.crypto.tokenkey import SigningKey
from openswan.ike import certificates
from openswan.ike.later import KeysJob, signature
from openswan.ike.v1.core import Core
from openswan.ike.v1.keys import IsakmpKeys
from openswan.ike.v1.methods import ECDSA, METHODS, Method
from openswan.ike.v1.parts import one
from openswan.ike.v1.phase1 import ChosenIsakmp
from openswan.ike.v1.policy import IsakmpPolicy
from openswan.policy.connection import SendCert
from openswan.policy.gateways import Published
from openswan.policy.identity import Identity, IdKind, matches
from openswan.wire.v1.auth import Hash, Sig
from openswan.wire.v1.body import Payload
from openswan.wire.v1.cert import Cert, CertReq
from openswan.wire.v1.ident import Id
from openswan.wire.v1.message import Content
from openswan.wire.v1.numbers import AuthMethod, CertEncoding, IdType, NotifyType

IDENTITIES = frozenset(
    {IdType.IPV4_ADDR, IdType.FQDN, IdType.USER_FQDN, IdType.IPV6_ADDR, IdType.DER_ASN1_DN, IdType.KEY_ID}
)
"""Kinds an end may say it is; a subnet or a range is nobody."""
PORTS = ((0, 0), (IpProtocol.UDP, 500), (IpProtocol.UDP, 4500), (IpProtocol.UDP, 0))
"""Protocol and port of a phase 1 identity (RFC 2407 4.6.2, RFC 3947 4)."""
MOST_REQUESTS = 8
"""Authorities a request names; of more, it asks for a certificate of any."""


def method(sa: Core) -> Method:
    """The agreed method."""
    return METHODS[sa.need_chosen().method]


def their_class(sa: Core) -> type[Payload] | None:
    """HASH or SIG, whichever the peer proves itself by, once a method is agreed."""
    return None if sa.chosen is None else method(sa).proof(not sa.is_initiator)


# --- ours


def identity_payload(policy: IsakmpPolicy) -> Id:
    """Who we say we are; IkeError when that is in a certificate that is not there."""
    try:
        me = certificates.my_identity(policy)
    except CryptoError as why:
        raise IkeError(str(why), 0) from None
    return Id(IdType(int(me.kind)), me.body)


def requests(sa: Core, policy: IsakmpPolicy) -> list[Payload]:
    """Requests that name the authorities of ours, when the peer is to prove itself by a certificate."""
    if their_class(sa) is not Sig or not policy.peer_by_certificate or not policy.request_certs:
        return []
    return wanted(sa, policy)


def wanted(sa: Core, policy: IsakmpPolicy) -> list[Payload]:
    """The requests of a policy, whatever is agreed."""
    sa.log("I am sending a certificate request")
    names = certificates.trust_store(policy.anchors).names(policy.peer_ca)
    if len(names) > MOST_REQUESTS:
        names = (b"",)
    return [CertReq(CertEncoding.X509_SIGNATURE, one) for one in names]


def heed_requests(sa: Core, content: Content) -> None:
    """Does the peer want a certificate of ours?"""
    sa.wants_certificate |= any(one.encoding == CertEncoding.X509_SIGNATURE for one in content.all(CertReq))


def prove(sa: Core, keys: IsakmpKeys, policy: IsakmpPolicy, me: Id) -> list[Payload]:
    """HASH, or our certificates if the peer is to have them, and SIG; IkeError when we cannot sign."""
    digest = _hash(sa, keys, me, sa.is_initiator)
    if method(sa).proof(sa.is_initiator) is Hash:
        return [Hash(digest)]
    if policy.private_key is None:
        raise IkeError(f"unable to locate my private key for RSA Signature of '{policy.my_id}'", 0)
    try:
        return [*_certificates(sa, policy), Sig(_sign(sa, policy.private_key, digest))]
    except CryptoError as why:
        raise IkeError(str(why), 0) from None


def _sign(sa: Core, key: SigningKey, digest: bytes) -> bytes:
    """SIG_I or SIG_R; Later when the key is in a token, CryptoError when it is none for the agreed method."""
    agreed, signer = sa.need_chosen().method, partial(signature, sa.need)
    return sign.sign_ikev1(key, digest, signer, int(agreed) if agreed in ECDSA else 0)


def _certificates(sa: Core, policy: IsakmpPolicy) -> list[Payload]:
    if policy.send_cert is SendCert.NEVER or (policy.send_cert is SendCert.IF_ASKED and not sa.wants_certificate):
        return []
    if policy.certificates:
        sa.log("I am sending my cert")
    return [Cert(CertEncoding.X509_SIGNATURE, der) for der in policy.certificates]


# --- the peer's


def claimed(sa: Core, him: Id, mode: str) -> Identity:
    """Who the peer says it is; IkeError (INVALID_ID_INFORMATION) when nobody can be that."""
    if him.kind not in IDENTITIES:
        raise IkeError(
            f"Unacceptable identity type ({him.kind}) in Phase 1 ID Payload", NotifyType.INVALID_ID_INFORMATION
        )
    if (him.protocol, him.port) not in PORTS:
        raise IkeError(
            f"protocol/port in Phase 1 ID Payload must be 0/0 or 17/500 but are {him.protocol}/{him.port}",
            NotifyType.INVALID_ID_INFORMATION,
        )
    identity = Identity(IdKind(int(him.kind)), him.body)
    sa.log(f"{mode} mode peer ID is ID_{him.kind}: '{identity}'")
    return identity


def require_identity(policy: IsakmpPolicy, identity: Identity) -> None:
    """IkeError (INVALID_ID_INFORMATION) unless the connection lets that identity in."""
    if not matches(policy.peer_id, identity):
        raise IkeError(
            f"we require peer to have ID '{policy.peer_id}', but peer declares '{identity}'",
            NotifyType.INVALID_ID_INFORMATION,
        )


def suits(refined: IsakmpPolicy, before: IsakmpPolicy, chosen: ChosenIsakmp) -> bool:
    """Does what was agreed under one policy hold under another?"""
    if not refined.terms.allow(chosen):
        return False
    return not METHODS[chosen.method].by_secret or hmac.compare_digest(refined.psk, before.psk)


def sent(content: Content) -> list[bytes]:
    """The peer's certificates, DER, its own first."""
    return [one.data for one in content.all(Cert) if one.encoding == CertEncoding.X509_SIGNATURE]


def check(
    sa: Core, keys: IsakmpKeys, policy: IsakmpPolicy, him: Id, identity: Identity, content: Content, now: Instant
) -> tuple[Certificate, ...]:
    """The certificates by which the peer has proved to be who it says, or none.

    IkeError (INVALID_HASH_INFORMATION, INVALID_KEY_INFORMATION, INVALID_CERTIFICATE) when it has not; Later when
    something has to be fetched about them first.
    """
    digest = _hash(sa, keys, him, not sa.is_initiator)
    if their_class(sa) is Hash:
        if not hmac.compare_digest(one(content, Hash).data, digest):
            raise IkeError("received Hash Payload does not match computed value", NotifyType.INVALID_HASH_INFORMATION)
        return ()
    proved = one(content, Sig).data
    try:
        chain = _chain(sa, policy, identity, content, now)
    except CryptoError as why:
        raise IkeError(str(why), NotifyType.INVALID_CERTIFICATE) from None
    published = _published(sa, identity) if policy.peer_published and not chain else None
    usable = list(published.keys) if published is not None else _keys(policy, identity, chain)
    key = _check_signature(sa.need_chosen().method, usable, identity, digest, proved)
    try:
        # Only who holds the key of a trusted certificate can have us fetch anything (CVE-2022-40617).
        certificates.require_unrevoked(sa.ask, sa.need, chain, now)
    except CryptoError as why:
        raise IkeError(str(why), NotifyType.INVALID_CERTIFICATE) from None
    sa.peer_grade, sa.peer_key = published.grade if published is not None else None, raw_octets(key)
    return chain


def _published(sa: Core, identity: Identity) -> Published:
    """The peer's keys in the DNS, never none; Later while they are looked up, IkeError when there are none."""
    try:
        found = sa.ask.published(identity, sa.remote.address)
        for _ in range(2):  # its address, and then its name
            if isinstance(found, str):
                sa.need(KeysJob(found))
                found = sa.ask.published(identity, sa.remote.address)
    except CryptoError as why:
        raise IkeError(str(why), NotifyType.INVALID_KEY_INFORMATION) from None
    if isinstance(found, str) or not found.keys:
        reason = "" if isinstance(found, str) else found.reason
        text = f"the DNS has no public key for '{identity}': {reason or 'it does not answer'}"
        raise IkeError(text, NotifyType.INVALID_KEY_INFORMATION)
    return found


def _chain(
    sa: Core, policy: IsakmpPolicy, identity: Identity, content: Content, now: Instant
) -> tuple[Certificate, ...]:
    if not policy.peer_by_certificate and not policy.peer_certificate:
        return ()
    return certificates.judge(policy, identity, sent(content), sa.ask.wall_clock(now))


def _keys(policy: IsakmpPolicy, identity: Identity, chain: tuple[Certificate, ...]) -> list[PublicKey]:
    if chain:
        return [x509.public_key(chain[0])]
    if not policy.peer_keys:
        raise IkeError(f"no RSA public key known for '{identity}'", NotifyType.INVALID_KEY_INFORMATION)
    return [rsakey.decode_public(raw) for raw in policy.peer_keys]


def _check_signature(
    agreed: AuthMethod, keys: list[PublicKey], identity: Identity, digest: bytes, proved: bytes
) -> PublicKey:
    """The key that a signature is by."""
    for key in keys:
        try:
            sign.verify_ikev1(key, digest, proved, int(agreed) if agreed in ECDSA else 0)
        except CryptoError:
            continue
        return key
    raise IkeError(
        f"Signature check (on {identity}) failed: tried {len(keys)} keys but none worked.",
        NotifyType.INVALID_KEY_INFORMATION,
    )


def _hash(sa: Core, keys: IsakmpKeys, who: Id, initiator: bool) -> bytes:
    """HASH_I or HASH_R."""
    over = oakley.hash_i if initiator else oakley.hash_r
    return over(keys.oakley, keys.skeyid.id, keys.public, sa.need_offered().emit(), who.emit())
