# SPDX-License-Identifier: GPL-2.0-or-later
"""Algorithm names and keys of manual keying."""

from __future__ import annotations

import pytest

from openswan.base.errors import ConfigError
from openswan.policy.keying import ah_algorithm, check_keys, check_spi, counters_repeat, esp_algorithms


@pytest.mark.parametrize(
    ("text", "cipher", "integ", "bits"),
    [
        ("3des-md5-96", "3des_cbc", "hmac_md5_96", 0),
        ("3des-sha1-96", "3des_cbc", "hmac_sha1_96", 0),
        ("aes-sha1", "aes_cbc", "hmac_sha1_96", 0),
        ("aes128-sha2_256", "aes_cbc", "hmac_sha2_256_128", 128),
        ("AES-256-SHA1-96", "aes_cbc", "hmac_sha1_96", 256),
        ("aes-sha2_256_96", "aes_cbc", "hmac_sha2_256_96", 0),
        ("aes-aes_xcbc", "aes_cbc", "aes_xcbc_96", 0),
        ("aes_ctr-sha2_512", "aes_ctr", "hmac_sha2_512_256", 0),
        ("aes_gcm_16", "aes_gcm_16", "", 0),
        ("aes-gcm-16-256", "aes_gcm_16", "", 256),
        ("aes_ccm_8", "aes_ccm_8", "", 0),
        ("chacha20-poly1305", "chacha20_poly1305", "", 0),
        ("null-sha1", "null", "hmac_sha1_96", 0),
        ("null_auth_aes_gmac", "null_auth_aes_gmac", "", 0),
    ],
)
def test_esp_names(text: str, cipher: str, integ: str, bits: int) -> None:
    found = esp_algorithms(text)
    assert (found.cipher, found.integ, found.bits) == (cipher, integ, bits)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("des-md5-96", "unsupported ESP Transform ESP_DES: single DES"),
        ("des_iv64-sha1", "unsupported ESP Transform ESP_DES"),
        ("3des", "'3des' has no integrity protection"),
        ("null", "'null' has no integrity protection"),
        ("aes_gcm_16-sha1", "brings its own integrity protection"),
        ("aes512-sha1", "aes_cbc has no 512-bit keys, only 128, 192, 256"),
        ("aes-foo", "'foo' is not an integrity algorithm"),
        ("aes-aes_128_gmac", "refused for ESP"),
        ("blowfish-sha1", "refused for ESP"),
        ("rot13", "unknown ESP algorithm 'rot13': there are aes_gcm_16"),
        ("", "unknown ESP algorithm ''"),
    ],
)
def test_esp_names_that_are_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        esp_algorithms(text)
    assert why in error.value.reason and "\n" not in error.value.reason


def test_ah_names() -> None:
    assert ah_algorithm("hmac-md5-96") == "hmac_md5_96"
    assert ah_algorithm("hmac-sha1-96") == "hmac_sha1_96"
    assert ah_algorithm("sha2_512") == "hmac_sha2_512_256"
    assert ah_algorithm("aes-cmac-96") == "aes_cmac_96"
    for text, why in (("foo", "unknown AH algorithm 'foo': there are hmac-sha2-256-128"), ("null", "unknown AH")):
        with pytest.raises(ConfigError) as error:
            ah_algorithm(text)
        assert why in error.value.reason


def test_counter_modes_are_known_as_such() -> None:
    for cipher in ("aes_gcm_16", "aes_ccm_12", "chacha20_poly1305", "aes_ctr", "null_auth_aes_gmac"):
        assert counters_repeat(cipher, "")
    assert counters_repeat("", "aes_128_gmac")
    for cipher in ("aes_cbc", "3des_cbc", "null", "deflate", ""):
        assert not counters_repeat(cipher, "hmac_sha1_96")


TRIPLE = bytes(range(0, 48, 2))


@pytest.mark.parametrize(
    ("cipher", "integ", "enc", "auth", "bits"),
    [
        ("aes_cbc", "hmac_sha1_96", bytes(16), bytes(20), 0),
        ("aes_cbc", "hmac_sha2_256_128", bytes(32), bytes(32), 256),
        ("aes_gcm_16", "", bytes(20), b"", 128),
        ("aes_ccm_16", "", bytes(19), b"", 0),
        ("3des_cbc", "hmac_md5_96", TRIPLE, bytes(16), 0),
        ("null", "hmac_sha1_96", b"", bytes(20), 0),
        ("", "hmac_md5_96", b"", bytes(16), 0),
        ("", "", b"", b"", 0),
    ],
)
def test_keys_of_the_right_length(cipher: str, integ: str, enc: bytes, auth: bytes, bits: int) -> None:
    check_keys(cipher, integ, enc, auth, bits)


@pytest.mark.parametrize(
    ("cipher", "integ", "enc", "auth", "bits", "why"),
    [
        ("aes_cbc", "hmac_sha1_96", bytes(16), bytes(20), 256, "key for aes_cbc is 16 octets, 32 expected"),
        ("aes_cbc", "hmac_sha1_96", bytes(15), bytes(20), 0, "is 15 octets, 16 or 24 or 32 expected"),
        ("aes_gcm_16", "", bytes(16), b"", 0, "20 or 28 or 36 expected, the last 4 of them salt"),
        ("aes_cbc", "hmac_sha1_96", bytes(16), bytes(16), 0, "hmac_sha1_96 is 16 octets, 20 expected"),
        ("3des_cbc", "hmac_md5_96", bytes(8) + bytes([1] * 8) + TRIPLE[:8], bytes(16), 0, "make it single DES"),
        ("3des_cbc", "hmac_md5_96", TRIPLE[:8] + bytes(16), bytes(16), 0, "make it single DES"),
        ("null", "hmac_sha1_96", b"k", bytes(20), 0, "key for null is 1 octets, 0 expected"),
        ("", "hmac_md5_96", b"k", bytes(16), 0, "an encryption key, but no encryption algorithm"),
        ("aes_gcm_16", "", bytes(20), b"k", 0, "an authentication key, but no integrity algorithm"),
        ("foo", "", b"", b"", 0, "unknown ESP algorithm 'foo'"),
        ("", "foo", b"", b"", 0, "unknown integrity algorithm 'foo'"),
    ],
)
def test_keys_of_the_wrong_length(cipher: str, integ: str, enc: bytes, auth: bytes, bits: int, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_keys(cipher, integ, enc, auth, bits)
    assert why in error.value.reason


def test_reserved_spis() -> None:
    check_spi(0x100)
    check_spi(0xFFFFFFFF)
    with pytest.raises(ConfigError, match=r"Illegal reserved spi: 0xff => 0xff Must be larger than 0x100\."):
        check_spi(0xFF, "0xff")
