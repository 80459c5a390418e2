# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.unknown promises."""

from __future__ import annotations

import pytest

from openswan.wire.v2.numbers import PayloadType
from openswan.wire.v2.unknown import Unknown
from tests.unit.wire.checks import round_trip


@pytest.mark.parametrize("data", [b"", b"anything", bytes(65000)])
def test_any_octets_are_kept(data: bytes) -> None:
    assert round_trip(Unknown(PayloadType.NONE, data)) == data
