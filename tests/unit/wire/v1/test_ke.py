# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.ke promises."""

from __future__ import annotations

import pytest

from openswan.wire.v1.ke import Ke
from tests.unit.wire.checks import refuses_every_cut, round_trip


@pytest.mark.parametrize("octets", [1, 128, 1024, 65000])
def test_any_public_value_is_kept(octets: int) -> None:
    """CVE-2015-3240, CVE-2023-41913: its length and range are the group's to judge."""
    assert round_trip(Ke(bytes(octets))) == bytes(octets)


def test_none_at_all() -> None:
    refuses_every_cut(Ke(b"x"))
