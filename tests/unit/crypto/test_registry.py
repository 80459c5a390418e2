# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.registry promises."""

from __future__ import annotations

import re

import pytest

from openswan.base.errors import CryptoError
from openswan.crypto import registry
from openswan.crypto.registry import ALGORITHMS, INTEG_PRF, Kind
from tests.shareddata import DATA


@pytest.mark.parametrize(
    ("kind", "text", "name"),
    [
        (Kind.ENCR, "aes", "aes_cbc"),
        (Kind.ENCR, "AES_GCM", "aes_gcm_16"),
        (Kind.ENCR, "aes-gcm-16", "aes_gcm_16"),
        (Kind.ENCR, "aes_gcm_c", "aes_gcm_16"),
        (Kind.ENCR, "3des", "3des_cbc"),
        (Kind.ENCR, "chacha20_poly1305", "chacha20_poly1305"),
        (Kind.ENCR, "null", "null"),
        (Kind.ENCR, "aes_ctr", "aes_ctr"),
        (Kind.ENCR, "aes_ccm_a", "aes_ccm_8"),
        (Kind.ENCR, "aes_ccm", "aes_ccm_16"),
        (Kind.ENCR, "aes_gcm_b", "aes_gcm_12"),
        (Kind.ENCR, "aes_gmac", "null_auth_aes_gmac"),
        (Kind.INTEG, "md5", "hmac_md5_96"),
        (Kind.INTEG, "hmac-md5-96", "hmac_md5_96"),
        (Kind.INTEG, "aes_xcbc", "aes_xcbc_96"),
        (Kind.INTEG, "aes_cmac", "aes_cmac_96"),
        (Kind.INTEG, "sha2_256-96", "hmac_sha2_256_96"),
        (Kind.INTEG, "aes_256_gmac", "aes_256_gmac"),
        (Kind.INTEG, "sha1", "hmac_sha1_96"),
        (Kind.INTEG, "sha2_256", "hmac_sha2_256_128"),
        (Kind.INTEG, "hmac-sha2_384", "hmac_sha2_384_192"),
        (Kind.INTEG, "sha512", "hmac_sha2_512_256"),
        (Kind.PRF, "prfsha2_512", "prf_hmac_sha2_512"),
        (Kind.PRF, "sha2_256", "prf_hmac_sha2_256"),
        (Kind.DH, "modp2048", "modp2048"),
        (Kind.DH, "dh14", "modp2048"),
        (Kind.DH, "dh18", "modp8192"),
        (Kind.DH, "dh19", "ecp256"),
        (Kind.DH, "ecp384", "ecp384"),
        (Kind.DH, "ecp512", "ecp521"),
        (Kind.DH, "secp256r1", "ecp256"),
        (Kind.DH, "curve25519", "x25519"),
        (Kind.DH, "dh31", "x25519"),
    ],
)
def test_classic_names(kind: Kind, text: str, name: str) -> None:
    assert registry.get(kind, text).name == name


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((Kind.ENCR, text) for text in ("des", "1des", "des_iv64", "idea", "rc5", "cast", "twofish")),
        *((Kind.ENCR, text) for text in ("camellia", "blowfish", "serpent")),
        *((Kind.PRF, text) for text in ("prfmd5", "prfaes128xcbc")),
        *((Kind.DH, text) for text in ("modp768", "dh1", "modp1024", "dh2", "modp1536", "dh5", "dh22", "dh23", "x448")),
    ],
)
def test_known_names_that_are_refused_say_what_to_use(kind: Kind, text: str) -> None:
    row = registry.find(kind, text)
    assert row is not None
    with pytest.raises(CryptoError, match=rf"'{text}' is refused: .*; use "):
        registry.get(kind, text)
    assert registry.by_number(kind, row.number) is None


def test_unknown_names_list_the_known_ones() -> None:
    assert registry.find(Kind.ENCR, "rot13") is None
    with pytest.raises(CryptoError, match=r"unknown encryption algorithm 'rot13'.*aes_gcm_16"):
        registry.get(Kind.ENCR, "rot13")


def test_weak_ones_are_marked() -> None:
    weak = {row.name for row in ALGORITHMS if row.weak and not row.refused}
    assert weak == {"3des_cbc", "null", "null_auth_aes_gmac", "hmac_md5_96", "hmac_sha2_256_96"}
    assert not {row.name for row in ALGORITHMS if row.name.startswith("des_")} & {row.name for row in of_encr()}


def of_encr() -> list[registry.Algorithm]:
    return list(registry.of_kind(Kind.ENCR))


def test_key_material_sizes() -> None:
    """RFC 7296 2.14, RFC 4106 8.1, RFC 7634 2: salt included."""
    gcm = registry.get(Kind.ENCR, "aes_gcm_16")
    assert (gcm.keymat_octets(), gcm.keymat_octets(128)) == (36, 20)
    assert registry.get(Kind.ENCR, "chacha20_poly1305").keymat_octets() == 36
    assert registry.get(Kind.ENCR, "aes").keymat_octets() == 16
    assert registry.get(Kind.ENCR, "null").keymat_octets() == 0
    assert registry.get(Kind.INTEG, "sha2_512").keymat_octets() == 64
    assert registry.get(Kind.ENCR, "aes_ccm_8").keymat_octets(192) == 27  # RFC 4309 7.1: 3 octets of salt
    assert registry.get(Kind.ENCR, "aes_ctr").keymat_octets(256) == 36  # RFC 3686 5.1
    assert registry.get(Kind.ENCR, "null_auth_aes_gmac").keymat_octets(128) == 20
    assert registry.get(Kind.INTEG, "aes_192_gmac").keymat_octets() == 28  # RFC 4543 8.1
    assert registry.get(Kind.INTEG, "aes_xcbc").keymat_octets() == 16
    assert registry.get(Kind.ENCR, "3des").keymat_octets() == 24
    for bits in (1, 7, 64, 127, 129, 160, 65535):
        with pytest.raises(CryptoError, match="keys, only 128, 192, 256"):
            gcm.keymat_octets(bits)


def test_the_key_length_attribute() -> None:
    """RFC 7296 3.3.5: never with a cipher of one key size."""
    assert registry.get(Kind.ENCR, "aes_gcm_16").attribute_bits() == 256
    assert registry.get(Kind.ENCR, "aes_cbc").attribute_bits(192) == 192
    assert registry.get(Kind.ENCR, "chacha20_poly1305").attribute_bits() is None
    assert registry.get(Kind.ENCR, "3des").attribute_bits() is None


def test_every_row_can_be_found_by_name_and_number() -> None:
    for row in ALGORITHMS:
        assert registry.find(row.kind, row.name) is row
        assert all(registry.find(row.kind, alias.upper()) is row for alias in row.aliases)
        assert registry.by_number(row.kind, row.number) == (None if row.refused else row)
    for number in range(70000):
        row = registry.by_number(Kind.ENCR, number)
        assert row is None or row.number == number


def test_of_kind_and_names() -> None:
    assert next(registry.of_kind(Kind.ENCR)).name == "aes_gcm_16"
    assert "des" in set(registry.names(Kind.ENCR))
    assert "des_cbc" not in {row.name for row in registry.of_kind(Kind.ENCR)}


def test_an_integrity_algorithm_has_its_prf() -> None:
    for integ, prf in INTEG_PRF.items():
        assert registry.get(Kind.INTEG, integ).hash == registry.get(Kind.PRF, prf).hash


def test_numbers_are_those_of_the_rfc() -> None:
    text = (DATA / "rfc" / "rfc7296.txt").read_text(errors="replace")
    spelled = {
        "3des_cbc": "ENCR_3DES",
        "aes_cbc": "ENCR_AES_CBC",
        "null": "ENCR_NULL",
        "hmac_sha1_96": "AUTH_HMAC_SHA1_96",
        "hmac_md5_96": "AUTH_HMAC_MD5_96",
        "aes_xcbc_96": "AUTH_AES_XCBC_96",
        "aes_ctr": "ENCR_AES_CTR",
    }
    for name, words in spelled.items():
        number = re.search(rf"^ +{words}\s+(\d+)", text, re.MULTILINE)
        assert number is not None
        assert next(row for row in ALGORITHMS if row.name == name).number == int(number[1])


def test_ikev1_numbers_are_those_of_the_rfc() -> None:
    """RFC 2407 4.4.3 to 4.5, RFC 4868 2.7 aside, RFC 4543 8.3."""
    v1 = {row.name: (row.ikev1_esp, row.ikev1_ah) for row in ALGORITHMS}
    assert v1["hmac_md5_96"] == (1, 2) and v1["hmac_sha1_96"] == (2, 3) and v1["3des_cbc"] == (3, 0)
    text = (DATA / "rfc" / "rfc2407.txt").read_text(errors="replace")
    for name, words in {"3des_cbc": "ESP_3DES", "null": "ESP_NULL", "des_cbc": "ESP_DES"}.items():
        number = re.search(rf"^ +{words}\s+(\d+)", text, re.MULTILINE)
        assert number is not None and v1[name][0] == int(number[1])
    for name, words in {"hmac_md5_96": "AH_MD5", "hmac_sha1_96": "AH_SHA"}.items():
        number = re.search(rf"^ +{words}\s+(\d+)", text, re.MULTILINE)
        assert number is not None and v1[name][1] == int(number[1])
    for kind in (Kind.ENCR, Kind.INTEG):
        used = [row.ikev1_esp for row in ALGORITHMS if row.kind is kind and row.ikev1_esp]
        assert len(used) == len(set(used))


def test_relics_are_for_ikev1_alone() -> None:
    assert {row.name for row in ALGORITHMS if row.relic} == {"modp1024", "modp1536", "dh23", "dh24"}
    for name in ("modp1024", "dh5", "modp2048_256"):
        assert registry.get_ikev1(Kind.DH, name).relic
        with pytest.raises(CryptoError, match="is refused"):
            registry.get(Kind.DH, name)
    assert registry.get_ikev1(Kind.ENCR, "aes").ikev1 == 7


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        (Kind.DH, "modp768", "logarithms"),
        (Kind.DH, "dh22", "logarithms"),
        (Kind.ENCR, "des", "single DES"),
        (Kind.ENCR, "chacha20_poly1305", "IKEv1 has no number"),
        (Kind.INTEG, "aes_cmac", "IKEv1 has no number"),
        (Kind.ENCR, "rot13", "unknown encryption algorithm"),
    ],
)
def test_what_ikev1_does_not_get(kind: Kind, text: str, why: str) -> None:
    with pytest.raises(CryptoError, match=why):
        registry.get_ikev1(kind, text)


def test_ikev1_numbers_lead_back() -> None:
    for row in ALGORITHMS:
        there = None if row.refused and not row.relic else row
        assert not row.ikev1 or registry.by_ikev1(row.kind, row.ikev1) is there
        assert not row.ikev1_esp or registry.by_ikev1_esp(row.kind, row.ikev1_esp) is there
        assert not row.ikev1_ah or registry.by_ikev1_ah(row.ikev1_ah) is there
    assert [n for n in range(70000) if registry.by_ikev1(Kind.DH, n)] == [2, 5, *range(14, 22), 23, 24, 31]
    assert [n for n in range(70000) if registry.by_ikev1(Kind.ENCR, n)] == [5, 7]
    assert registry.by_ikev1(Kind.DH, 0) is registry.by_ikev1_ah(0) is registry.by_ikev1_esp(Kind.INTEG, 0) is None
