# SPDX-License-Identifier: GPL-2.0-or-later
"""Sealing and opening: the chain of IVs, wrong keys, ciphertext of any length."""

from __future__ import annotations

import pytest

from openswan.base.errors import CryptoError, WireError
from openswan.crypto import oakley
from openswan.crypto.oakley import Oakley, Public
from openswan.ike.v1.keys import IsakmpKeys
from openswan.ike.v1.phase1 import ChosenIsakmp
from openswan.policy.proposal import Transform
from openswan.wire.v1.auth import Hash
from openswan.wire.v1.header import Flags, Header
from openswan.wire.v1.message import Message
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.numbers import AuthMethod, ExchangeType
from openswan.wire.v1.payload import emit_chain

PUBLIC = Public(b"I" * 8, b"R" * 8, b"x" * 256, b"y" * 256)
HEADER = Header(b"I" * 8, b"R" * 8, ExchangeType.QUICK, Flags.ENCRYPTION, 0x01020304)
AES, DES3 = Transform("aes_cbc", 256), Transform("3des_cbc")


def keys(encr: Transform = AES, digest: str = "hmac_sha1_96", secret: bytes = b"secret") -> IsakmpKeys:
    chosen = ChosenIsakmp(encr, Transform(digest), AuthMethod.PRE_SHARED_KEY, Transform("modp2048"))
    prf = Oakley(chosen.hash_name)
    skeyid = oakley.skeyid_psk(prf, secret, b"ni" * 8, b"nr" * 8)
    return IsakmpKeys(chosen, oakley.derive(prf, skeyid, b"gxy", b"I" * 8, b"R" * 8), PUBLIC)


@pytest.mark.parametrize(("encr", "block"), [(AES, 16), (DES3, 8)])
@pytest.mark.parametrize("digest", ["hmac_sha1_96", "hmac_sha2_256_128", "hmac_sha2_512_256", "hmac_md5_96"])
def test_what_one_end_seals_the_other_opens(encr: Transform, block: int, digest: str) -> None:
    ours, theirs = keys(encr, digest), keys(encr, digest)
    assert len(ours.last_block) == block
    iv = their_iv = ours.exchange_iv(HEADER.message_id)
    for content in (b"first nonce", b"second nonce"):
        payloads = ours.hashed(HEADER.message_id, [Nonce(content)])
        data, iv = ours.seal(HEADER, payloads, iv)
        message = Message.parse(data)
        assert len(message.sealed) % block == 0 and iv == data[-block:]
        opened, their_iv = theirs.open(message, their_iv)
        assert opened.payloads == payloads and their_iv == iv


def test_another_place_in_the_chain_opens_nothing() -> None:
    ours, theirs = keys(), keys()
    data, _ = ours.seal(HEADER, [Nonce(b"n" * 16)], ours.exchange_iv(1))
    with pytest.raises(WireError):
        theirs.open(Message.parse(data), theirs.exchange_iv(2))
    other = keys(secret=b"another")
    with pytest.raises(WireError):
        other.open(Message.parse(data), other.exchange_iv(1))


def test_ciphertext_of_any_length() -> None:
    theirs = keys()
    for octets in (*range(1, 16), 17, 31, 33):
        message = Message(HEADER, sealed=bytes(octets))
        with pytest.raises(WireError, match=f"{octets} octets are no ciphertext"):
            theirs.open(message, theirs.last_block)


def test_hashes_cover_what_stands_behind_them() -> None:
    """RFC 2409 5.5."""
    ours = keys()
    _, rest = emit_chain([Nonce(b"n" * 16)])
    head, *_ = ours.hashed(7, [Nonce(b"n" * 16)])
    assert isinstance(head, Hash) and head.data == oakley.hash_1(ours.oakley, ours.skeyid.a, 7, rest)
    second, *_ = ours.hashed(7, [Nonce(b"n" * 16)], b"Ni")
    assert isinstance(second, Hash) and second.data == oakley.hash_2(ours.oakley, ours.skeyid.a, 7, b"Ni", rest)


def test_wiped_keys_do_nothing() -> None:
    ours = keys()
    ours.wipe()
    with pytest.raises(CryptoError):
        ours.seal(HEADER, [Nonce(b"n" * 16)], bytes(16))
    with pytest.raises(CryptoError):
        ours.hashed(7, [Nonce(b"n" * 16)])
