# SPDX-License-Identifier: GPL-2.0-or-later
"""The MODP groups' primes, from the formula that defines them (RFC 3526; RFC 2409 6.2: 1024 bits).

Each is `2^b - 2^(b-64) - 1 + 2^64 * (floor(2^(b-130) * pi) + offset)`, with generator 2. A test compares them with the
digits printed in the RFCs.
"""

from __future__ import annotations

from functools import cache

OFFSETS = {1024: 129093, 1536: 741804, 2048: 124476, 3072: 1690314, 4096: 240904, 6144: 929484, 8192: 4743158}
GENERATOR = 2
GUARD = 64
"""Bits computed beyond those wanted, so that rounding never reaches them."""


def _arctan_inverse(divisor: int, unit: int) -> int:
    """arctan(1/divisor) * unit, a little less than half a unit off per term."""
    total = term = unit // divisor
    square, odd, sign = divisor * divisor, 1, 1
    while term:
        term //= square
        odd += 2
        sign = -sign
        total += sign * (term // odd)
    return total


def scaled_pi(bits: int) -> int:
    """floor(2^bits * pi), by Machin's formula."""
    unit = 1 << bits + GUARD
    return 4 * (4 * _arctan_inverse(5, unit) - _arctan_inverse(239, unit)) >> GUARD


@cache
def prime(bits: int) -> int:
    """The prime of the group of that size; KeyError for a size the RFCs do not have."""
    offset = OFFSETS[bits]
    return (1 << bits) - (1 << bits - 64) - 1 + (1 << 64) * (scaled_pi(bits - 130) + offset)
