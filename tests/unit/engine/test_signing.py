# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures by tokens, between IKE SA and host."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ed25519

from openswan.base.entropy import SeededRng
from openswan.base.errors import CryptoError
from openswan.crypto.sign import SCHEMES
from openswan.crypto.tokenkey import TokenKey, TokenUri
from openswan.engine.core import Core
from openswan.engine.effects import Sign
from openswan.engine.events import Signed
from openswan.engine.settings import Settings
from openswan.engine.signing import Signing
from openswan.ike.later import SignJob


def test_each_answer_goes_to_who_asked() -> None:
    core = Core(SeededRng(1), Settings())
    signing = Signing(core)
    key = TokenKey(TokenUri(label="x"), ed25519.Ed25519PrivateKey.generate().public_key())
    got: list[tuple[str, bytes | CryptoError]] = []
    signing.start(SignJob(key, SCHEMES[0], b"1"), lambda result: got.append(("first", result)))
    signing.start(SignJob(key, SCHEMES[0], b"2"), lambda result: got.append(("second", result)))
    first, second = core.effects
    assert isinstance(first, Sign) and isinstance(second, Sign) and first.octets == b"1" and first.key is key
    signing.signed(Signed(second.token, b"signature"))
    signing.signed(Signed(first.token, b"", "PIN incorrect"))
    signing.signed(Signed(first.token, b"again"))
    assert got[0] == ("second", b"signature")
    assert got[1][0] == "first" and "the token does not sign: PIN incorrect" in str(got[1][1])
    assert len(got) == 2 and not signing.under_way
