# SPDX-License-Identifier: GPL-2.0-or-later
"""PKCS#12 files."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, pkcs12

from openswan.base.errors import CryptoError
from openswan.crypto.pkcs12 import is_pkcs12, load_bundle
from tests.unit.crypto.keys import certify, ec_key, rsa_key

KEY, ABOVE_KEY = rsa_key(), ec_key("secp256r1", 2)
ABOVE = certify("above", ABOVE_KEY, "above", ABOVE_KEY, authority=True)
OWN = certify("gw", KEY, "above", ABOVE_KEY)
DERS = tuple(cert.public_bytes(Encoding.DER) for cert in (OWN, ABOVE))
SEALED = pkcs12.serialize_key_and_certificates(b"gw", KEY, OWN, [ABOVE], BestAvailableEncryption(b"open"))
OPEN = pkcs12.serialize_key_and_certificates(b"gw", KEY, OWN, None, NoEncryption())


def test_key_and_certificates() -> None:
    found = load_bundle(SEALED, "open")
    assert found.certificates == DERS and found.key.public_key() == KEY.public_key()
    assert load_bundle(OPEN, "").certificates == DERS[:1]
    assert "key" not in repr(found).split("certificates")[0]


def test_what_is_none() -> None:
    assert is_pkcs12(SEALED) and is_pkcs12(OPEN)
    assert not any(map(is_pkcs12, (DERS[0], b"", b"-----BEGIN", b"\x30\x03\x02\x01\x02")))
    for passphrase, reason in (("shut", "wrong passphrase"), ("", "a passphrase is needed")):
        with pytest.raises(CryptoError, match=reason):
            load_bundle(SEALED, passphrase)
    alone = pkcs12.serialize_key_and_certificates(None, None, None, [ABOVE], BestAvailableEncryption(b"open"))
    with pytest.raises(CryptoError, match="no private key with its certificate"):
        load_bundle(alone, "open")
    for end in (*range(0, len(OPEN), 37), len(OPEN) - 1):
        with pytest.raises(CryptoError):
            load_bundle(OPEN[:end], "")
