# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies: secrets do not show, algorithms print the classic way."""

from __future__ import annotations

from openswan.ike.policy import ChosenChild, ChosenIke
from openswan.policy.proposal import Transform
from tests.unit.ike.pair import CBC, GCM, MODP2048, PRF, SHA2, ike_policy


def test_secrets_do_not_show() -> None:
    assert "a shared secret" not in repr(ike_policy())


def test_ike_algorithms_print_with_the_classic_short_names() -> None:
    assert str(ChosenIke(CBC, SHA2, PRF, MODP2048)) == "cipher=aes_128 integ=sha256 prf=sha256 group=modp2048"
    assert str(ChosenIke(GCM, None, PRF, Transform("x25519"))).startswith("cipher=aes_gcm_16_256 integ=n/a ")


def test_esp_algorithms_print() -> None:
    assert str(ChosenChild(GCM, None, True)) == "aes_gcm_16_256-none"
    assert str(ChosenChild(CBC, SHA2, False)) == "aes_cbc_128-hmac_sha2_256_128"
    assert str(ChosenChild(Transform("chacha20_poly1305"), None, False)) == "chacha20_poly1305-none"
