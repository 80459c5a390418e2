# SPDX-License-Identifier: GPL-2.0-or-later
"""The real clocks: monotonic instants for pluto, calendar time for listings."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from openswan.base.interval import Instant


def now() -> Instant:
    """Seconds on CLOCK_MONOTONIC, the same clock asyncio's loop runs on."""
    return time.monotonic()


def unix() -> float:
    """Seconds since 1970, UTC."""
    return time.time()


def calendar() -> str:
    """Local date and time in the form date(1) prints, for headings of listings."""
    return time.strftime("%a %b %e %H:%M:%S %Z %Y")


def stamp() -> str:
    """Local date and time as log files carry it: `Nov 21 05:30:00`."""
    return time.strftime("%b %e %H:%M:%S")


def pause(seconds: float) -> None:
    """Wait; only commands do, the daemon never."""
    time.sleep(seconds)


def calendar_of(instant: Instant) -> datetime:
    """The calendar time (aware, UTC) of an instant, as the clocks stand now."""
    return datetime.now(UTC) + timedelta(seconds=instant - now())
