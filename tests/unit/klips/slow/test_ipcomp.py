# SPDX-License-Identifier: GPL-2.0-or-later
"""The slow twin of IPComp by itself: what pays and what does not."""

from __future__ import annotations

from openswan.klips.slow.ipcomp import pack, unpack


def test_what_shrinks_is_packed_and_what_does_not_is_not() -> None:
    packed = pack(b"a" * 100)
    assert packed is not None and len(packed) < 20 and unpack(packed) == b"a" * 100
    assert pack(b"abc") is None and pack(b"") is None


def test_a_room_too_small_and_noise_are_refused() -> None:
    packed = pack(bytes(5000))
    assert packed is not None
    assert unpack(packed, 4999) is None and unpack(packed, 5000) == bytes(5000)
    assert unpack(b"\xff" * 20) is None and unpack(packed[:-1]) is None
