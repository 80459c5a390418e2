# SPDX-License-Identifier: GPL-2.0-or-later
"""The replay window as the RFC draws it: a set of numbers and a highest one. Twin of _fast.replay."""

from __future__ import annotations

INFER_WINDOW = 64
"""How far back a number may lie when replay protection is off."""


class Window:
    """Anti-replay window of `window` packets (RFC 4303 3.4.3); 0 accepts everything but 0."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.top = 0
        self._seen: set[int] = set()

    def infer(self, low: int) -> int | None:
        """The 64-bit number whose lower half is `low` and which lies nearest ahead of the window's left edge.

        RFC 4303 appendix A2.2 says the same in cases; None when no such number can exist.
        """
        left = self.top - (self.window or INFER_WINDOW) + 1
        number = left + (low - left) % 2**32
        return number if 0 <= number < 2**64 else None

    def check(self, sequence: int) -> bool:
        """Would it be accepted now?"""
        if sequence == 0:
            return False
        if not self.window or sequence > self.top:
            return True
        return sequence > self.top - self.window and sequence not in self._seen

    def mark(self, sequence: int) -> bool:
        """Accept it; False for a replay."""
        if not self.check(sequence):
            return False
        self.top = max(self.top, sequence)
        if self.window:
            self._seen.add(sequence)
            self._seen = {number for number in self._seen if number > self.top - self.window}
        return True
