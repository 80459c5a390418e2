# SPDX-License-Identifier: GPL-2.0-or-later
"""Proving who one is and judging the peer's proof (RFC 7296 2.15, RFC 7427, RFC 7619)."""

from __future__ import annotations

import hmac
from functools import partial
from typing import TypeVar

from cryptography.x509 import Certificate

from openswan.base.errors import CryptoError, IkeError
from openswan.base.interval import Instant
from openswan.crypto import keymat, sign, x509
from openswan.crypto.dnskey import raw_key, raw_octets
from openswan.crypto.rsakey import PublicKey
from openswan.crypto.secret import Secret
from openswan.ike.later import KeysJob, signature
from openswan.ike.policy import IkePolicy
from openswan.ike.resumption import Session
from openswan.ike.v2.core import Core
from openswan.ike.v2.tasks import cert
from openswan.ike.v2.tasks.means import choose_scheme, fixed_method, means_of, my_means
from openswan.policy.connection import EAP
from openswan.policy.connection import Auth as Means
from openswan.policy.gateways import Published
from openswan.policy.grade import Grade
from openswan.policy.identity import NOBODY, Identity, IdKind, matches
from openswan.wire.cursor import Reader
from openswan.wire.message import Message
from openswan.wire.v2.auth import Auth, DigitalSignature
from openswan.wire.v2.ident import IdI, IdR
from openswan.wire.v2.numbers import AuthMethod, IdType, NotifyType

Id = TypeVar("Id", IdI, IdR)
REFUSED = NotifyType.AUTHENTICATION_FAILED
NO_ANSWER = "it does not answer"
DIFFER = "the ends have different secrets for these identities: compare ipsec.secrets"


def id_payload(kind: type[Id], identity: Identity) -> Id:
    """An identity as a payload."""
    return kind(IdType(int(identity.kind)), identity.body)


def claimed(sa: Core, auth: Auth, him: IdI | IdR) -> Identity:
    """Who the peer says it is, as far as anything may depend on it.

    With null authentication that is nobody, whatever its payload says (RFC 7619 2.2, 2.4). IkeError
    (AUTHENTICATION_FAILED) when it claims to be nobody and yet to prove it.
    """
    if auth.method == AuthMethod.NULL:
        identity = Identity(IdKind(int(him.kind)), him.body)
        untrusted = "" if identity == NOBODY else f", which is not proved and not used: '{identity}'"
        sa.log(f"IKEv2 mode peer proves nothing (null authentication), ID is {him.kind}{untrusted}")
        return NOBODY
    return claimed_by(sa, him)


def claimed_by(sa: Core, him: IdI | IdR) -> Identity:
    """The identity a payload claims, whose proof is still to come; IkeError for nobody, who has none."""
    identity = Identity(IdKind(int(him.kind)), him.body)
    sa.log(f"IKEv2 mode peer ID is {him.kind}: '{identity}'")
    if identity.kind is IdKind.NULL:
        raise IkeError("the peer claims to be nobody (ID_NULL) and to prove it", REFUSED)
    return identity


def name_of(identity: Identity) -> str:
    """An identity as a user name: without the mark of ipsec.conf."""
    return str(identity).removeprefix("@")


def require_identity(policy: IkePolicy, identity: Identity) -> None:
    """IkeError (AUTHENTICATION_FAILED) unless the connection lets that identity in; nobody is let in by authby=null."""
    if identity == NOBODY:
        _require_means(policy, Means.NULL)
    elif not matches(policy.peer_id, identity) and not (policy.peer_name and matches(policy.peer_name, identity)):
        raise IkeError(f"we require peer to have ID '{policy.peer_id}', but peer declares '{identity}'", REFUSED)


def my_identity(sa: Core, policy: IkePolicy) -> Identity:
    """Who we say we are: nobody when we prove nothing."""
    return NOBODY if my_means(policy, sa.peer_methods, sa.is_initiator) is Means.NULL else cert.my_identity(policy)


def make(sa: Core, policy: IkePolicy, me: IdI | IdR) -> Auth:
    """Our AUTH payload, covering our IKE_SA_INIT message, the peer's nonce and our identity."""
    prf, _, _ = sa.need_keys()
    octets, secret = _covered(sa, sa.is_initiator, me)
    means = my_means(policy, sa.peer_methods, sa.is_initiator)
    if means is Means.PSK:
        return Auth(AuthMethod.SHARED_KEY, keymat.psk_auth(prf, policy.psk, octets))
    if means is Means.NULL:
        return Auth(AuthMethod.NULL, keymat.psk_auth(prf, secret.data, octets))
    return _sign(sa, policy, octets)


def _sign(sa: Core, policy: IkePolicy, octets: bytes) -> Auth:
    scheme = choose_scheme(sa, policy)
    key = policy.private_key
    if key is None:
        raise IkeError("unable to locate my private key for digital signature", REFUSED)
    signer = partial(signature, sa.need)
    if scheme is not None:
        sa.log(f"signing by {scheme}")
        blob = DigitalSignature(scheme.algorithm, signer(key, scheme, octets))
        return Auth(AuthMethod.DIGITAL_SIGNATURE, blob.emit())
    method = fixed_method(policy)
    return Auth(AuthMethod(method), sign.sign_method(method, key, octets, signer))


def check(
    sa: Core, policy: IkePolicy, auth: Auth, him: IdI | IdR, identity: Identity, message: Message, now: Instant
) -> Means:
    """How the peer proved to be `identity`; IkeError (AUTHENTICATION_FAILED) when it did not.

    NULL, as good as no proof, for a signature whose key cannot be had from the DNS where nobody need prove anything.
    """
    means = means_of(auth)
    _require_means(policy, means)
    prf, _, _ = sa.need_keys()
    octets, secret = _covered(sa, not sa.is_initiator, him)
    if means is Means.PSK:
        if not policy.psk:
            raise IkeError(f"No matching PSK found for connection:{policy.name}", REFUSED)
        _compare(
            auth.data, keymat.psk_auth(prf, policy.psk, octets), f"PSK authentication failed AUTH mismatch! ({DIFFER})"
        )
    elif means is Means.NULL:
        _compare(auth.data, keymat.psk_auth(prf, secret.data, octets), "null authentication failed AUTH mismatch!")
    elif not _check_signature(sa, policy, auth, octets, identity, message, now):
        return Means.NULL
    return means


def proven(identity: Identity, proved: Means) -> Identity:
    """Who the peer is after its proof has been judged: nobody without one."""
    return NOBODY if proved is Means.NULL else identity


def _require_means(policy: IkePolicy, means: Means) -> None:
    if means not in policy.peer_auth:
        wanted = _names(policy.peer_auth)
        raise IkeError(f"the peer authenticates by {means.name}, the connection wants {wanted}", REFUSED)


def _covered(sa: Core, initiator: bool, who: IdI | IdR) -> tuple[bytes, Secret]:
    """What AUTH of the initiator or the responder covers, and its SK_p (RFC 7296 2.15)."""
    prf, keys, _ = sa.need_keys()
    message, nonce, secret = (sa.init_i, sa.nonce_r, keys.pi) if initiator else (sa.init_r, sa.nonce_i, keys.pr)
    octets = keymat.signed_octets(prf, message, nonce, secret, who.emit())
    if sa.intermediates:
        # RFC 9242 3.3.2: IntAuth.
        octets += sa.intermediate_i + sa.intermediate_r + sa.auth_id.to_bytes(4, "big")
    return octets, secret


def by_shared_key(sa: Core, secret: bytes, me: IdI | IdR) -> Auth:
    """Our AUTH by a key that both sides have otherwise: the one an EAP method has made (RFC 7296 2.16)."""
    prf, _, _ = sa.need_keys()
    return Auth(AuthMethod.SHARED_KEY, keymat.psk_auth(prf, secret, _covered(sa, sa.is_initiator, me)[0]))


def check_shared_key(sa: Core, secret: bytes, proof: Auth, him: IdI | IdR) -> None:
    """Nothing when the peer's AUTH is made by that key; else IkeError (AUTHENTICATION_FAILED)."""
    if proof.method != AuthMethod.SHARED_KEY or not secret:
        raise IkeError(f"the peer ends EAP by {proof.method} and not by the shared key", REFUSED)
    prf, _, _ = sa.need_keys()
    octets, _ = _covered(sa, not sa.is_initiator, him)
    _compare(proof.data, keymat.psk_auth(prf, secret, octets), "EAP authentication failed AUTH mismatch!")


def resuming(sa: Core, me: IdI | IdR) -> Auth:
    """Our AUTH of a resumed session: prf(SK_p, what AUTH covers), no key pad (RFC 5723 4.3.3)."""
    prf, _, _ = sa.need_keys()
    octets, secret = _covered(sa, sa.is_initiator, me)
    return Auth(AuthMethod.SHARED_KEY, prf(secret.data, octets))


def check_resuming(sa: Core, session: Session, proof: Auth, him: IdI | IdR) -> None:
    """Nothing when that peer of before is back; else IkeError (AUTHENTICATION_FAILED)."""
    if Identity(IdKind(int(him.kind)), him.body) != session.peer_id and not session.proved & EAP:
        raise IkeError(f"the session was with '{session.peer_id}', and somebody else resumes it", REFUSED)
    if proof.method != AuthMethod.SHARED_KEY:
        raise IkeError(f"the peer resumes a session by {proof.method} and not by its keys", REFUSED)
    prf, _, _ = sa.need_keys()
    octets, secret = _covered(sa, not sa.is_initiator, him)
    _compare(proof.data, prf(secret.data, octets), "session resumption failed AUTH mismatch!")


def _compare(got: bytes, wanted: bytes, reason: str) -> None:
    if not hmac.compare_digest(got, wanted):
        raise IkeError(reason, REFUSED)


def _check_signature(
    sa: Core, policy: IkePolicy, auth: Auth, octets: bytes, identity: Identity, message: Message, now: Instant
) -> bool:
    """True: it proves who the peer is; False: nobody can tell, and the connection takes that for no proof."""
    keys: list[PublicKey] = []
    grade: Grade | None = None
    chain: tuple[Certificate, ...] = ()
    if policy.peer_by_certificate or policy.peer_certificate:
        chain = cert.judge(sa, policy, identity, message, sa.ask.wall_clock(now))
        keys.append(x509.public_key(chain[0]))
    elif policy.peer_published:
        published = _published(sa, policy, identity)
        if not published.keys:
            sa.log(f"the key of '{identity}' is not known, so it proves nothing: {published.reason or NO_ANSWER}")
            return False
        keys, grade = list(published.keys), published.grade
    else:
        for raw in policy.peer_keys:
            try:
                keys.append(raw_key(raw))
            except CryptoError as why:
                sa.log(f"public key configured for {identity} ignored: {why}")
    if not keys:
        raise IkeError(f"no RSA public key known for '{identity}'", REFUSED)
    reason = ""
    for key in keys:
        try:
            if auth.method == AuthMethod.DIGITAL_SIGNATURE:
                _check_blob(key, auth.data, octets)
            else:
                sign.verify_method(int(auth.method), key, octets, auth.data)
            break
        except CryptoError as why:
            reason = str(why)
    else:
        raise IkeError(f"Signature check (on {identity}) failed (wrong key?): {reason}", REFUSED)
    # Only who holds the key of a trusted certificate can have us fetch anything.
    cert.require_unrevoked(sa, chain, now)
    sa.peer_chain, sa.peer_grade, sa.peer_key = chain, grade, raw_octets(key)
    return True


def _published(sa: Core, policy: IkePolicy, identity: Identity) -> Published:
    """What the DNS has of the peer's keys; Later while they are looked up, IkeError when there have to be some."""
    try:
        found = sa.ask.published(identity, sa.remote.address)
        for _ in range(2):  # its address, and then its name
            if isinstance(found, str):
                sa.need(KeysJob(found))
                found = sa.ask.published(identity, sa.remote.address)
    except CryptoError as why:
        raise IkeError(str(why), REFUSED) from None
    found = Published(()) if isinstance(found, str) else found
    if not found.keys and (found.bogus or Means.NULL not in policy.peer_auth):
        raise IkeError(f"the DNS has no public key for '{identity}': {found.reason or NO_ANSWER}", REFUSED)
    return found


def _check_blob(key: PublicKey, data: bytes, octets: bytes) -> None:
    blob = DigitalSignature.parse(Reader(data))
    scheme = sign.scheme_of(blob.algorithm)
    if scheme is None:
        raise CryptoError("unknown signature algorithm")
    sign.verify(key, scheme, octets, blob.signature)


def _names(means: Means) -> str:
    return " or ".join(m.name or "" for m in Means if m in means) or "nothing"
