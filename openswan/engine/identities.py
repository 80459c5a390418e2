# SPDX-License-Identifier: GPL-2.0-or-later
"""Who an end of a connection is; without the rest of the policies, for commands that ask no more than that."""

from __future__ import annotations

from functools import lru_cache

from cryptography.x509 import load_der_x509_certificate

from openswan.base.address import Address
from openswan.crypto.x509 import load
from openswan.ike.certificates import carries_name
from openswan.policy.connection import End
from openswan.policy.groups import OPPORTUNISTIC
from openswan.policy.identity import FROM_CERT, MY_ID, Identity, IdKind, address_identity


@lru_cache(maxsize=4096)
def subject(certificate: bytes) -> Identity | None:
    """The subject of a DER certificate as an identity; None when it cannot be read."""
    try:
        return Identity(IdKind.DER_ASN1_DN, load_der_x509_certificate(certificate).subject.public_bytes())
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def bears(certificate: bytes, identity: Identity) -> bool:
    """Does a DER certificate say that its holder is `identity`?"""
    return carries_name(load(certificate), identity)


def identity_of(end: End, address: Address | None) -> Identity | None:
    """Who an end is: leftid=, else its certificate's subject, else its address; None: nobody in particular.

    %myid is the address, or with a certificate that does not bear it the subject. Whoever an opportunistic conn with
    certificates finds may be anybody whom an authority of the conn vouches for.
    """
    if end.id is None and end.use_cert_key and not end.cert and end.host.kind in OPPORTUNISTIC:
        return None
    if end.id == MY_ID:
        mine = address_identity(address) if address is not None else None
        return subject(end.cert) or mine if end.cert and (mine is None or not bears(end.cert, mine)) else mine
    if end.id is not None and end.id != FROM_CERT:
        return end.id
    if end.cert and (name := subject(end.cert)) is not None:
        return name
    if end.id == FROM_CERT:
        return FROM_CERT
    return address_identity(address) if address is not None else None
