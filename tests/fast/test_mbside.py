# SPDX-License-Identifier: GPL-2.0-or-later
"""libipsec-mb's side: what it lacks goes by libcrypto unseen, and its keys take only the room they need."""

from __future__ import annotations

import pytest

from _fast.cipher import key_octets, providers
from _fast.esp import Esp
from openswan.klips.slow.esp import Esp as SlowEsp

MB = [name for name in providers() if name == "ipsec-mb"]
"""Nothing on machines without it."""


@pytest.mark.parametrize("provider", MB)
def test_what_it_lacks_goes_by_libcrypto(provider: str) -> None:
    # AES-CCM with 192-bit keys: the same packets, and no schedules.
    key = bytes(range(27))
    fast, slow = Esp("aes_ccm_16", key, provider=provider), SlowEsp("aes_ccm_16", key)
    assert fast.seal(1, 1, b"payload", 4, bytes(8)) == slow.seal(1, 1, b"payload", 4, bytes(8))
    assert key_octets("aes_ccm_16", key) == key_octets("aes_ccm_16", key, provider="evp")
    assert key_octets("aes_ccm_16", bytes(19), provider=provider) > key_octets("aes_ccm_16", bytes(19), provider="evp")


def test_keys_take_the_room_of_their_kind() -> None:
    bare = key_octets("aes_gcm_16", bytes(20), provider="evp")
    assert bare <= 120
    # With what malloc adds, 18 lines.
    assert key_octets("aes_gcm_16", bytes(36)) <= 1144
    assert key_octets("aes_cbc", bytes(32), "hmac_sha2_512_256", bytes(64)) - bare <= 896 + 64
    assert key_octets("chacha20_poly1305", bytes(36)) - bare <= 320
    assert key_octets("null", b"", "hmac_sha1_96", bytes(20)) - bare <= 384 + 20
