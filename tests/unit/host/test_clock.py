# SPDX-License-Identifier: GPL-2.0-or-later
"""The clocks."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from openswan.host import clock


def test_now_never_runs_backwards() -> None:
    first = clock.now()
    clock.pause(0.001)
    assert clock.now() >= first + 0.001


def test_text_forms() -> None:
    assert re.fullmatch(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] \d\d:\d\d:\d\d \S+ \d{4}", clock.calendar())
    assert re.fullmatch(r"[A-Z][a-z]{2} [ 0-9][0-9] \d\d:\d\d:\d\d", clock.stamp())


def test_calendar_of_an_instant() -> None:
    assert abs((clock.calendar_of(clock.now() + 60) - datetime.now(UTC)).total_seconds() - 60) < 1
