# SPDX-License-Identifier: GPL-2.0-or-later
"""MS-CHAP-V2 against RFC 2759 9.2 and RFC 3079 3.5.3."""

from __future__ import annotations

import pytest

from openswan.crypto import mschap

USER, PASSWORD = "User", "clientPass"
CHALLENGE = bytes.fromhex("5b5d7c7d7b3f2f3e3c2c602132262628")
PEER_CHALLENGE = bytes.fromhex("21402324255e262a28295f2b3a337c7e")
HASH = bytes.fromhex("44ebba8d5312b8d611474411f56989ae")
RESPONSE = bytes.fromhex("82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df")


def test_the_example_of_the_rfc() -> None:
    assert mschap.password_hash(PASSWORD) == HASH
    assert mschap.challenge_hash(PEER_CHALLENGE, CHALLENGE, USER).hex() == "d02e4386bce91226"
    assert mschap.nt_response(CHALLENGE, PEER_CHALLENGE, USER, HASH) == RESPONSE
    proof = mschap.authenticator_response(HASH, RESPONSE, CHALLENGE, PEER_CHALLENGE, USER)
    assert proof == "S=407A5589115FD0D6209F510FE9C04566932CDA56"
    assert mschap.same_authenticator(proof.lower(), proof) and not mschap.same_authenticator(proof[:-1], proof)


def test_the_keys_of_the_rfc() -> None:
    key = mschap.msk(HASH, RESPONSE)
    # The server's send key with 128 bits (RFC 3079 3.5.3) stands second.
    assert key[16:32].hex() == "8b7cdc149b993a1ba118cb153f56dccb"
    assert len(key) == 64 and key[32:] == bytes(32) and key[:16] != key[16:32]


def test_a_domain_does_not_count() -> None:
    plain = mschap.nt_response(CHALLENGE, PEER_CHALLENGE, USER, HASH)
    assert mschap.nt_response(CHALLENGE, PEER_CHALLENGE, "DOMAIN\\" + USER, HASH) == plain


@pytest.mark.parametrize("password", ["", "пароль", "x" * 256])
def test_odd_passwords(password: str) -> None:
    assert len(mschap.password_hash(password)) == 16
