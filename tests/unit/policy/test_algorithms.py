# SPDX-License-Identifier: GPL-2.0-or-later
"""ike= and esp= strings: both spellings, defaults, every refusal, random strings."""

import random

import pytest

from openswan.base.errors import ConfigError
from openswan.crypto.registry import Kind, find
from openswan.policy.algorithms import (
    DEFAULT_AH,
    DEFAULT_DH,
    DEFAULT_ESP,
    DEFAULT_IKE,
    MOST_OFFERED,
    V1_DEFAULT_AH,
    V1_DEFAULT_ESP,
    V1_DEFAULT_IKE,
    V1_DH,
    V1_INTEG,
    combinations,
    parse_ah,
    parse_esp,
    parse_ike,
    usable,
    with_esn,
)
from openswan.policy.proposal import proposal_text, proposals_text

SHA1 = "HMAC_SHA1_96"
SHA256 = "HMAC_SHA2_256_128"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("aes128-sha1-modp2048", "AES_CBC_128-HMAC_SHA1_96-HMAC_SHA1-MODP2048"),
        ("aes128-sha1;modp2048", "AES_CBC_128-HMAC_SHA1_96-HMAC_SHA1-MODP2048"),
        ("AES128-SHA1;MODP4096!", "AES_CBC_128-HMAC_SHA1_96-HMAC_SHA1-MODP4096"),
        ("aes256-sha256-prfsha512-modp2048", "AES_CBC_256-HMAC_SHA2_256_128-HMAC_SHA2_512-MODP2048"),
        ("aes-256-sha256-modp2048", "AES_CBC_256-HMAC_SHA2_256_128-HMAC_SHA2_256-MODP2048"),
        ("aes-sha2_256-ecp256", "AES_CBC_256+AES_CBC_128-HMAC_SHA2_256_128-HMAC_SHA2_256-ECP256"),
        ("aes_cbc-hmac-sha1-dh14", "AES_CBC_256+AES_CBC_128-HMAC_SHA1_96-HMAC_SHA1-MODP2048"),
        ("aes_gcm_16_256-sha2_512-x25519", "AES_GCM_16_256-HMAC_SHA2_512-X25519"),
        ("aes_gcm256-null-sha2-dh31", "AES_GCM_16_256-HMAC_SHA2_256-X25519"),
        ("aes_gcm_c-160-prfsha256-dh19", "AES_GCM_16_128-HMAC_SHA2_256-ECP256"),
        ("aes_gcm256-sha512+sha256-dh19+dh31", "AES_GCM_16_256-HMAC_SHA2_512+HMAC_SHA2_256-ECP256+X25519"),
        ("aes_gcm-sha512-dh19", "AES_GCM_16_256+AES_GCM_16_128-HMAC_SHA2_512-ECP256"),
        ("chacha20_poly1305-prfsha2_256-curve25519", "CHACHA20_POLY1305-HMAC_SHA2_256-X25519"),
        (
            "aes256+aes128-sha512+sha256-modp3072",
            "AES_CBC_256+AES_CBC_128-HMAC_SHA2_512_256+HMAC_SHA2_256_128-HMAC_SHA2_512+HMAC_SHA2_256-MODP3072",
        ),
        (
            "aes_gcm256-sha2_256-dh14,aes128-sha1-dh14",
            "AES_GCM_16_256-HMAC_SHA2_256-MODP2048, AES_CBC_128-HMAC_SHA1_96-HMAC_SHA1-MODP2048",
        ),
        ("3des-sha1-modp2048", "3DES_CBC-HMAC_SHA1_96-HMAC_SHA1-MODP2048"),
        ("aes128-sha1-modp2048,aes128-sha1-modp2048", "AES_CBC_128-HMAC_SHA1_96-HMAC_SHA1-MODP2048"),
    ],
)  # fmt: skip
def test_ike(text: str, want: str) -> None:
    assert proposals_text(parse_ike(text).proposals) == want


def test_parts_left_out_mean_the_defaults() -> None:
    [only] = parse_ike("aes256").proposals
    assert proposal_text(only).startswith(
        "AES_CBC_256-HMAC_SHA2_512_256+HMAC_SHA2_256_128-HMAC_SHA2_512+HMAC_SHA2_256-X25519"
    )
    assert only.dh == DEFAULT_DH
    both = parse_ike("modp2048").proposals
    assert [one.encr for one in both] == [one.encr for one in DEFAULT_IKE]
    assert all([one.name for one in both.dh] == ["modp2048"] for both in both)
    assert parse_ike("aes128-sha1;").proposals == parse_ike("aes128-sha1").proposals


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("aes128-sha1", "AES_CBC_128-HMAC_SHA1_96"),
        ("aes-sha1;modp2048", "AES_CBC_256+AES_CBC_128-HMAC_SHA1_96-MODP2048"),
        ("aes_gcm_16_128", "AES_GCM_16_128"),
        ("aes_gcm128-null", "AES_GCM_16_128"),
        ("aes_gcm_c-160-null", "AES_GCM_16_128"),
        ("chacha20_poly1305", "CHACHA20_POLY1305"),
        ("sha1", "AES_CBC_256+AES_CBC_128-HMAC_SHA1_96"),
        ("null-sha2_256", "NULL-HMAC_SHA2_256_128"),
        ("aes256-sha2_512+sha2_256-dh31", "AES_CBC_256-HMAC_SHA2_512_256+HMAC_SHA2_256_128-X25519"),
        ("3des-md5", "3DES_CBC-HMAC_MD5_96"),
        ("3des-md5;modp2048", "3DES_CBC-HMAC_MD5_96-MODP2048"),
        ("3des_cbc", "3DES_CBC-HMAC_SHA2_512_256+HMAC_SHA2_256_128"),
        ("aes128-hmac-md5-96", "AES_CBC_128-HMAC_MD5_96"),
        ("aes128-sha2_256-96", "AES_CBC_128-HMAC_SHA2_256_96"),
        ("aes128-sha2_256-96-modp2048", "AES_CBC_128-HMAC_SHA2_256_96-MODP2048"),
        ("aes_ccm_a-152-null", "AES_CCM_8_128"),
        ("aes_ccm_b-216", "AES_CCM_12_192"),
        ("aes_ccm_c-280", "AES_CCM_16_256"),
        ("aes_ccm256", "AES_CCM_16_256"),
        ("aes_gcm_8_128,aes_gcm_b-224", "AES_GCM_8_128, AES_GCM_12_192"),
        ("aes_ctr256-sha1", "AES_CTR_256-HMAC_SHA1_96"),
        ("aes_ctr-160-aes_xcbc", "AES_CTR_128-AES_XCBC_96"),
        ("aes-aes_cmac", "AES_CBC_256+AES_CBC_128-AES_CMAC_96"),
        ("null_auth_aes_gmac_256", "NULL_AUTH_AES_GMAC_256"),
    ],
)
def test_esp(text: str, want: str) -> None:
    assert proposals_text(parse_esp(text).proposals) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("hmac-sha1", "HMAC_SHA1_96"),
        ("hmac_md5", "HMAC_MD5_96"),
        ("hmac-md5-96", "HMAC_MD5_96"),
        ("sha2_256-96", "HMAC_SHA2_256_96"),
        ("sha2_256+sha2_512-modp2048", "HMAC_SHA2_256_128+HMAC_SHA2_512_256-MODP2048"),
        ("aes_xcbc,aes_cmac", "AES_XCBC_96, AES_CMAC_96"),
        ("aes_128_gmac", "AES_128_GMAC"),
        ("modp2048", "HMAC_SHA2_512_256+HMAC_SHA2_256_128-MODP2048"),
    ],
)
def test_ah(text: str, want: str) -> None:
    parsed = parse_ah(text, (True, False)).proposals
    assert proposals_text(parsed) == want
    assert all(one.protocol == 2 and not one.encr and one.esn == (True, False) for one in parsed)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("aes128-sha1", "'aes128' does not belong"),
        ("", "empty proposal"),
        ("null", "'null' does not belong"),
        ("prfsha1", "'prfsha1' does not belong"),
    ],
)
def test_ah_refuses(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_ah(text)
    assert why in str(caught.value)


def test_weak_ones_are_nobodys_default() -> None:
    for one in (*DEFAULT_IKE, *DEFAULT_ESP, *DEFAULT_AH, *parse_esp("modp2048").proposals, *parse_ah("dh14").proposals):
        for kind, transforms in ((Kind.ENCR, one.encr), (Kind.INTEG, one.integ)):
            rows = [find(kind, transform.name) for transform in transforms]
            assert all(row is not None and not row.weak for row in rows)


def test_esp_carries_esn() -> None:
    assert all(one.esn == (True, False) for one in parse_esp("aes128", (True, False)).proposals)
    assert all(one.esn == (True,) for one in with_esn(DEFAULT_ESP, (True,)))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("3des-sha1-modp2048", ["'3des_cbc' is weak"]),
        ("aes128-sha1-modp2048", []),
    ],
)
def test_warnings(text: str, want: list[str]) -> None:
    got = parse_ike(text).warnings
    assert len(got) == len(want) and all(part in line for part, line in zip(want, got, strict=True))


def test_null_encryption_warns() -> None:
    assert "'null' is weak" in parse_esp("null-sha1").warnings[0]


def test_each_weak_one_warns() -> None:
    warnings = parse_esp("3des-md5,aes128-sha2_256-96,null_auth_aes_gmac").warnings
    names = ("'3des_cbc'", "'hmac_md5_96'", "'hmac_sha2_256_96'", "'null_auth_aes_gmac'")
    assert len(warnings) == 4 and all(f"{name} is weak" in line for name, line in zip(names, warnings, strict=True))
    assert warnings[1].endswith("use sha2_256") and warnings[0].endswith("use aes_gcm_16")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty proposal"),
        ("aes128,", "empty proposal"),
        ("aes128--sha1", "two separators in a row"),
        ("aes100-sha1", "'aes_cbc' has no 100-bit keys, only 128, 192, 256"),
        ("aes-512-sha1", "'aes_cbc' has no 512-bit keys"),
        ("aes128-sha1-modp1024", "'modp1024' is refused: its logarithms"),
        ("aes128-sha1-modp1536", "'modp1536' is refused"),
        ("aes128-sha1-dh22", "'dh22' is refused"),
        ("modp768", "'modp768' is refused"),
        ("des-sha1", "'des_cbc' is refused: OAKLEY_DES_CBC is not supported: single DES"),
        ("aes128-md5", "'hmac_md5_96' is not available for IKE; use sha2_256"),
        ("aes128-prfmd5", "'prf_hmac_md5' is refused: MD5 is broken"),
        ("aes_ctr256", "'aes_ctr' is not available for IKE"),
        ("null_auth_aes_gmac", "'null_auth_aes_gmac' is not available for IKE"),
        ("aes128-aes_xcbc", "'aes_xcbc_96' is not available for IKE"),
        ("camellia256-sha1", "'camellia_cbc' is refused"),
        ("aes128-sha1-ml_kem_512", "'ml_kem_512' is refused"),
        ("aes128-sha1-ml_kem_768", "'ml_kem_768' is for additional key exchanges: x25519-addke1-mlkem768"),
        ("aes256-sha2-x25519-addke1", "'addke1' wants a key exchange behind it, as in addke1-mlkem768"),
        ("aes256-sha2-x25519-addke1-aes", "'addke1' wants a key exchange behind it"),
        ("aes256-sha2-x25519-addke1-mlkem768-addke1-mlkem1024", "'addke1' stands twice"),
        ("aes256-sha2-x25519-addke8-mlkem768", "unknown algorithm 'addke8'"),
        ("aes128-sha1-dh24", "'dh24' is refused"),
        ("ase128-sha1", "unknown algorithm 'ase128' (did you mean 'aes"),
        ("zzzzzzzz", "unknown algorithm 'zzzzzzzz'"),
        ("sha1-aes128", "'aes128' does not belong where it stands"),
        ("aes128-sha2_256-96", "'hmac_sha2_256_96' is not available for IKE"),
        ("aes128-null-modp2048", "no integrity protection"),
        ("aes_gcm+aes-sha1", "mixes AEAD and other ciphers"),
        ("null-sha1", "'null' is not available for IKE"),
        ("aes128-sha1-" + "x" * 3000, "longer than 2000 characters"),
        (",".join(["aes"] * 40), "40 proposals, at most 32"),
    ],
)
def test_ike_refuses(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_ike(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("des-md5", "'des_cbc' is refused: unsupported ESP Transform ESP_DES: single DES"),
        ("des_iv64-sha1", "unsupported ESP Transform ESP_DES_IV64"),
        ("3des128-sha1", "'3des_cbc' has no 128-bit keys, only 192"),
        ("aes128-aes_128_gmac", "'aes_128_gmac' is not available for ESP"),
        ("null_auth_aes_gmac-sha1", "'sha1' does not belong"),
        ("aes_ccm_a-153", "'aes_ccm_8' has no 153-bit keys"),
        ("aes128-prfsha1", "'prfsha1' does not belong"),
        ("aes_gcm-sha1", "'sha1' does not belong where it stands"),
    ],
)
def test_esp_refuses(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_esp(text)
    assert why in str(caught.value)


def test_aead_and_others_never_share_a_proposal() -> None:
    aead = {"aes_gcm_16", "chacha20_poly1305"}
    for one in (*DEFAULT_IKE, *DEFAULT_ESP, *parse_ike("modp2048").proposals):
        kinds = {transform.name in aead for transform in one.encr}
        assert len(kinds) == 1
        assert bool(one.integ) != kinds.pop()


def test_random_strings_only_ever_give_config_errors() -> None:
    dice = random.Random(2)
    words = [
        "aes",
        "128",
        "sha1",
        "-",
        "+",
        ";",
        ",",
        "!",
        "modp2048",
        "_",
        "null",
        "gcm",
        "aes_gcm",
        " ",
        "é",
        "999999",
    ]
    for _ in range(3000):
        text = "".join(dice.choices(words, k=dice.randrange(1, 9)))
        for parse in (parse_ike, parse_esp):
            try:
                assert parse(text).proposals
            except ConfigError as why:
                assert "\n" not in str(why)


def test_usable_names() -> None:
    assert "aes_gcm_16" in usable(Kind.ENCR)
    assert "modp1024" not in usable(Kind.DH)


@pytest.mark.parametrize(
    "text",
    [
        "aes_gcm256-sha2_512-x25519-addke1-mlkem768",
        "aes_gcm256-sha2_512-dh31-addke1-ml_kem_768",
        "aes_gcm256-sha2_512-x25519;addke1-ml-kem-768",
        "aes_gcm256-sha2_512-x25519-ke1_mlkem768",
        "aes_gcm256-sha2_512-curve25519-addke1-dh36",
    ],
)
def test_additional_key_exchanges(text: str) -> None:
    [made] = parse_ike(text).proposals
    assert proposal_text(made) == "AES_GCM_16_256-HMAC_SHA2_512-X25519-ADDKE1:ML_KEM_768"


def test_several_of_them() -> None:
    [made] = parse_ike("aes_gcm256-sha2_256-x25519-addke1-mlkem768+none-addke3-mlkem1024+ecp384").proposals
    assert proposal_text(made).endswith("X25519-ADDKE1:ML_KEM_768+NONE-ADDKE3:ML_KEM_1024+ECP384")
    assert made.addke[1] == ()
    [esp] = parse_esp("aes_gcm256-x25519-addke1-mlkem1024").proposals
    assert [one.name for one in esp.addke[0]] == ["ml_kem_1024"]
    with pytest.raises(ConfigError, match="for ike= and esp="):
        parse_ah("sha2_256-addke1-mlkem768")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("aes128-sha1-modp2048", "AES_CBC_128-HMAC_SHA1_96-MODP2048"),
        ("aes128-sha1;modp1024", "AES_CBC_128-HMAC_SHA1_96-MODP1024"),
        ("3des-md5;modp1536!", "3DES_CBC-HMAC_MD5_96-MODP1536"),
        ("aes256-sha256-prfsha256-modp2048", "AES_CBC_256-HMAC_SHA2_256_128-MODP2048"),
        ("aes-sha2_256-ecp256", "AES_CBC_256+AES_CBC_128-HMAC_SHA2_256_128-ECP256"),
        ("aes192-sha2_384-dh21", "AES_CBC_192-HMAC_SHA2_384_192-ECP521"),
    ],
)
def test_ikev1_of_ike(text: str, want: str) -> None:
    assert proposals_text(parse_ike(text, ikev1=True).proposals) == want


def test_ikev1_fills_in_its_own_defaults() -> None:
    [only] = parse_ike("aes256", ikev1=True).proposals
    assert (only.integ, only.dh, only.prf) == (V1_INTEG, V1_DH, ())
    [bare] = parse_ike("modp2048", ikev1=True).proposals
    assert [one.name for one in bare.encr] == ["aes_cbc", "aes_cbc"]
    assert parse_esp("modp2048", ikev1=True).proposals[1].integ == V1_INTEG
    assert proposals_text(parse_ah("sha1", ikev1=True).proposals) == "HMAC_SHA1_96"


def test_ikev1_by_default() -> None:
    offered = V1_DEFAULT_IKE[:2]
    assert combinations(offered) == MOST_OFFERED
    assert {one.name for p in offered for one in p.dh} == {one.name for one in V1_DH}
    assert sorted(find(Kind.DH, one.name).ikev1 for one in V1_DH) == list(range(14, 22))  # type: ignore[union-attr]
    for one in (*V1_DEFAULT_IKE, *V1_DEFAULT_ESP, *V1_DEFAULT_AH):
        for kind, transforms in ((Kind.ENCR, one.encr), (Kind.INTEG, one.integ), (Kind.DH, one.dh)):
            for transform in transforms:
                row = find(kind, transform.name)
                assert row is not None and not row.weak and not row.refused
                assert row.ikev1 or row.ikev1_esp


def test_ikev1_warns_of_weak_groups_and_of_more_than_it_offers() -> None:
    [weak] = parse_ike("aes128-sha1-modp1024", ikev1=True).warnings
    assert "'modp1024' is weak" in weak and "use modp2048" in weak
    [many] = parse_ike("aes", ikev1=True).warnings
    assert "stands for 48 transforms; the first 24 are offered" in many


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("des-sha1-modp2048", "OAKLEY_DES_CBC is not supported"),
        ("aes_gcm256-sha2_256-modp2048", "'aes_gcm_16' is not available for IKEv1; use aes_cbc"),
        ("chacha20_poly1305-sha2_256-modp2048", "not available for IKEv1"),
        ("aes128-sha1-prfsha256-modp2048", "whose hash is its PRF"),
        ("aes128-sha1-modp768", "'modp768' is refused"),
        ("aes128-sha1-dh22", "is refused"),
        ("aes128-aes_xcbc-modp2048", "not available for IKEv1"),
        ("aes128-sha1-modp2048-addke1-mlkem768", "IKEv1 has no additional key exchanges"),
    ],
)
def test_what_ike_of_ikev1_refuses(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_ike(text, ikev1=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("des-sha1", "unsupported ESP Transform ESP_DES"),
        ("chacha20_poly1305", "not available for ESP of IKEv1"),
        ("aes128-aes_cmac", "not available for ESP of IKEv1"),
    ],
)
def test_what_esp_of_ikev1_refuses(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_esp(text, ikev1=True)


def test_ikev2_still_refuses_relics() -> None:
    parse_ike("aes128-sha1-modp1536", ikev1=True)
    with pytest.raises(ConfigError, match="is refused"):
        parse_ike("aes128-sha1-modp1536")
    assert parse_esp("aes128-sha1;modp1536", ikev1=True).proposals[0].dh[0].name == "modp1536"


def test_spellings_of_libreswan() -> None:
    ours = parse_ike("aes128-sha2-dh31-addke1-mlkem768")
    assert parse_ike("aes128-sha2-dh31;addke1=ml_kem_768").proposals == ours.proposals
    assert parse_esp("aes-sha1;none").proposals == parse_esp("aes-sha1").proposals
    assert parse_esp("aes;NONE").proposals == parse_esp("aes").proposals
    with pytest.raises(ConfigError, match="no integrity"):
        parse_esp("aes-none")
