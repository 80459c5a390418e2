# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.tokenkey promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto import sign
from openswan.crypto.tokenkey import TokenKey, TokenUri, parse_uri
from tests.unit.crypto.keys import ec_key, rsa_key


def test_uris() -> None:
    full = (
        "pkcs11:token=My%20token;manufacturer=SoftHSM;serial=1a;model=m;object=gw;id=%01%02;type=private;slot-id=7"
        "?module-path=/usr/lib/x.so&pin-value=1234"
    )
    assert parse_uri(full) == TokenUri("My token", "SoftHSM", "1a", "m", 7, "gw", b"\1\2", "/usr/lib/x.so", "1234")
    assert parse_uri("pkcs11:object=gw?pin-source=file:/etc/pin") == TokenUri(label="gw", pin_source="/etc/pin")
    assert parse_uri("pkcs11:id=%ff") == TokenUri(id=b"\xff")
    assert "1234" not in repr(parse_uri(full))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pkcs11:token=x", "names no key"),
        ("pkcs11:", "names no key"),
        ("https://x", "begins with pkcs11:"),
        ("pkcs11:" + "a" * 3000, "at most 2048"),
        ("pkcs11:object=x;library-version=3", "'library-version' is no attribute"),
        ("pkcs11:object=x;object=y", "stands there twice"),
        ("pkcs11:object", "is no attribute"),
        ("pkcs11:object=x;slot-id=-1", "slot-id= is a number"),
        ("pkcs11:object=x;type=data", "type="),
        ("pkcs11:object=%ff", "not UTF-8"),
        ("pkcs11:object=a%0ab", "control characters"),
        ("pkcs11:object=x?pin-value=1&pin-value=2", "twice"),
    ],
)
def test_what_is_no_uri(text: str, reason: str) -> None:
    with pytest.raises(CryptoError, match=reason):
        parse_uri(text)


def test_keys_that_are_elsewhere_choose_schemes_like_others_and_do_not_sign_here() -> None:
    for key, method in ((rsa_key(), 1), (ec_key("secp384r1"), 10)):
        token = TokenKey(TokenUri(label="x"), key.public_key())
        assert sign.choose(token, sign.DEFAULT_HASHES) == sign.choose(key, sign.DEFAULT_HASHES)
        assert sign.best_method(token) == method == sign.best_method(key)
        scheme = sign.choose(token, sign.DEFAULT_HASHES)
        assert scheme is not None
        with pytest.raises(CryptoError, match="cannot sign"):
            sign.sign(token, scheme, b"octets")
        data = sign.sign_method(
            method, token, b"octets", lambda _, scheme, octets, key=key: sign.sign(key, scheme, octets)
        )  # type: ignore[misc]
        sign.verify_method(method, key.public_key(), b"octets", data)
