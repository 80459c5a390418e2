# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.auth promises."""

from __future__ import annotations

from openswan.wire.v1.auth import Hash, Sig
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


def test_any_octets_are_kept() -> None:
    for octets in (1, 16, 20, 64):
        assert round_trip(Hash(bytes(octets))) == bytes(octets)
    for octets in (1, 256, 2048):
        assert round_trip(Sig(bytes(octets))) == bytes(octets)


def test_none_at_all_and_longer_than_any_hash() -> None:
    refuses_every_cut(Hash(b"x"))
    refuses_every_cut(Sig(b"x"))
    assert not survives(Hash, bytes(65))
