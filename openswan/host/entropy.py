# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's random number generator behind base.entropy.Rng."""

from __future__ import annotations

import os


class SystemRng:
    """Octets from getrandom(2), which blocks only until the kernel has been seeded once after boot."""

    def octets(self, count: int) -> bytes:
        """Return `count` fresh octets."""
        return os.urandom(count)
