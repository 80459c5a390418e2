# SPDX-License-Identifier: GPL-2.0-or-later
"""A small certificate authority for the tests, made once per run."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

from openswan.ike.policy import IkePolicy
from openswan.policy.connection import Auth
from tests.unit.ike.pair import NOON, ike_policy

DAY = datetime.timedelta(days=1)
_slots: dict[str, int] = {}
"""Which of the keys is whose: no two names share one."""


def name(cn: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CA"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"),
            x509.NameAttribute(NameOID.COMMON_NAME, cn),
        ]
    )


@dataclass(frozen=True)
class Holder:
    """A key and the certificate over it."""

    key: Any
    cert: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.cert.public_bytes(serialization.Encoding.DER)


@lru_cache
def key(kind: str, serial: int = 0) -> Any:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind in ("ed25519", "ed448"):
        return {"ed25519": ed25519.Ed25519PrivateKey, "ed448": ed448.Ed448PrivateKey}[kind].generate()
    curve = {"ecdsa": ec.SECP256R1(), "ecdsa384": ec.SECP384R1()}[kind]
    return ec.generate_private_key(curve)


def sign(
    cn: str, own: Any, issuer: Holder | None, ca: bool, start: datetime.datetime, end: datetime.datetime
) -> Holder:
    issuer_key = issuer.key if issuer else own
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(cn))
        .issuer_name(issuer.cert.subject if issuer else name(cn))
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca, None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    )
    if ca:
        builder = builder.add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False), True
        )
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(cn)]), False)
    return Holder(own, builder.sign(issuer_key, hashes.SHA256()))


@lru_cache
def authority(kind: str = "rsa", which: int = 0) -> Holder:
    return sign(f"{kind} ca {which}", key(kind, 100 + which), None, True, NOON - DAY, NOON + 300 * DAY)


@lru_cache
def holder(cn: str, kind: str = "rsa", which: int = 0, days: int = 100) -> Holder:
    return sign(
        cn, key(kind, _slots.setdefault(cn, len(_slots))), authority("rsa", which), False, NOON - DAY, NOON + days * DAY
    )


@lru_cache
def intermediate() -> Holder:
    return sign("intermediate", key("rsa", 200), authority(), True, NOON - DAY, NOON + 100 * DAY)


@lru_cache
def below_intermediate(cn: str) -> Holder:
    return sign(cn, key("rsa", 201), intermediate(), False, NOON - DAY, NOON + 100 * DAY)


def certified(me: str, peer: str, kind: str = "rsa", peer_kind: str = "", **more: Any) -> IkePolicy:
    """The policy of `me`, who proves itself by certificate to `peer`, who does so too."""
    means = {"rsa": Auth.RSASIG, "ecdsa": Auth.ECDSA, "ecdsa384": Auth.ECDSA}
    means |= {"ed25519": Auth.EDDSA, "ed448": Auth.EDDSA}
    own = holder(me, kind)
    values: dict[str, Any] = {
        "my_auth": means[kind],
        "peer_auth": means[peer_kind or kind],
        "psk": b"",
        "private_key": own.key,
        "certificates": (own.der,),
        "peer_by_certificate": True,
        "anchors": (authority().der,),
    }
    return ike_policy(f"@{me}", f"@{peer}", **{**values, **more})
