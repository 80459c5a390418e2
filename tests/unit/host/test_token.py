# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys in a SoftHSM token: found, read and signing as a key in a file would."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from openswan.base.errors import CryptoError, HostError
from openswan.crypto import sign
from openswan.crypto.rsakey import PublicKey
from openswan.crypto.sign import SCHEMES, Encoding, Scheme
from openswan.crypto.tokenkey import TokenKey, TokenUri
from openswan.host.token import Tokens
from tests.softhsm import PIN, Softhsm


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Softhsm:
    """One for all tests: a process has one SoftHSM."""
    return Softhsm(tmp_path_factory.mktemp("hsm"))


def schemes(key: PublicKey) -> list[Scheme]:
    return [scheme for scheme in SCHEMES if scheme.fits(key) and scheme.hash != "sha1"]


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_signatures(hsm: Softhsm, kind: str) -> None:
    tokens = Tokens()
    uri = hsm.make(kind)
    public = tokens.public(uri)
    assert public == hsm.public(kind)
    key = TokenKey(uri, public)
    assert len(schemes(public)) == {"rsa": 6, "ecdsa": 3}[kind]
    for scheme in schemes(public):
        signature = asyncio.run(tokens.sign(key, scheme, b"octets"))
        sign.verify(public, scheme, b"octets", signature)
    by_id = replace(uri, label="", id=hsm.numbers[kind])
    assert tokens.public(by_id) == public
    tokens._thread.submit(tokens._log_out).result()
    tokens.close()


def test_ikev1_has_a_token_sign_without_a_hash_of_its_own(hsm: Softhsm) -> None:
    tokens = Tokens()
    uri = hsm.make("rsa")
    key = TokenKey(uri, tokens.public(uri))
    asked: list[Scheme] = []

    def signer(key: object, scheme: Scheme, octets: bytes) -> bytes:
        asked.append(scheme)
        assert isinstance(key, TokenKey)
        return asyncio.run(tokens.sign(key, scheme, octets))

    for size in (16, 20, 32, 64):
        digest = bytes(range(size))
        sign.verify_ikev1(key.public, digest, sign.sign_ikev1(key, digest, signer))
    assert set(asked) == {sign.RAW_RSA}
    curve = hsm.make("ecdsa")
    with pytest.raises(CryptoError, match="no RSA key"):
        sign.sign_ikev1(TokenKey(uri, hsm.public("ecdsa")), bytes(20), signer)
    other = TokenKey(curve, tokens.public(curve))
    sign.verify_ikev1(other.public, bytes(32), sign.sign_ikev1(other, bytes(32), signer, 9), 9)
    tokens.close()


def test_what_is_not_there(hsm: Softhsm) -> None:
    uri = hsm.make("rsa")
    tokens = Tokens()
    for wrong, reason in (
        (replace(uri, label="nobody"), "no private keys in the token fit"),
        (replace(uri, token="another"), "no tokens fit the URI"),
        (replace(uri, slot=12345), "no tokens fit the URI"),
        (replace(uri, serial="12345"), "no tokens fit the URI"),
        (replace(uri, module="/nowhere/x.so"), "cannot use the PKCS#11 module '/nowhere/x.so'"),
    ):
        with pytest.raises(HostError, match=reason):
            tokens.public(wrong)
    tokens._thread.submit(tokens._log_out).result()
    with pytest.raises(HostError, match="Pin"):
        tokens.public(replace(uri, pin="0000"))
    with pytest.raises(HostError):
        asyncio.run(tokens.sign(TokenKey(replace(uri, label="nobody"), hsm.public("rsa")), SCHEMES[0], b""))


def test_a_pin_in_a_file(hsm: Softhsm, tmp_path: Path) -> None:
    uri = hsm.make("rsa")
    file = tmp_path / "pin"
    file.write_text(PIN + "\n")
    file.chmod(0o644)
    with pytest.raises(HostError, match="others can read it; run: chmod 600"):
        Tokens().public(replace(uri, pin="", pin_source=str(file)))
    file.chmod(0o600)
    assert Tokens().public(replace(uri, pin="", pin_source=str(file))) == hsm.public("rsa")
    with pytest.raises(HostError, match="PIN cannot be read"):
        Tokens().public(replace(uri, pin="", pin_source=str(tmp_path / "none")))


def test_a_session_that_has_ended_is_opened_again(hsm: Softhsm) -> None:
    uri = hsm.make("ecdsa")
    tokens = Tokens()
    key = TokenKey(uri, tokens.public(uri))
    tokens._sessions[tokens._name(uri)].close()
    scheme = next(s for s in SCHEMES if s.encoding is Encoding.ECDSA)
    sign.verify(key.public, scheme, b"x", asyncio.run(tokens.sign(key, scheme, b"x")))
    assert isinstance(key.uri, TokenUri)
