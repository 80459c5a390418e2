# SPDX-License-Identifier: GPL-2.0-or-later
"""THE table of ipsec.conf keywords: the parser, the defaults, the complaints and ipsec.conf(5) all come from it.

One row stands for both halves of a left/right pair. Names are looked up without case, with `-` and `_` alike. The order
is the one readwriteconf writes in and the manual page lists by. The rows are in a module for each section.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache

from openswan.config import cawords, connwords, setupwords
from openswan.config.connwords import NO_MANUAL
from openswan.config.keyword import Halves, Keyword, Section

__all__ = ["MANUAL_KEYS", "NO_MANUAL", "OE_LATER", "TABLE", "find", "is_comment", "nearest", "normal", "other_section"]

TABLE: tuple[Keyword, ...] = setupwords.ROWS + cawords.ROWS + connwords.ROWS
MANUAL_KEYS = ("espenckey", "espauthkey", "espreplay_window", "ahkey", "ahreplay_window")
"""Keywords that mean nothing without spi= or spibase=."""
OE_LATER = "opportunistic encryption is not available in this release"


def normal(name: str) -> str:
    """A keyword as it is compared: lower case, `_` as `-`."""
    return name.lower().replace("_", "-")


def _spellings() -> dict[tuple[Section, str], tuple[Keyword, str]]:
    found: dict[tuple[Section, str], tuple[Keyword, str]] = {}
    for row in TABLE:
        sides = {Halves.NO: ("",), Halves.YES: ("left", "right"), Halves.ALSO: ("", "left", "right")}[row.halves]
        for side in sides:
            for name in dict.fromkeys(map(normal, (row.name, *row.aliases))):
                if found.setdefault((row.section, side + name), (row, side))[0] is not row:
                    raise RuntimeError(f"two keywords are called {side}{name}")
    return found


SPELLINGS = _spellings()
HYPHENED = re.compile(r"\A(left|right)-(?=.)")


@lru_cache(maxsize=4096)
def find(section: Section, name: str) -> tuple[Keyword, str] | None:
    """The row of a keyword as written, and `left`, `right` or nothing; None when it is unknown in that section."""
    word = normal(name)
    # libreswan 5 also writes left-subnet=.
    return SPELLINGS.get((section, word)) or SPELLINGS.get((section, HYPHENED.sub(r"\1", word)))


def is_comment(name: str) -> bool:
    """Is it a name for the user's own remarks (`x-...`)?"""
    return normal(name).startswith("x-")


def nearest(section: Section, name: str) -> str:
    """The known keyword closest to a mistyped one, or nothing."""
    known = [spelling for kind, spelling in SPELLINGS if kind is section]
    found = get_close_matches(normal(name)[:64], known, 1, 0.7)
    return found[0] if found else ""


def other_section(section: Section, name: str) -> Section | None:
    """The section where the keyword would be valid, if it is not here."""
    return next((other for other in Section if other is not section and (other, normal(name)) in SPELLINGS), None)
