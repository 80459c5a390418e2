# SPDX-License-Identifier: GPL-2.0-or-later
"""What one conn says, keyword by keyword, and everything there is to complain of: what all who build it read from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from openswan.base.errors import ConfigError
from openswan.base.interval import parse_duration
from openswan.config.complaint import Complaint, error, warning
from openswan.config.keyword import Keyword, Section, Status
from openswan.config.keywords import MANUAL_KEYS, NO_MANUAL, find
from openswan.config.parser import FlatConn, Param

T = TypeVar("T")
D = TypeVar("D")
LEAST_AMOUNT = 1000
"""Of octets or packets: below it an SA would end before it can be replaced."""


@lru_cache
def _row(name: str) -> Keyword:
    found = find(Section.CONN, name)
    assert found is not None
    return found[0]


@dataclass(slots=True)
class Values:
    """A conn's keywords by name, read on demand; what cannot be read is complained of and its default taken."""

    flat: FlatConn
    complaints: list[Complaint]
    canonical: dict[tuple[str, str], str] = field(default_factory=dict)
    """Canonical values of what was given, by side and name."""

    def check_keywords(self) -> None:
        """Take in the canonical value of every keyword, and complain of what is refused or not acted on."""
        for key, param in self.flat.params.items():
            try:
                value = self.canonical[key] = param.row.canonical(param.value, param.side)
            except ConfigError as why:
                self.error(why.reason, param)
                continue
            row = param.row
            if row.name in MANUAL_KEYS:
                self.error(f"{param.spelled}=: {NO_MANUAL}", param)
            elif row.status is Status.OBSOLETE:
                self.warn(f"obsolete keyword '{param.spelled}' ignored. {row.sentence}", param)
            elif value in row.refused:
                self.error(f"{param.spelled}={param.value[:40]}: {row.refused[value]}", param)
            elif row.status not in (Status.ACTED, Status.MOOT) and value.lower() not in row.fine:
                text = f"{param.spelled}={param.value[:40]}"
                if row.status is Status.REFUSED:
                    self.error(f"{text}: {row.reason}", param)
                else:
                    self.warn(f"{text} is not acted on: {row.reason or 'leaving it out changes no protection'}", param)

    @property
    def broken(self) -> int:
        """Errors so far."""
        return sum(one.fatal for one in self.complaints)

    def error(self, text: str, param: Param | None = None) -> None:
        """The conn is broken: at a keyword, or as a whole."""
        self.complaints.append(error(text, param.where if param else self.flat.where, self.flat.name))

    def warn(self, text: str, param: Param | None = None) -> None:
        """The conn loads, but does not do what somebody may think."""
        self.complaints.append(warning(text, param.where if param else self.flat.where, self.flat.name))

    def param(self, name: str, side: str = "") -> Param | None:
        """A keyword as it was written; None when it was not."""
        return self.flat.params.get((side, name))

    def read(self, name: str, side: str, reader: Callable[[str], T], default: D) -> T | D:
        """A value through a reader of openswan.config.ends and the like; complaints name the keyword."""
        param = self.param(name, side)
        if param is None:
            return default
        try:
            return reader(param.value)
        except ConfigError as why:
            self.error(f"{param.spelled}=: {why.reason}", param)
            return default

    def value(self, name: str, default: str = "") -> str:
        """A canonical value of a keyword without sides."""
        return self.canonical.get(("", name), default)

    def of_side(self, name: str, side: str, default: str = "") -> str:
        """A canonical value of one end's keyword."""
        return self.canonical.get((side, name), default)

    def yes(self, name: str) -> bool:
        """A yes or no, or its default."""
        return self.value(name, _row(name).default) == "yes"

    def number(self, name: str) -> int:
        """A number, or its default."""
        return int(self.value(name, _row(name).default))

    def time(self, name: str) -> float:
        """Seconds, or the default."""
        return parse_duration(self.value(name, _row(name).default))

    def positive(self, name: str, value: float) -> float:
        """The value, which must be more than 0."""
        if value <= 0:
            self.error(f"{name} must be more than 0", self.param(name))
        return value

    def amount(self, name: str, units: Mapping[str, int]) -> int:
        """A count with an optional unit; nothing given: 0."""
        text = self.value(name, "")
        found = re.fullmatch(r"([0-9]{1,19})\s*([A-Za-z]*)", text)
        amount = int(found[1]) * units.get(found[2].lower(), 0) if found else 0
        if text and not LEAST_AMOUNT <= amount < 2**63:
            wanted = f"{LEAST_AMOUNT} to 2^63-1, perhaps with {', '.join(u for u in units if u)}"
            self.error(f"{name}={text[:40]}: a number of {wanted} is wanted", self.param(name))
            return 0
        return amount
