# SPDX-License-Identifier: GPL-2.0-or-later
"""Time: instants on the monotonic clock, durations, and their text forms."""

from __future__ import annotations

import re
from typing import TypeAlias

from openswan.base.errors import ConfigError

Instant: TypeAlias = float
"""Seconds on a monotonic clock; only differences mean anything."""
Duration: TypeAlias = float
"""Seconds."""

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST = 2**32 - 1
SHAPE = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?|\.[0-9]{1,20})([^0-9.\s]*)")


def parse_duration(text: str) -> Duration:
    """Read `3600`, `90s`, `500ms`, `15m`, `8h`, `1d` or `1w`; a decimal point needs a unit (`1.5h`)."""
    parts = SHAPE.fullmatch(text)
    if parts is None:
        raise ConfigError(f'bad duration value "{text[:60]}"')
    number, unit = parts[1], parts[2].lower()
    if unit and unit not in UNITS:
        raise ConfigError(f'bad duration multiplier "{unit}" on {text[:60]}')
    if "." in number and not unit:
        raise ConfigError(f'bad duration value "{text}": a decimal point needs a unit')
    seconds = float(number) * UNITS.get(unit, 1)
    if seconds > LONGEST:
        raise ConfigError(f"duration too large: {text}")
    return seconds


def duration_text(seconds: Duration) -> str:
    """Seconds as ipsec.conf takes them: `3600`, and a fraction with its unit, `0.5s`."""
    return str(int(seconds)) if seconds == int(seconds) else f"{seconds:g}s"
