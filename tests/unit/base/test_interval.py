# SPDX-License-Identifier: GPL-2.0-or-later
"""Durations: units, limits, complaints."""

import pytest

from openswan.base.errors import ConfigError
from openswan.base.interval import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("0", 0),
        ("3600", 3600),
        ("90s", 90),
        ("500ms", 0.5),
        ("15m", 900),
        ("8h", 28800),
        ("8H", 28800),
        ("1.5h", 5400),
        (".5m", 30),
        ("1d", 86400),
        ("1w", 604800),
        ("4294967295", 4294967295),
    ],
)
def test_good(text: str, want: float) -> None:
    assert parse_duration(text) == want
    assert parse_duration(duration_text(want)) == want


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", 'bad duration value ""'),
        ("h", 'bad duration value "h"'),
        ("-1", 'bad duration value "-1"'),
        ("1.5", 'bad duration value "1.5": a decimal point needs a unit'),
        ("1.2.3h", "bad duration value"),
        ("1y", 'bad duration multiplier "y" on 1y'),
        ("8 h", "bad duration value"),
        ("٣", "bad duration value"),
        ("4294967296", "duration too large: 4294967296"),
        ("9999999w", "duration too large: 9999999w"),
        ("1" * 5000, "bad duration value"),
    ],
)
def test_bad(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_duration(text)
    assert why in str(caught.value)
    assert len(str(caught.value)) < 200


def test_text() -> None:
    assert duration_text(3600.0) == "3600"
    assert duration_text(0.5) == "0.5s"
