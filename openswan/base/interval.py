# SPDX-License-Identifier: GPL-2.0-or-later
"""Time: instants on the monotonic clock, durations, and their text forms."""

from __future__ import annotations

from typing import TypeAlias

from openswan.base.errors import ConfigError

Instant: TypeAlias = float
"""Seconds on a monotonic clock; only differences mean anything."""
Duration: TypeAlias = float
"""Seconds."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST = 2**32 - 1


def parse_duration(text: str) -> Duration:
    """Read `3600`, `90s`, `15m`, `8h`, `1d` or `1w`; a decimal point needs a unit (`1.5h`)."""
    number, unit = (text[:-1], text[-1].lower()) if text and not text[-1].isdigit() else (text, "")
    if unit and unit not in UNITS:
        raise ConfigError(f'bad duration multiplier "{unit}" on {text}')
    if (
        not number.replace(".", "", 1 if unit else 0).isascii()
        or not number.replace(".", "", 1 if unit else 0).isdigit()
    ):
        raise ConfigError(f'bad duration value "{text}"')
    seconds = float(number) * UNITS.get(unit, 1)
    if seconds > LONGEST:
        raise ConfigError(f"duration too large: {text}")
    return seconds
