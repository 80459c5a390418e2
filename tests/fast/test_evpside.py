# SPDX-License-Identifier: GPL-2.0-or-later
"""libcrypto's side: what is put together here because libcrypto has no call for it."""

from __future__ import annotations

from random import Random

import pytest

from _fast.esp import Esp
from openswan.klips.slow.esp import gmac, xcbc


@pytest.mark.parametrize("esn", [False, True])
def test_xcbc_over_every_length_and_the_upper_half(esn: bool) -> None:
    # The last block is the RFC's care: whole or padded, and with ESN it begins in the packet and ends behind it.
    rng = Random(3566)
    auth = rng.randbytes(16)
    esp = Esp("null", b"", "aes_xcbc_96", auth, esn, 0, "evp")
    for length in range(300):
        sequence = rng.randrange(1, 2**50) if esn else rng.randrange(1, 2**32)
        packet = esp.seal(1, sequence, rng.randbytes(length), 4)
        covered = packet[:-12] + ((sequence >> 32).to_bytes(4, "big") if esn else b"")
        assert packet[-12:] == xcbc(auth, covered)[:12]


def test_long_text_is_chained_in_pieces() -> None:
    rng = Random(1024)
    auth = rng.randbytes(16)
    esp = Esp("null", b"", "aes_xcbc_96", auth, provider="evp")
    for length in (1023, 1024, 1025, 1040, 1041, 2048, 2049, 60000):
        data = rng.randbytes(length)
        assert esp.mac(data) == xcbc(auth, data)[:12]


def test_gmac_covers_header_and_iv() -> None:
    key, iv = bytes(range(20)), bytes(range(8))
    for esn, sequence in ((False, 9), (True, 2**33 + 9)):
        packet = Esp("null_auth_aes_gmac", key, esn=esn, provider="evp").seal(7, sequence, b"x" * 30, 4, iv)
        high = (sequence >> 32).to_bytes(4, "big") if esn else b""
        assert packet[-16:] == gmac(key, packet[:4] + high + packet[4:-16], iv)
        assert packet[16:46] == b"x" * 30
