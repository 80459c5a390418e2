# SPDX-License-Identifier: GPL-2.0-or-later
"""A line of the log that names a cause: its shape."""

from __future__ import annotations

import re
from dataclasses import dataclass

from openswan.diagnosis.finding import Kind


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the log that names a cause."""

    pattern: re.Pattern[str]
    code: str
    kind: Kind
    weight: int
    cause: str
    """May use {conn} and the pattern's groups."""
    remedy: str


def saying(pattern: str, code: str, kind: Kind, weight: int, cause: str, remedy: str) -> Said:
    """One, from its pattern as text."""
    return Said(re.compile(pattern), code, kind, weight, cause, remedy)
