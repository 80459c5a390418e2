# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's random numbers."""

from __future__ import annotations

from openswan.host.entropy import SystemRng


def test_octets_are_as_many_as_asked_for_and_never_the_same() -> None:
    rng = SystemRng()
    assert rng.octets(0) == b""
    assert len(rng.octets(33)) == 33
    assert rng.octets(16) != rng.octets(16)
