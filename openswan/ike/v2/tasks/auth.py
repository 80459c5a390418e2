# SPDX-License-Identifier: GPL-2.0-or-later
"""Proving who one is and judging the peer's proof (RFC 7296 2.15, RFC 7427, RFC 7619)."""

from __future__ import annotations

import hmac

from openswan.base.errors import CryptoError, IkeError
from openswan.base.interval import Instant
from openswan.crypto import keymat, rsakey, sign
from openswan.crypto.rsakey import PublicKey
from openswan.crypto.sign import Encoding
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.ike.v2.tasks import cert
from openswan.policy.connection import Auth as Means
from openswan.policy.identity import Identity
from openswan.wire.cursor import Reader
from openswan.wire.message import Message
from openswan.wire.v2.auth import Auth, DigitalSignature
from openswan.wire.v2.ident import IdI, IdR
from openswan.wire.v2.numbers import AuthMethod, IdType, NotifyType

MEANS: dict[AuthMethod, Means] = {
    AuthMethod.RSA: Means.RSASIG,
    AuthMethod.SHARED_KEY: Means.PSK,
    AuthMethod.ECDSA_256: Means.ECDSA,
    AuthMethod.ECDSA_384: Means.ECDSA,
    AuthMethod.ECDSA_521: Means.ECDSA,
    AuthMethod.NULL: Means.NULL,
}
"""What each authentication method is to a connection's authby=; method 14 says it in its algorithm."""
ENCODINGS: dict[Encoding, Means] = {
    Encoding.PKCS1: Means.RSASIG,
    Encoding.PSS: Means.RSASIG,
    Encoding.ECDSA: Means.ECDSA,
    Encoding.EDDSA: Means.ECDSA,
}
PREFERENCE = (Means.ECDSA, Means.RSASIG, Means.PSK, Means.NULL)
REFUSED = NotifyType.AUTHENTICATION_FAILED


def id_payload(kind: type[IdI] | type[IdR], identity: Identity) -> IdI | IdR:
    """An identity as a payload."""
    return kind(IdType(int(identity.kind)), identity.body)


def means_of(auth: Auth) -> Means:
    """How the peer proves itself; IkeError (AUTHENTICATION_FAILED) for a method or algorithm nobody here knows."""
    if auth.method == AuthMethod.DIGITAL_SIGNATURE:
        scheme = sign.scheme_of(DigitalSignature.parse(Reader(auth.data)).algorithm)
        if scheme is None:
            raise IkeError("the peer signs with an algorithm we do not know", REFUSED)
        return ENCODINGS[scheme.encoding]
    means = MEANS.get(auth.method)
    if means is None:
        raise IkeError(f"the peer authenticates by {auth.method}, which we do not know", REFUSED)
    return means


def my_means(policy: IkePolicy) -> Means:
    """How we prove ourselves: the first way of the policy for which there is a secret; IkeError when there is none."""
    for means in PREFERENCE:
        if means not in policy.my_auth:
            continue
        if means is Means.NULL or (means is Means.PSK and policy.psk):
            return means
        if means in (Means.RSASIG, Means.ECDSA) and policy.private_key is not None:
            fits = any(s.fits(policy.private_key) for s in sign.SCHEMES if ENCODINGS[s.encoding] is means)
            if fits:
                return means
    if Means.PSK in policy.my_auth:
        raise IkeError(f"No matching PSK found for connection:{policy.name}", REFUSED)
    raise IkeError("unable to locate my private key for digital signature", REFUSED)


def make(sa: Core, policy: IkePolicy, me: IdI | IdR) -> Auth:
    """Our AUTH payload, covering our IKE_SA_INIT message, the peer's nonce and our identity."""
    prf, keys, _ = sa.need_keys()
    mine, nonce = (sa.init_i, sa.nonce_r) if sa.is_initiator else (sa.init_r, sa.nonce_i)
    secret = keys.pi if sa.is_initiator else keys.pr
    octets = keymat.signed_octets(prf, mine, nonce, secret, me.emit())
    means = my_means(policy)
    if means is Means.PSK:
        return Auth(AuthMethod.SHARED_KEY, keymat.psk_auth(prf, policy.psk, octets))
    if means is Means.NULL:
        return Auth(AuthMethod.NULL, keymat.psk_auth(prf, secret.data, octets))
    key = policy.private_key
    if key is None:
        raise IkeError("unable to locate my private key for digital signature", REFUSED)
    scheme = sign.choose(key, sa.peer_hashes) if sa.peer_hashes else None
    if scheme is not None:
        blob = DigitalSignature(scheme.algorithm, sign.sign(key, scheme, octets))
        return Auth(AuthMethod.DIGITAL_SIGNATURE, blob.emit())
    method = sign.best_method(key)
    if method is None:
        raise IkeError("our key can only sign in ways the peer does not know", REFUSED)
    return Auth(AuthMethod(method), sign.sign_method(method, key, octets))


def check(
    sa: Core, policy: IkePolicy, auth: Auth, him: IdI | IdR, identity: Identity, message: Message, now: Instant
) -> Means:
    """How the peer proved to be `identity`; IkeError (AUTHENTICATION_FAILED) when it did not."""
    means = means_of(auth)
    if means not in policy.peer_auth:
        wanted = _names(policy.peer_auth)
        raise IkeError(f"the peer authenticates by {means.name}, the connection wants {wanted}", REFUSED)
    prf, keys, _ = sa.need_keys()
    theirs, nonce = (sa.init_r, sa.nonce_i) if sa.is_initiator else (sa.init_i, sa.nonce_r)
    secret = keys.pr if sa.is_initiator else keys.pi
    octets = keymat.signed_octets(prf, theirs, nonce, secret, him.emit())
    if means is Means.PSK:
        if not policy.psk:
            raise IkeError(f"No matching PSK found for connection:{policy.name}", REFUSED)
        _compare(auth.data, keymat.psk_auth(prf, policy.psk, octets), "PSK authentication failed AUTH mismatch!")
    elif means is Means.NULL:
        _compare(auth.data, keymat.psk_auth(prf, secret.data, octets), "null authentication failed AUTH mismatch!")
    else:
        _check_signature(sa, policy, auth, octets, identity, message, now)
    return means


def _compare(got: bytes, wanted: bytes, reason: str) -> None:
    if not hmac.compare_digest(got, wanted):
        raise IkeError(reason, REFUSED)


def _check_signature(
    sa: Core, policy: IkePolicy, auth: Auth, octets: bytes, identity: Identity, message: Message, now: Instant
) -> None:
    keys: list[PublicKey] = []
    if policy.peer_by_certificate or policy.peer_certificate:
        keys.append(cert.judge(policy, identity, message, sa.ask.wall_clock(now)))
    else:
        for raw in policy.peer_keys:
            try:
                keys.append(rsakey.decode_public(raw))
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
            return
        except CryptoError as why:
            reason = str(why)
    raise IkeError(f"Signature check (on {identity}) failed (wrong key?): {reason}", REFUSED)


def _check_blob(key: PublicKey, data: bytes, octets: bytes) -> None:
    blob = DigitalSignature.parse(Reader(data))
    scheme = sign.scheme_of(blob.algorithm)
    if scheme is None:
        raise CryptoError("unknown signature algorithm")
    sign.verify(key, scheme, octets, blob.signature)


def _names(means: Means) -> str:
    return " or ".join(m.name or "" for m in Means if m in means) or "nothing"
