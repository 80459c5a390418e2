# SPDX-License-Identifier: GPL-2.0-or-later
"""authby= and what goes with it: how each end of a conn proves itself, and that it has what that takes."""

from __future__ import annotations

from dataclasses import replace

from openswan.config.ends import parse_auth
from openswan.config.opportunistic import is_opportunistic
from openswan.config.values import Values
from openswan.policy.connection import EAP, SAME_CA, SIGNATURES, Auth, End, HostKind
from openswan.policy.identity import FROM_CERT, NOBODY, IdKind

CERTIFIED = SIGNATURES | Auth.EAP_TLS | Auth.EAP_ONLY
"""What may go by a certificate."""


def authentication(values: Values, left: End, right: End) -> tuple[Auth, End, End]:
    """authby=, leftauth= and rightauth=; an end that proves nothing is nobody."""
    both = values.read("authby", "", parse_auth, SIGNATURES)
    mine, his = _end_auth(values, "left", both), _end_auth(values, "right", both)
    if (mine is Auth.NEVER) != (his is Auth.NEVER):
        values.error("leftauth=never or rightauth=never alone means nothing: give authby=never")
    ends = [
        _nobody(values, name, replace(end, auth=None if mine == his else auth), auth)
        for name, end, auth in (("left", left, mine), ("right", right, his))
    ]
    return mine | his, ends[0], ends[1]


def _end_auth(values: Values, side: str, both: Auth) -> Auth:
    """leftauth= with leftautheap=."""
    auth = values.read("auth", side, parse_auth, both)
    method = {"tls": Auth.EAP_TLS, "mschapv2": Auth.EAP_MSCHAPV2}.get(values.of_side("autheap", side))
    if method is None:
        return auth
    if auth & Auth.EAP_ONLY:
        if method is Auth.EAP_MSCHAPV2:
            values.error(
                f"{side}autheap=mschapv2 and {side}auth=eaponly: a password alone does not prove a server, only "
                "EAP-TLS does",
                values.param("autheap", side),
            )
        return auth
    return method


def _nobody(values: Values, name: str, end: End, auth: Auth) -> End:
    """What goes with an end that proves nothing (RFC 7619 2.2, 2.5)."""
    param = values.param("id", name)
    if end.id == NOBODY and Auth.NULL not in auth:
        values.error(f"{name}id=%null is for an end that proves nothing: {name}auth=null", param)
    if Auth.NULL in auth and end.host.kind is HostKind.ANY and values.param("subnet", name) is not None:
        values.error(
            f"{name}=%any and {name}subnet= with null authentication would give that network to anybody: leave "
            f"{name}subnet= out",
            values.param("subnet", name),
        )
    if auth != Auth.NULL:
        return end
    if end.id not in (None, NOBODY):
        values.warn(f"{name}id= is not used: with null authentication it could be anybody's", param)
    return replace(end, id=NOBODY)


def eap_identity(values: Values, auth: Auth) -> str:
    """eap_identity=; %any and %identity stand for whoever has a secret."""
    name = values.value("eap_identity")
    if name and not auth & EAP:
        values.warn("eap_identity= is not used: neither end proves itself by EAP", values.param("eap_identity"))
    return "" if name.lower() in ("%any", "%identity") else name


def with_proof(values: Values, auth: Auth, left: End, right: End) -> tuple[End, End]:
    """Say %cert where it goes without saying, and warn where nothing could prove an end."""
    if not auth & CERTIFIED:
        return left, right

    def signs(end: End) -> bool:
        return end.auth is None or bool(end.auth & CERTIFIED)

    def certified(end: End) -> bool:
        return signs(end) and (
            end.use_cert_key or end.id == FROM_CERT or (end.id is not None and end.id.kind is IdKind.DER_ASN1_DN)
        )

    any_cert = certified(left) or certified(right)
    for name, end, other in (("left", left, right), ("right", right, left)):
        # That of an end with a certificate is its issuer, whatever the other end has.
        if end.ca == SAME_CA and (other.ca or SAME_CA) == SAME_CA and not (end.cert or other.cert):
            text = f"{name}ca=%same: neither end has a certificate or a ca= of its own"
            values.error(text, values.param("ca", name))
    ends = [
        replace(end, use_cert_key=True)
        if not end.rsa_keys
        and signs(end)
        and (certified(end) or (any_cert and values.param("rsasigkey", name) is None))
        else end
        for name, end in (("left", left), ("right", right))
    ]
    broken = values.broken
    proved = any_cert or left.rsa_keys or right.rsa_keys or Auth.PSK in auth
    if not broken and not proved and not is_opportunistic(values.canonical):
        values.warn("neither end has a public key or certificate: give rsasigkey=, cert= or authby=secret")
    return ends[0], ends[1]
