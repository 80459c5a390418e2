# SPDX-License-Identifier: GPL-2.0-or-later
"""PKCS#12 files: a private key with its certificate and those above it (RFC 7292)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import InvalidVersion

from openswan.base.errors import CryptoError
from openswan.crypto.rsakey import PrivateKey, check_private
from openswan.crypto.x509 import der, load

VERSION_3 = re.compile(rb"\x30(?:[\x00-\x7f]|\x80|\x81.|\x82..|\x83...)\x02\x01\x03", re.DOTALL)
"""How a PFX begins: a sequence, and in it the integer 3."""
MOST_CERTIFICATES = 32


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a file holds."""

    key: PrivateKey = field(repr=False)
    certificates: tuple[bytes, ...]
    """DER; the key's own first, if it is there."""


def is_pkcs12(data: bytes) -> bool:
    """Does it begin as such a file does?"""
    return VERSION_3.match(data) is not None


def load_bundle(data: bytes, passphrase: str) -> Bundle:
    """Key and certificates; CryptoError when the passphrase is wrong or the file holds no key that is used here."""
    try:
        found = pkcs12.load_pkcs12(data, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion):
        hint = "wrong passphrase or damaged file" if passphrase else "a passphrase is needed, or the file is damaged"
        raise CryptoError(f"PKCS#12 file not loaded: {hint}") from None
    if found.key is None or found.cert is None:
        raise CryptoError("the PKCS#12 file holds no private key with its certificate")
    others = found.additional_certs
    if len(others) > MOST_CERTIFICATES:
        raise CryptoError(f"the PKCS#12 file holds more than {MOST_CERTIFICATES} certificates")
    # Each goes through our own reading, which leaves no part of it unparsed.
    certificates = [load(der(one.certificate), "a certificate of the PKCS#12 file") for one in (found.cert, *others)]
    return Bundle(check_private(found.key), tuple(der(cert) for cert in certificates))
