# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole ESP packets of others: RFC 3602, RFC 7634, draft-mcgrew-gcm-test; and sequences that race the twin."""

from __future__ import annotations

import json
import struct
from random import Random
from typing import Any

import pytest

from _fast.cipher import providers
from _fast.esp import Esp
from openswan.base.drops import Drop
from openswan.klips.slow.esp import Esp as SlowEsp
from tests.shareddata import DATA


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DATA / "vectors/esp" / name).read_text())["cases"]
    return found


def split_trailer(plain: bytes) -> tuple[bytes, int]:
    return plain[: len(plain) - 2 - plain[-2]], plain[-1]


@pytest.mark.parametrize("provider", providers())
@pytest.mark.parametrize("case", cases("draft-mcgrew-gcm-1-7.json"), ids=lambda c: str(c["case"]))
def test_gcm_packets(provider: str, case: dict[str, Any]) -> None:
    key, packet = bytes.fromhex(case["key"] + case["salt"]), bytes.fromhex(case["esp_packet"])
    payload, header = split_trailer(bytes.fromhex(case["plaintext_with_esp_trailer"]))
    spi, sequence = int(case["spi"], 16), int(case["seq"], 16)
    fast = Esp("aes_gcm_16", key, esn=case["esn"], provider=provider)
    assert fast.seal(spi, sequence, payload, header, bytes.fromhex(case["iv"])) == packet
    if not case["esn"]:
        assert fast.open(packet) == (0, payload, header, sequence)
        assert fast.open(packet)[0] == Drop.REPLAY


@pytest.mark.parametrize("provider", providers())
@pytest.mark.parametrize("case", cases("rfc3602-esp.json"), ids=lambda c: str(c["case"]))
def test_cbc_packets(provider: str, case: dict[str, Any]) -> None:
    # The RFC's packets carry no ICV; ours always do.
    payload, header = split_trailer(bytes.fromhex(case["plaintext_with_esp_trailer"]))
    iv, head = bytes.fromhex(case["iv"]), bytes.fromhex(case["spi_seq"])
    fast = Esp("aes_cbc", bytes.fromhex(case["key"]), "hmac_sha1_96", bytes(20), provider=provider)
    sealed = fast.seal(int(case["spi_seq"][:8], 16), int(case["spi_seq"][8:], 16), payload, header, iv)
    assert sealed[:-12] == head + iv + bytes.fromhex(case["ciphertext"])
    assert fast.open(sealed)[1:3] == (payload, header)


def snoop(name: str) -> list[bytes]:
    data, at, found = (DATA / "pcaps" / name).read_bytes(), 16, []
    while at < len(data):
        _, length, record = struct.unpack_from(">III", data, at)
        found.append(data[at + 24 : at + 24 + length][14:])
        at += record
    return found


@pytest.mark.parametrize("provider", providers())
def test_the_packets_of_rfc_7634(provider: str) -> None:
    clear, esp = snoop("rfc7634-examples.snoop")[:2]
    key = bytes(range(0x80, 0xA0)) + bytes.fromhex("a0a1a2a3")
    fast = Esp("chacha20_poly1305", key, provider=provider)
    assert fast.seal(0x01020304, 5, clear, 4, bytes(range(0x10, 0x18))) == esp[20:]
    assert fast.open(esp[20:]) == (0, clear, 4, 5)


@pytest.mark.parametrize("provider", providers())
@pytest.mark.parametrize("seed", range(4))
def test_a_reordered_lossy_repeating_wire_races_the_twin(provider: str, seed: int) -> None:
    rng = Random(seed)
    key, esn = rng.randbytes(20), seed % 2 == 1
    maker = SlowEsp("aes_gcm_16", key, esn=esn)
    fast, slow = Esp("aes_gcm_16", key, esn=esn, provider=provider), SlowEsp("aes_gcm_16", key, esn=esn)
    start = rng.choice([1, 2**32 - 300]) if esn else rng.choice([1, 2**32 - 600])
    if esn and start > 1:
        # A receiver cannot jump half a subspace ahead: bring both windows near first.
        for number in (2**31, 2**32 - 400):
            packet = maker.seal(1, number, b"x" * 40, 4, number.to_bytes(8, "big"))
            assert fast.open(packet) == tuple(slow.open(packet))
    packets = [
        maker.seal(1, start + n, rng.randbytes(rng.randint(0, 60)), 4, (start + n).to_bytes(8, "big"))
        for n in range(500)
    ]
    order = [n for n in range(500) for _ in range(rng.choice([0, 1, 1, 1, 2]))]
    order.sort(key=lambda n: n + rng.gauss(0, 25))
    for n in order:
        assert fast.open(packets[n]) == tuple(slow.open(packets[n])), n


@pytest.mark.parametrize("cipher,key,integ,auth", [("aes_gcm_16", 20, "", 0), ("aes_cbc", 16, "hmac_sha1_96", 20)])
def test_every_length_is_refused_or_opened_alike(cipher: str, key: int, integ: str, auth: int) -> None:
    fast, slow = Esp(cipher, bytes(key), integ, bytes(auth)), SlowEsp(cipher, bytes(key), integ, bytes(auth))
    for length in range(200):
        packet = (bytes([0, 0, 0, 1, 0, 0, 0, 1]) + bytes(length))[:length]
        assert fast.open(packet) == tuple(slow.open(packet))
    assert fast.open(bytes(65540))[0] == Drop.MALFORMED
    with pytest.raises(ValueError):
        fast.seal(1, 1, bytes(70000))
    with pytest.raises(ValueError):
        fast.seal(1, 1, b"x", 4, b"too short")
