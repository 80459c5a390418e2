# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.vendor promises."""

from __future__ import annotations

import pytest

from openswan.wire.v2.vendor import VendorId
from tests.unit.wire.checks import round_trip


@pytest.mark.parametrize("data", [b"", b"OE", bytes(65000)])
def test_any_octets(data: bytes) -> None:
    assert round_trip(VendorId(data)) == data
