# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.nonce promises."""

from __future__ import annotations

import pytest

from openswan.wire.v2.nonce import Nonce
from tests.unit.wire.checks import round_trip, survives


@pytest.mark.parametrize("octets", [16, 32, 256])
def test_smallest_to_largest(octets: int) -> None:
    round_trip(Nonce(bytes(range(256))[:octets]))


@pytest.mark.parametrize("octets", [*range(16), 257, 65531])
def test_wrong_length(octets: int) -> None:
    assert not survives(Nonce, bytes(octets))
