# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec algparse`."""

from __future__ import annotations

import pytest

from openswan.cli.algparse import main


def test_strings_are_shown_as_they_are_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ike=aes_gcm256-sha2_256-dh19,aes128-sha1-modp2048", "esp=3des-md5", "ah=sha2_256"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "ike=aes_gcm256-sha2_256-dh19,aes128-sha1-modp2048",
        "  1. IKE: AES_GCM_16_256-HMAC_SHA2_256-ECP256",
        "  2. IKE: AES_CBC_128-HMAC_SHA1_96-HMAC_SHA1-MODP2048",
        "esp=3des-md5",
        "  1. ESP: 3DES_CBC-HMAC_MD5_96",
        "ah=sha2_256",
        "  1. AH: HMAC_SHA2_256_128",
    ]
    assert "'3des_cbc' is weak" in err and "'hmac_md5_96' is weak" in err


def test_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "ike, by default\n  1. IKE: AES_GCM_16_256+AES_GCM_16_128+CHACHA20_POLY1305-HMAC_SHA2_512" in out
    assert "MODP1536" not in out and "SHA1" not in out and "3DES" not in out


@pytest.mark.parametrize(
    ("string", "why"),
    [
        ("esp=des-md5", "unsupported ESP Transform ESP_DES"),
        ("ike=des-sha1-modp2048", "OAKLEY_DES_CBC is not supported"),
        ("ike=aes256-sha2-modp1024", "'modp1024' is refused"),
        ("ike=aes256-sha2-modp768", "'modp768' is refused"),
        ("ike=aes256-sha2-dh22", "'dh22' is refused"),
        ("ike=aes_gcm256+aes256-sha2-dh19", "mixes AEAD and other ciphers"),
        ("esp=blowfish-sha1", "'blowfish' is refused"),
    ],
)
def test_refused(capsys: pytest.CaptureFixture[str], string: str, why: str) -> None:
    assert main([string, "esp=aes128-sha2_256"]) == 1
    out, err = capsys.readouterr()
    assert why in err
    assert "ESP: AES_CBC_128-HMAC_SHA2_256_128" in out, "one bad string does not hide the others"


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["aes128"]) == 2
    assert "is no ike=" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "Usage:" in capsys.readouterr().out
