# SPDX-License-Identifier: GPL-2.0-or-later
"""Announcements of authentication methods: forms, limits, cut short."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.v2 import authmethods
from openswan.wire.v2.authmethods import Announcement
from openswan.wire.v2.numbers import AuthMethod

ED25519 = bytes.fromhex("300506032b6570")
THREE = (
    Announcement(AuthMethod.SHARED_KEY),
    Announcement(AuthMethod.RSA, 1),
    Announcement(AuthMethod.DIGITAL_SIGNATURE, 0, ED25519),
)


def test_the_three_forms() -> None:
    data = authmethods.emit(THREE)
    assert data == bytes.fromhex("0202" "030101" "0a0e00") + ED25519  # fmt: skip
    assert authmethods.parse(data) == THREE
    assert authmethods.parse(b"") == ()


def test_unknown_methods_travel_along() -> None:
    assert authmethods.parse(bytes.fromhex("02c8")) == (Announcement(AuthMethod(200)),)


@pytest.mark.parametrize("cut", [n for n in range(15) if n not in (0, 2, 5)])
def test_cut_short(cut: int) -> None:
    with pytest.raises(WireError):
        authmethods.parse(authmethods.emit(THREE)[:cut])


@pytest.mark.parametrize("length", [0, 1])
def test_a_length_that_leaves_no_method(length: int) -> None:
    with pytest.raises(WireError):
        authmethods.parse(bytes([length, 2, 2]))


def test_a_long_list_is_cut() -> None:
    assert len(authmethods.parse(b"\x02\x02" * 1000)) == authmethods.MOST
    longest = Announcement(AuthMethod.DIGITAL_SIGNATURE, 0, bytes(252))
    assert authmethods.parse(longest.emit()) == (longest,)
