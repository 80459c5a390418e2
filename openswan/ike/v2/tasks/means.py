# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways to prove oneself: which one a peer uses, which one we use, and telling each other (RFC 7296 3.8, RFC 9593)."""

from __future__ import annotations

from openswan.base.errors import IkeError, WireError
from openswan.crypto import sign
from openswan.crypto.sign import Encoding, Scheme
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.policy.connection import EAP
from openswan.policy.connection import Auth as Means
from openswan.wire.cursor import Reader
from openswan.wire.message import Message
from openswan.wire.v2 import authmethods
from openswan.wire.v2.auth import Auth, DigitalSignature
from openswan.wire.v2.authmethods import Announcement
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import AuthMethod, NotifyType

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
    Encoding.EDDSA: Means.EDDSA,
}
PREFERENCE: tuple[Means, ...] = (Means.EDDSA, Means.ECDSA, Means.RSASIG, Means.PSK, *EAP, Means.NULL)
SIGNATURES = (Means.EDDSA, Means.ECDSA, Means.RSASIG)
REFUSED = NotifyType.AUTHENTICATION_FAILED


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


def my_means(policy: IkePolicy, announced: tuple[Announcement, ...] = (), initiator: bool = True) -> Means:
    """How we prove ourselves: the first way of the policy for which there is a secret; IkeError when there is none.

    What the peer has announced goes first; when none of that can be had, it may still take another way.
    """
    possible = [means for means in PREFERENCE if means in policy.my_auth and _possible(means, policy, initiator)]
    wanted = [means for means in possible if _announced(means, policy, announced)]
    if possible:
        return wanted[0] if wanted else possible[0]
    if policy.my_auth & EAP:
        raise IkeError("by EAP only who initiates can prove himself: bring the connection up from here", REFUSED)
    if Means.PSK in policy.my_auth:
        raise IkeError(f"No matching PSK found for connection:{policy.name}", REFUSED)
    raise IkeError("unable to locate my private key for digital signature", REFUSED)


def responder_means(policy: IkePolicy, announced: tuple[Announcement, ...] = ()) -> Means:
    """How we prove ourselves as responder; EAP_ONLY when that is left to EAP."""
    alone = Means.EAP_ONLY in policy.my_auth
    return Means.EAP_ONLY if alone else my_means(policy, announced, False)


def _possible(means: Means, policy: IkePolicy, initiator: bool) -> bool:
    if means in SIGNATURES:
        key = policy.private_key
        return key is not None and any(s.fits(key) for s in sign.SCHEMES if ENCODINGS[s.encoding] is means)
    if means in EAP:
        return initiator
    return means is Means.NULL or bool(policy.psk)


def _announced(means: Means, policy: IkePolicy, announced: tuple[Announcement, ...]) -> bool:
    if means is Means.PSK or means is Means.NULL:
        return any(MEANS.get(one.method) is means for one in announced)
    key = policy.private_key
    if key is None or means not in SIGNATURES:
        return False
    fixed = sign.best_method(key)
    return any(one.method == fixed for one in announced) or any(s.fits(key) for s in schemes(announced))


def schemes(announced: tuple[Announcement, ...]) -> list[Scheme]:
    """The signature schemes among announcements, in their order."""
    found = (sign.scheme_of(one.algorithm) for one in announced if one.method == AuthMethod.DIGITAL_SIGNATURE)
    return [scheme for scheme in found if scheme is not None]


def announce(accepted: Means) -> list[Notify]:
    """What we accept, when there is a choice to be made; nothing otherwise.

    For the IKE_SA_INIT response, and for the IKE_AUTH request of an initiator whose responder has announced its own.
    """
    rows: list[Announcement] = []
    if Means.PSK in accepted:
        rows.append(Announcement(AuthMethod.SHARED_KEY))
    if Means.NULL in accepted:
        rows.append(Announcement(AuthMethod.NULL))
    # PKCS#1 with SHA-1 and the methods of RFC 4754 are for peers that know nothing newer: not recommended to others.
    rows += [
        Announcement(AuthMethod.DIGITAL_SIGNATURE, 0, scheme.algorithm)
        for scheme in sign.SCHEMES
        if ENCODINGS[scheme.encoding] in accepted and scheme.hash in sign.DEFAULT_HASHES
    ]
    if len(rows) < 2:
        return []
    return [Notify(NotifyType.SUPPORTED_AUTH_METHODS, authmethods.emit(tuple(rows)))]


def learn(sa: Core, message: Message) -> None:
    """Take note of what the peer accepts; a malformed list is as good as none."""
    said = message.notify(NotifyType.SUPPORTED_AUTH_METHODS)
    if said is None:
        return
    try:
        sa.peer_methods = authmethods.parse(said.data)
    except WireError as why:
        sa.log(f"the peer's list of authentication methods is not used: {why}")


def choose_scheme(sa: Core, policy: IkePolicy) -> Scheme | None:
    """How to sign under method 14; None when the peer does not know that method or no scheme fits.

    What the peer has announced goes first.
    """
    key = policy.private_key
    if key is None or not sa.peer_hashes:
        return None
    announced = schemes(sa.peer_methods)
    fitting = [s for s in announced if s.fits(key) and s.hash in sign.DEFAULT_HASHES and s.hash in sa.peer_hashes]
    return fitting[0] if fitting else sign.choose(key, sa.peer_hashes)


def fixed_method(policy: IkePolicy) -> int:
    """The method of RFC 7296 or RFC 4754 our key can sign by; IkeError when there is none."""
    method = sign.best_method(policy.private_key) if policy.private_key is not None else None
    if method is None:
        raise IkeError("our key can only sign in ways the peer does not know", REFUSED)
    return method
