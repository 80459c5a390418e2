# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.natd promises."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.wire.v1.natd import NatD, NatDDraft, NatOa, NatOaDraft
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


@pytest.mark.parametrize("cls", [NatD, NatDDraft])
def test_hashes(cls: type[NatD]) -> None:
    for octets in (16, 20, 64):
        assert round_trip(cls(bytes(octets))) == bytes(octets)
    refuses_every_cut(cls(bytes(16)))
    assert not survives(cls, bytes(65))


@pytest.mark.parametrize("cls", [NatOa, NatOaDraft])
def test_original_addresses(cls: type[NatOa]) -> None:
    assert round_trip(cls(ip_address("192.0.2.1"))) == bytes.fromhex("01000000 c0000201")
    assert round_trip(cls(ip_address("2001:db8::1"))) == bytes.fromhex("05000000 20010db8" + "00" * 11 + "01")
    refuses_every_cut(cls(ip_address("192.0.2.1")))
    refuses_every_cut(cls(ip_address("2001:db8::1")))


@pytest.mark.parametrize(
    "octets", ["01000000 c00002010", "05000000 c0000201", "04000000 c0000201ffffff00", "01000100 c0000201"]
)
def test_what_is_no_address(octets: str) -> None:
    digits = octets.replace(" ", "")
    assert not survives(NatOa, bytes.fromhex(digits + "0" * (len(digits) % 2)))


def test_the_drafts_have_numbers_of_their_own() -> None:
    assert [cls.TYPE for cls in (NatD, NatOa, NatDDraft, NatOaDraft)] == [20, 21, 130, 131]
