# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.nonce promises."""

from __future__ import annotations

import pytest

from openswan.wire.v1.nonce import Nonce
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


@pytest.mark.parametrize("octets", [8, 16, 256])
def test_smallest_and_largest(octets: int) -> None:
    assert round_trip(Nonce(bytes(octets))) == bytes(octets)


def test_too_short_and_too_long() -> None:
    refuses_every_cut(Nonce(bytes(8)))
    assert not survives(Nonce, bytes(257))
