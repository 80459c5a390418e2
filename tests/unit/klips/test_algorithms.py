# SPDX-License-Identifier: GPL-2.0-or-later
"""The words for algorithms and keys that will not do."""

from __future__ import annotations

import pytest

from openswan.crypto.registry import Kind
from openswan.klips.algorithms import keys_wanted, why_not


def test_single_des_is_refused_in_the_classic_words() -> None:
    assert why_not(Kind.ENCR, "des_cbc") == (
        "encryption algorithm des_cbc is refused: unsupported ESP Transform ESP_DES: "
        "single DES keys can be found by trying them all; use aes_gcm_16 or aes_cbc"
    )
    assert "ESP_DES_IV64" in why_not(Kind.ENCR, "des_iv64")


def test_other_names() -> None:
    assert why_not(Kind.ENCR, "rot13") == "encryption algorithm rot13 is not available"
    assert why_not(Kind.INTEG, "crc32") == "authentication algorithm crc32 is not available"
    assert "blowfish is refused: nobody here has it" in why_not(Kind.ENCR, "blowfish")


@pytest.mark.parametrize(
    ("cipher", "integ", "want"),
    [
        ("aes_gcm_16", "", "aes_gcm_16 wants 20, 28 or 36, 4 of them salt"),
        ("aes_ccm_8", "", "aes_ccm_8 wants 19, 27 or 35, 3 of them salt"),
        ("aes_cbc", "hmac_sha1_96", "aes_cbc wants 16, 24 or 32; hmac_sha1_96 wants 20"),
        ("null", "aes_xcbc_96", "aes_xcbc_96 wants 16"),
        ("3des_cbc", "", "3des_cbc wants 24; 3des_cbc needs an integrity algorithm"),
        ("aes_gcm_8", "hmac_md5_96", "aes_gcm_8 wants 20, 28 or 36, 4 of them salt; hmac_md5_96 wants 16; "
         "aes_gcm_8 brings its own integrity"),
        ("", "aes_256_gmac", "aes_256_gmac wants 36, 4 of them salt"),
    ],
)  # fmt: skip
def test_lengths_are_named(cipher: str, integ: str, want: str) -> None:
    assert keys_wanted(cipher, integ) == want
