# SPDX-License-Identifier: GPL-2.0-or-later
"""The oracle itself, on cases worked out by hand (RFC 4303 3.4.3, appendix A2)."""

from __future__ import annotations

from openswan.klips.slow.replay import Window


def test_window_of_four() -> None:
    window = Window(4)
    assert [window.mark(n) for n in (3, 1, 3, 2, 6, 3, 2, 5, 4, 10, 7, 6)] == [
        True, True, False, True, True, False, False, True, True, True, True, False,
    ]  # fmt: skip
    assert window.top == 10


def test_no_window_accepts_anything_but_zero() -> None:
    window = Window(0)
    assert [window.mark(n) for n in (5, 5, 1, 0)] == [True, True, True, False]


def test_inference() -> None:
    window = Window(64)
    assert window.infer(1) == 1 and window.infer(2**32 - 1) is None
    window.mark(2**32 - 1)
    assert window.infer(0) == 2**32 and window.infer(2**32 - 64) == 2**32 - 64
    assert window.infer(2**32 - 65) == 2 * 2**32 - 65
