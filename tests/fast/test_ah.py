# SPDX-License-Identifier: GPL-2.0-or-later
"""AH, raced against its twin over options, extension headers, ESN; what a router may change and what not."""

from __future__ import annotations

import random
import struct

import pytest
from _fast.iphdr import parse
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from _fast.ah import Ah
from openswan.base.drops import Drop
from openswan.klips.slow.ah import Ah as Slow
from openswan.klips.slow.ah import front, mask, set_length
from tests.fast.rig import ip, tcp, udp

KEYS = {"hmac_sha1_96": 20, "hmac_sha2_256_128": 32, "hmac_sha2_384_192": 48, "hmac_sha2_512_256": 64}
A4, B4, A6, B6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"


def with_options(options: bytes, payload: bytes = b"payload of it") -> bytes:
    made = bytearray(ip(A4, B4, 17, payload))
    head = bytearray(made[:20] + options + bytes(-len(options) % 4))
    head[0] = 0x40 | len(head) // 4
    set_length(head, len(head) + len(payload))
    return bytes(head) + payload


def pair(integ: str, esn: bool = False) -> tuple[Ah, Slow]:
    key = bytes(range(KEYS[integ]))
    return Ah(integ, key, esn), Slow(integ, key, esn)


SHAPES = [
    udp(A4, B4, 1, 2),
    udp(A6, B6, 1, 2),
    tcp(A4, B4, 1, 2, b"x" * 1200, tos=0x2E),
    with_options(b"\x94\x04\0\0"),  # router alert
    with_options(b"\x07\x07\x04\0\0\0\0\0"),  # record route
    with_options(b"\x83\x07\x08\1\2\3\4\1"),  # loose source route, all hops done
    with_options(b"\1\1\x82\x0b" + b"security!" + b"\0"),
    with_options(b"\x44\x0c\x05\0" + bytes(8)),  # timestamp
    ip(A6, B6, 0, b"\x11\0\x05\2\0\0\1\0" + b"u" * 9),  # router alert
    ip(A6, B6, 0, b"\x11\1\x3e\x0aMUTABLE...\1\0" + b"u" * 9),
    ip(A6, B6, 60, b"\x2b\0\x3e\4abcd" + b"\x11\0\4\0\0\0\0\0" + b"u" * 9),
    ip(A6, B6, 60, b"\x11\0\x3e\4abcd" + b"u" * 9),
]


@pytest.mark.parametrize("integ", KEYS)
@pytest.mark.parametrize("esn", [False, True])
def test_both_twins_make_and_read_the_same(integ: str, esn: bool) -> None:
    fast, slow = pair(integ, esn)
    for sequence in (1, 0xFFFFFFFF, 7 << 32 | 5) if esn else (1, 0xFFFFFFFF):
        for packet in SHAPES:
            made = fast.seal(0x12345678, sequence, packet)
            assert made == slow.seal(0x12345678, sequence, packet) and made[0] == 0
            assert fast.open(made[1], sequence) == slow.open(made[1], sequence) == (0, packet, sequence)
            if esn:
                assert fast.open(made[1], sequence ^ 1 << 32)[0] == Drop.AUTH_FAILED


@pytest.mark.parametrize("integ", KEYS)
def test_lengths_are_of_whole_words(integ: str) -> None:
    fast, _ = pair(integ)
    icv = KEYS[integ] // 2 if integ != "hmac_sha1_96" else 12
    four, six = fast.seal(1, 1, SHAPES[0])[1], fast.seal(1, 1, SHAPES[1])[1]
    assert len(four) == len(SHAPES[0]) + 12 + icv and (four[21] + 2) * 4 == 12 + icv
    assert (six[41] + 2) * 4 % 8 == 0 and len(six) == len(SHAPES[1]) + (six[41] + 2) * 4


def test_what_routers_change_is_not_covered_and_all_else_is() -> None:
    fast, slow = pair("hmac_sha2_256_128")
    for packet in SHAPES:
        sealed = fast.seal(9, 3, packet)[1]
        for at in range(1, len(sealed)):
            touched = sealed[:at] + bytes([sealed[at] ^ 0x40]) + sealed[at + 1 :]
            ours, theirs = fast.open(touched), slow.open(touched)
            assert ours[0] == theirs[0] or (ours[0] and theirs[0]), (at, ours, theirs)
        if sealed[0] >> 4 == 4:
            free = bytearray(sealed)
            free[1], free[8] = 0xFF, 1
            free[6] |= 0x40
            set_length(head := free[: (sealed[0] & 15) * 4], len(free))
            assert fast.open(bytes(head + free[len(head) :]))[0] == 0
        else:
            free = bytearray(sealed)
            free[0:4] = struct.pack("!I", 6 << 28 | 0xABCDEF)
            free[7] = 1
            assert fast.open(bytes(free))[0] == 0


def test_every_truncation_is_refused() -> None:
    fast, _ = pair("hmac_sha1_96")
    for packet in SHAPES:
        sealed = fast.seal(9, 3, packet)[1]
        head = 40 if sealed[0] >> 4 == 6 else 20
        for cut in range(head, len(sealed)):
            short = sealed[:cut]
            size = struct.pack("!H", cut - 40 if head == 40 else cut)
            at = 4 if head == 40 else 2
            bent = short[:at] + size + short[at + 2 :]
            why = fast.open(bent)[0]
            assert why in (Drop.MALFORMED, Drop.AUTH_FAILED)


def test_what_cannot_be_foretold_is_refused() -> None:
    fast, slow = pair("hmac_sha1_96")
    for packet, why in (
        (with_options(b"\x83\x07\x04\1\2\3\4\1"), Drop.MALFORMED),  # a hop is left
        (with_options(b"\x83\x02\1\1"), Drop.MALFORMED),
        (with_options(b"\x07\x09\1\1"), Drop.MALFORMED),
        (with_options(b"\x07\x01\1\1"), Drop.MALFORMED),
        (with_options(b"\1\1\1\x07"), Drop.MALFORMED),
        (ip(A6, B6, 43, b"\x11\0\4\1\0\0\0\0" + b"u" * 9), Drop.MALFORMED),
        (ip(A6, B6, 0, b"\x11\0\x05\5\0\0\1\0" + b"u" * 9), Drop.MALFORMED),
        (ip(A6, B6, 0, b"\x11\0\0\0\0\0\0\5" + b"u" * 9), Drop.MALFORMED),
        (ip(A6, B6, 44, b"\x11\0\0\1\0\0\0\1" + b"u" * 9), Drop.FRAGMENT),
        (ip(A4, B4, 17, b"u" * 9, df=False, frag=0x2000), Drop.FRAGMENT),
    ):
        assert fast.seal(1, 1, packet)[0] == slow.seal(1, 1, packet)[0] == why


def test_noise_meets_the_same_end() -> None:
    rng = random.Random(4302)
    fast, slow = pair("hmac_sha1_96")
    for _ in range(3000):
        packet = bytearray(rng.choice(SHAPES))
        if rng.random() < 0.5:
            packet = bytearray(fast.seal(1, 1, bytes(packet))[1])
        for _ in range(rng.randrange(1, 4)):
            packet[rng.randrange(40 if packet[0] >> 4 == 6 else 20, len(packet))] = rng.randrange(256)
        noise = bytes(packet)
        if parse(noise) is None:  # more is checked before a packet gets here
            continue
        assert fast.seal(1, 1, noise) == slow.seal(1, 1, noise)
        assert fast.open(noise)[0] == slow.open(noise)[0]


def test_keys_must_fit() -> None:
    with pytest.raises(ValueError, match="fit"):
        Ah("hmac_sha1_96", b"short")


@pytest.mark.parametrize(("integ", "octets"), [("aes_128_gmac", 20), ("aes_192_gmac", 28), ("aes_256_gmac", 36)])
@pytest.mark.parametrize("provider", ["auto", "evp"])
@pytest.mark.parametrize("esn", [False, True])
def test_gmac_is_as_rfc_4543_has_it(integ: str, octets: int, provider: str, esn: bool) -> None:
    # By another library's AES-GCM: IV and tag fill the ICV, both are zeros in what is covered, the salt is not sent.
    key = bytes(range(50, 50 + octets))
    ours, theirs = Ah(integ, key, esn, provider), AESGCM(key[:-4])
    ivs = set()
    for sequence in (1, 2, 3 << 32 | 9) if esn else (1, 2, 0xFFFFFFFF):
        for packet in SHAPES:
            why, sealed = ours.seal(0x2345, sequence, packet)
            at, next_at, _ = front(packet)
            assert why == 0 and sealed[next_at] == 51
            n = (sealed[at + 1] + 2) * 4
            # 36 octets, which IPv6 wants to be a multiple of eight (RFC 4302 2.6).
            assert n == (36 if packet[0] >> 4 == 4 else 40) and sealed[at + 36 : at + n] == bytes(n - 36)
            iv, tag = sealed[at + 12 : at + 20], sealed[at + 20 : at + 36]
            covered = (mask(sealed[:at]) or b"") + sealed[at : at + 12] + bytes(n - 12) + sealed[at + n :]
            covered += struct.pack("!I", sequence >> 32) if esn else b""
            assert theirs.encrypt(key[-4:] + iv, b"", covered) == tag
            assert ours.open(sealed, sequence) == (0, packet, sequence)
            for touched in (at + 12, at + 19, at + 20, at + 35, len(sealed) - 1):
                wrong = sealed[:touched] + bytes([sealed[touched] ^ 1]) + sealed[touched + 1 :]
                assert ours.open(wrong, sequence)[0] == Drop.AUTH_FAILED
            ivs.add((sequence, iv))
    assert len({iv for _, iv in ivs}) == 3
