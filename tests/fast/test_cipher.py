# SPDX-License-Identifier: GPL-2.0-or-later
"""Both providers on every algorithm: against each other, against the twin, and what they refuse."""

from __future__ import annotations

from random import Random

import pytest

from _fast.cipher import CIPHERS, INTEGS, PROVIDERS, key_octets, providers
from _fast.esp import Esp
from openswan.klips.slow import esp as slow
from openswan.klips.slow.esp import Esp as SlowEsp
from tests.shareddata import strongswan

AES = (16, 24, 32)
AUTH = {
    "hmac_sha1_96": 20,
    "hmac_sha2_256_128": 32,
    "hmac_sha2_384_192": 48,
    "hmac_sha2_512_256": 64,
    "hmac_md5_96": 16,
    "hmac_sha2_256_96": 32,
    "aes_xcbc_96": 16,
    "aes_cmac_96": 16,
}
GMACS = {"aes_128_gmac": 20, "aes_192_gmac": 28, "aes_256_gmac": 36}
SALTED = {
    "null_auth_aes_gmac": 4,
    **{f"aes_gcm_{n}": 4 for n in (8, 12, 16)},
    **{f"aes_ccm_{n}": 3 for n in (8, 12, 16)},
}
SUITES = [(cipher, n + salt, "") for cipher, salt in SALTED.items() for n in AES] + [("chacha20_poly1305", 36, "")]
SUITES += [("aes_cbc", n, integ) for n in AES for integ in AUTH] + [("null", 0, integ) for integ in AUTH]
SUITES += [("aes_ctr", n + 4, "hmac_sha1_96") for n in AES] + [("aes_ctr", 20, integ) for integ in AUTH]
SUITES += [("3des_cbc", 24, integ) for integ in AUTH]
SIZES = [0, 1, 13, 14, 15, 16, 40, 1400]


def keys(cipher: str, key_len: int, integ: str, seed: str) -> tuple[Random, bytes, bytes]:
    rng = Random(f"{cipher}{key_len}{integ}{seed}")
    return rng, rng.randbytes(key_len), rng.randbytes(AUTH.get(integ, 0))


def test_evp_is_always_there() -> None:
    assert providers()[-1] == "evp" and set(providers()) <= set(PROVIDERS)


@pytest.mark.parametrize("cipher,key_len,integ", SUITES)
@pytest.mark.parametrize("esn", [False, True])
@pytest.mark.parametrize("provider", providers())
def test_every_suite_races_the_twin(cipher: str, key_len: int, integ: str, esn: bool, provider: str) -> None:
    rng, key, auth = keys(cipher, key_len, integ, str(esn))
    fast = Esp(cipher, key, integ, auth, esn, 64, provider)
    twin = SlowEsp(cipher, key, integ, auth, esn)
    for sequence in range(1, 21):
        payload = rng.randbytes(rng.choice([*SIZES, rng.randint(0, 300 if integ == "aes_xcbc_96" else 9000)]))
        header, iv = rng.randrange(256), rng.randbytes(twin.iv_len)
        sealed = fast.seal(0x1000, sequence, payload, header, iv)
        assert sealed == twin.seal(0x1000, sequence, payload, header, iv)
        at = rng.randrange(len(sealed))
        damaged = sealed[:at] + bytes([sealed[at] ^ 1 << rng.randrange(8)]) + sealed[at + 1 :]
        cut = sealed[: rng.randrange(len(sealed))]
        for packet in (damaged, cut, sealed, sealed):
            if packet == damaged and at < 4:
                continue  # the SPI chooses the SA; with HMAC it is covered too, and for AEAD in the associated data
            assert fast.open(packet) == tuple(twin.open(packet))


@pytest.mark.parametrize("cipher,key_len,integ", SUITES)
@pytest.mark.parametrize("provider", ["auto", *providers()])
def test_batches_are_what_single_packets_are(cipher: str, key_len: int, integ: str, provider: str) -> None:
    rng, key, auth = keys(cipher, key_len, integ, provider)
    fast, twin = Esp(cipher, key, integ, auth, True, 0, provider), SlowEsp(cipher, key, integ, auth, True)
    for count in (1, 2, 5, 6, 17, 64):
        first = rng.choice([1, 2**32 - 3, 2**40])
        payloads = [rng.randbytes(rng.randint(0, 120)) for _ in range(count)]
        sealed = fast.seal_many(7, first, payloads)
        for at, (packet, payload) in enumerate(zip(sealed, payloads, strict=True)):
            assert packet == twin.seal(7, first + at, payload, 4, packet[8 : 8 + twin.iv_len])
        ivs = {packet[8 : 8 + twin.iv_len] for packet in sealed}
        assert len(ivs) == (count if twin.iv_len else 1)
        sequences = [first + at for at in range(count)]
        # One packet in it that is not authentic spoils none of the others.
        bad = rng.randrange(count)
        wrong = [*sealed[:bad], sealed[bad][:-1] + bytes([sealed[bad][-1] ^ 1]), *sealed[bad + 1 :]]
        opened = fast.raw_many(wrong, sequences, True)
        for at, packet in enumerate(opened):
            assert (packet is None) == (at == bad)
            if packet is not None:
                assert packet[8 + twin.iv_len :].startswith(payloads[at])


@pytest.mark.parametrize("integ", AUTH)
@pytest.mark.parametrize("provider", ["auto", *providers()])
def test_icvs_alone_race_the_twin(integ: str, provider: str) -> None:
    rng = Random(integ)
    auth = rng.randbytes(AUTH[integ])
    fast = Esp("null", b"", integ, auth, provider=provider)
    name, icv_len = slow.HASHES[integ]
    for length in [*range(1, 70), 1408, 9000]:
        data = rng.randbytes(length)
        assert fast.mac(data) == slow.icv(name, auth, data)[:icv_len]


@pytest.mark.parametrize("integ", GMACS)
@pytest.mark.parametrize("provider", ["auto", *providers()])
def test_gmac_alone_races_the_twin(integ: str, provider: str) -> None:
    rng = Random(integ)
    auth = rng.randbytes(GMACS[integ])
    fast = Esp("null", b"", integ, auth, provider=provider)
    other = Esp("null_auth_aes_gmac", auth, provider=provider)
    for length in [*range(1, 70), 1408, 9000]:
        data, iv = rng.randbytes(length), rng.randbytes(8)
        assert fast.mac(data, iv) == other.mac(data, iv) == slow.gmac(auth, data, iv)
    with pytest.raises(ValueError, match="IV length"):
        fast.mac(b"data", b"short")
    # And as ESP it is the same algorithm under its other name.
    assert other.open(fast.seal(1, 1, b"payload"))[:2] == (0, b"payload")


def test_a_cipher_that_authenticates_makes_no_icv_alone() -> None:
    with pytest.raises(ValueError, match="no ICV"):
        Esp("aes_gcm_16", bytes(20)).mac(b"data", bytes(8))


@pytest.mark.parametrize("provider", providers())
def test_wrong_key_lengths_are_refused(provider: str) -> None:
    for cipher, key, integ, auth in (
        ("aes_gcm_16", 16, "", 0),
        ("aes_gcm_16", 3, "", 0),
        ("aes_gcm_16", 20, "hmac_sha1_96", 20),
        ("chacha20_poly1305", 32, "", 0),
        ("aes_cbc", 16, "", 0),
        ("aes_cbc", 20, "hmac_sha1_96", 20),
        ("aes_cbc", 16, "hmac_sha1_96", 16),
        ("aes_cbc", 16, "hmac_sha2_256_128", 64),
        ("null", 16, "hmac_sha1_96", 20),
        ("null", 0, "", 0),
        ("aes_cbc", 16, "aes_128_gmac", 20),
        ("null", 16, "aes_128_gmac", 20),
        ("null", 0, "aes_192_gmac", 20),
    ):
        with pytest.raises(ValueError, match="keys do not fit"):
            Esp(cipher, bytes(key), integ, bytes(auth), provider=provider)
    assert set(INTEGS) == {"", *AUTH, *GMACS}
    assert set(CIPHERS) == {"null", "aes_cbc", "3des_cbc", "aes_ctr", "chacha20_poly1305", *SALTED}


@pytest.mark.parametrize("provider", providers())
def test_of_all_lengths_only_the_right_ones_make_keys(provider: str) -> None:
    good = {(cipher, key_len) for cipher, key_len, _ in SUITES}
    for cipher in CIPHERS:
        integ = next((row[2] for row in SUITES if row[0] == cipher), "")
        for length in range(80):
            try:
                assert key_octets(cipher, bytes(length), integ, bytes(AUTH.get(integ, 0)), provider) > 0
            except ValueError:
                assert (cipher, length) not in good
            else:
                assert (cipher, length) in good
    for integ, wanted in {**AUTH, **GMACS}.items():
        for length in range(80):
            try:
                key_octets("null", b"", integ, bytes(length), provider)
            except ValueError:
                assert length != wanted
            else:
                assert length == wanted


@pytest.mark.parametrize("provider", providers())
def test_counter_ivs_never_repeat_and_cbc_ivs_cannot_be_guessed(provider: str) -> None:
    for cipher, key_len, integ in (("aes_gcm_16", 20, ""), ("aes_ctr", 20, "hmac_sha1_96"), ("aes_ccm_8", 19, "")):
        key, auth = bytes(key_len), bytes(AUTH.get(integ, 0))
        seen = set()
        for _ in range(3):  # the same key installed again
            esp = Esp(cipher, key, integ, auth, True, 0, provider)
            for first in (1, 2**32 - 20, 2**63):
                seen |= {packet[8:16] for packet in esp.seal_many(1, first, [b""] * 64)}
        assert len(seen) == 3 * 3 * 64
    for cipher, size in (("aes_cbc", 16), ("3des_cbc", 8)):
        esp = Esp(cipher, bytes(16 if size == 16 else 24), "hmac_sha1_96", bytes(20), provider=provider)
        ivs = [esp.seal(1, 1, b"")[8 : 8 + size] for _ in range(600)]  # past one refill
        assert len(set(ivs)) == 600
        ones = sum(int.from_bytes(iv, "big").bit_count() for iv in ivs)
        assert abs(ones - 600 * size * 4) < 5 * (600 * size * 2) ** 0.5


@pytest.mark.parametrize("provider", providers())
def test_chacha_vectors_of_others(provider: str) -> None:
    # ESP's associated data is its header: of their cases those of that shape can be driven through a packet.
    used = 0
    for case in strongswan("chacha20poly1305"):
        aad, plain = case.get("adata", b""), case["plain"]
        if len(aad) != 8 or len(plain) % 4:
            continue
        pad, header = plain[-2], plain[-1]
        assert plain[len(plain) - 2 - pad : -2] == bytes(range(1, pad + 1))
        esp = Esp("chacha20_poly1305", case["key"], provider=provider)
        spi, sequence = int.from_bytes(aad[:4], "big"), int.from_bytes(aad[4:], "big")
        sealed = esp.seal(spi, sequence, plain[: len(plain) - 2 - pad], header, case["iv"])
        assert sealed == aad + case["iv"] + case["cipher"]
        used += 1
    assert used
