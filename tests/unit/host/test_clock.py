# SPDX-License-Identifier: GPL-2.0-or-later
"""The clocks."""

from __future__ import annotations

import re

from openswan.host import clock


def test_now_never_runs_backwards() -> None:
    first = clock.now()
    clock.pause(0.001)
    assert clock.now() >= first + 0.001


def test_text_forms() -> None:
    assert re.fullmatch(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] \d\d:\d\d:\d\d \S+ \d{4}", clock.calendar())
    assert re.fullmatch(r"[A-Z][a-z]{2} [ 0-9][0-9] \d\d:\d\d:\d\d", clock.stamp())
