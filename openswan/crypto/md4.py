# SPDX-License-Identifier: GPL-2.0-or-later
"""MD4 (RFC 1320), which libraries no longer have. It is broken: MS-CHAP-V2 needs it, crypto.mschap alone uses it."""

from __future__ import annotations

import struct

MASK = 0xFFFFFFFF
BLOCK = 64
START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
EVERY_FOURTH = (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
BIT_REVERSED = (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15)
ROUNDS = (
    (tuple(range(16)), (3, 7, 11, 19), 0),
    (EVERY_FOURTH, (3, 5, 9, 13), 0x5A827999),
    (BIT_REVERSED, (3, 9, 11, 15), 0x6ED9EBA1),
)
"""Of each round: the order of the words, the rotations, the constant (RFC 1320 3.4)."""


def _select(x: int, y: int, z: int) -> int:
    return (x & y) | (~x & z)


def _majority(x: int, y: int, z: int) -> int:
    return (x & y) | (x & z) | (y & z)


def _parity(x: int, y: int, z: int) -> int:
    return x ^ y ^ z


FUNCTIONS = (_select, _majority, _parity)


def md4(message: bytes) -> bytes:
    """The 16-octet digest of a message."""
    padding = b"\x80" + bytes((55 - len(message)) % BLOCK)
    padded = message + padding + struct.pack("<Q", 8 * len(message) & 0xFFFFFFFFFFFFFFFF)
    state = START
    for at in range(0, len(padded), BLOCK):
        state = _block(state, struct.unpack_from("<16I", padded, at))
    return struct.pack("<4I", *state)


def _block(state: tuple[int, int, int, int], words: tuple[int, ...]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for mix, (order, rotations, constant) in zip(FUNCTIONS, ROUNDS, strict=True):
        for step, word in enumerate(order):
            total = (a + mix(b, c, d) + words[word] + constant) & MASK
            turn = rotations[step % 4]
            a, b, c, d = d, ((total << turn) | (total >> (32 - turn))) & MASK, b, c
    return (
        (a + state[0]) & MASK,
        (b + state[1]) & MASK,
        (c + state[2]) & MASK,
        (d + state[3]) & MASK,
    )
