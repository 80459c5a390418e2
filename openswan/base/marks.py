# SPDX-License-Identifier: GPL-2.0-or-later
"""The bits of the firewall mark that are ours, and what they say: four of them, wherever fwmark-mask= has them.

Whoever marks packets too keeps all the others: every rule of ours looks at ours alone and writes ours alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from openswan.base.errors import ConfigError

BITS = 4
WIDTH = 32
"""Bits of a mark."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Those of one daemon."""

    mask: int = 0xF000
    """Exactly four bits; others' are outside of it."""

    def __post_init__(self) -> None:
        assert self.mask.bit_count() == BITS and self.mask.bit_length() <= WIDTH, f"{self.mask:#x} is no mask of ours"

    def _bit(self, number: int) -> int:
        """The value of one of our bits, the lowest is number 0."""
        rest = self.mask
        for _ in range(number):
            rest &= rest - 1
        return rest & -rest

    @property
    def own(self) -> int:
        """What our own IKE and ESP sockets carry: exempt from the guard, never routed into ipsecN. It is its own mask
        there."""
        return self._bit(0)

    @property
    def dropped(self) -> int:
        """In the table of decisions: pairs that are dropped,"""
        return self._bit(1)

    @property
    def clear(self) -> int:
        """pairs of a policy group that go in clear: not routed into ipsecN either, but guarded,"""
        return self.own | self.dropped

    @property
    def tunnel(self) -> int:
        """and pairs that have a tunnel."""
        return self._bit(2)

    @property
    def refused(self) -> int:
        """Pairs that the packet engine refuses, for want of a tunnel,"""
        return self.tunnel | self.dropped

    @property
    def spared(self) -> int:
        """and, never in the table: IKE and ESP of hosts behind us, past ipsecN and the guard."""
        return self.learn | self.own

    @property
    def learn(self) -> int:
        """With one of these in a verdict: the table is to learn it."""
        return self._bit(3)

    @property
    def guard(self) -> int:
        """The bits the guard looks at to know our own sockets, which are exempt; what may go in clear is not."""
        return self.own | self.dropped

    @property
    def others(self) -> int:
        """All bits but ours."""
        return (1 << WIDTH) - 1 & ~self.mask

    def ours(self, mark: int) -> bool:
        """Has a mark, or a mask, any of our bits?"""
        return bool(mark & self.mask)


DEFAULT_MARKS = Marks()


def parse_marks(text: str) -> Marks:
    """The value of fwmark-mask=: four bits, `0x0000f000`; ConfigError says what is wrong, and the way out."""
    try:
        mask = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        mask = -1
    if not 0 < mask < 1 << WIDTH:
        raise ConfigError(f"'{text[:40]}' is no mask: 32 bits in hexadecimal are wanted, 0x0000f000")
    if mask.bit_count() != BITS:
        least = "0x" + f"{DEFAULT_MARKS.mask:08x}"
        raise ConfigError(f"{mask:#010x} has {mask.bit_count()} bits: {BITS} are needed, as in {least} or 0x0f000000")
    return Marks(mask)
