# SPDX-License-Identifier: GPL-2.0-or-later
"""What one row of the keyword table says, and how its values are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from openswan.base.errors import ConfigError
from openswan.base.interval import duration_text, parse_duration


class Section(Enum):
    """Where a keyword belongs."""

    SETUP = "config setup"
    CONN = "conn"
    CA = "ca"


class Form(Enum):
    """What a value looks like."""

    BOOL = "yes or no"
    NUMBER = "a number"
    TIME = "a time"
    PERCENT = "a percentage"
    CHOICE = "one of several words"
    LIST = "a list"
    TEXT = "text"
    FILE = "a file"
    COMMAND = "a command"
    ADDRESS = "an address"
    ADDRESSES = "addresses"
    HOST = "an address, a name or a % word"
    SUBNET = "a subnet"
    SUBNETS = "subnets"
    IDENTITY = "an identity"
    KEY = "a public key"
    ALGORITHMS = "algorithms"
    PROTOPORT = "protocol/port"
    SPLICE = "a conn's name"


class Status(Enum):
    """What becomes of a keyword that is given."""

    ACTED = "acted on"
    HARMLESS = "ignored with a warning"
    MOOT = "ignored: there is nothing here it could change"
    REFUSED = "the conn is refused"
    OBSOLETE = "obsolete, ignored"


class Halves(Enum):
    """Does the keyword come as leftX and rightX?"""

    NO = "no"
    YES = "yes"
    ALSO = "also without left or right"


@dataclass(frozen=True, slots=True, eq=False)
class Keyword:
    """One row."""

    name: str
    """Without left or right; empty for left= and right= themselves."""
    form: Form
    status: Status
    default: str
    """As the manual page shows it; empty: unset."""
    sentence: str
    """For the manual page: what it does."""
    section: Section = Section.CONN
    halves: Halves = Halves.NO
    aliases: tuple[str, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    """CHOICE and checked LISTs: accepted spelling to canonical one."""
    fine: tuple[str, ...] = ()
    """HARMLESS and REFUSED: canonical values that ask for what happens anyway, so that nothing need be said."""
    reason: str = ""
    """REFUSED, HARMLESS and MOOT: why, and what there is instead."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Canonical values that are refused, and why, of a keyword that is acted on or harmless otherwise."""
    most: float = 2**32 - 1
    """NUMBER and TIME: the largest value."""

    def spelled(self, side: str = "") -> str:
        """The keyword as it is written: `leftsubnet`, `left`, `auto`."""
        return side + self.name

    def canonical(self, text: str, side: str = "") -> str:
        """A value in its one spelling; ConfigError when it is none."""
        return READERS.get(self.form, _as_it_is)(self, text, self.spelled(side))


def row_of(section: Section) -> Callable[..., Keyword]:
    """Makes the rows of one section."""
    return partial(Keyword, section=section)


def same(*words: str) -> dict[str, str]:
    """Choices that have one spelling each."""
    return {word: word for word in words}


def spelled(**canonical: str) -> dict[str, str]:
    """canonical="spelling spelling ...": the canonical word is a spelling itself; `_` stands for `-`."""
    pairs: dict[str, str] = {}
    for word, others in canonical.items():
        name = word.strip("_").replace("_", "-")
        pairs[name] = name
        pairs |= dict.fromkeys(others.split(), name)
    return pairs


YES = {"yes", "y", "true", "on", "1"}
NO = {"no", "n", "false", "off", "0"}


def _bool(row: Keyword, text: str, name: str) -> str:
    if text.lower() in YES:
        return "yes"
    if text.lower() in NO:
        return "no"
    raise ConfigError(f"{name}={_short(text)}: yes or no is wanted")


def _number(row: Keyword, text: str, name: str) -> str:
    if text.lower() == "%forever":
        return "0"
    if not re.fullmatch(r"-?[0-9]{1,30}", text):
        raise ConfigError(f"{name}={_short(text)}: a number is wanted")
    if int(text) > row.most:
        raise ConfigError(f"{name}={_short(text)}: number too large, at most {row.most:.0f}")
    if int(text) < 0 and not (text == "-1" and "-1" in (row.default, *row.fine)):
        raise ConfigError(f"{name}={_short(text)}: a number of 0 or more is wanted")
    return str(int(text))


def _time(row: Keyword, text: str, name: str) -> str:
    try:
        seconds = parse_duration(text)
    except ConfigError as why:
        raise ConfigError(f"{name}: {why}") from None
    if seconds > row.most:
        raise ConfigError(f"{name}={_short(text)}: at most {duration_text(row.most)} seconds")
    return duration_text(seconds)


def _percent(row: Keyword, text: str, name: str) -> str:
    if not re.fullmatch(r"[0-9]{1,5}%", text):
        raise ConfigError(f"bad percent value {name}={_short(text)}: write for instance 50%")
    return f"{int(text[:-1])}%"


def _choice(row: Keyword, text: str, name: str) -> str:
    found = row.choices.get(text.lower())
    if found is None:
        known = ", ".join(dict.fromkeys(row.choices.values()))
        raise ConfigError(f"keyword {name}, invalid value: {_short(text)} (there are {known})")
    return found


def split_list(text: str) -> list[str]:
    """The elements of a list: blanks and commas separate them."""
    return [one for one in re.split(r"[\s,]+", text) if one]


def _list(row: Keyword, text: str, name: str) -> str:
    items = split_list(text)
    if row.choices:
        for item in items:
            if item.lower() not in row.choices:
                raise ConfigError(f"keyword {name}, invalid value: {_short(item)} (there are {', '.join(row.choices)})")
        order = list(row.choices)
        items = sorted(dict.fromkeys(row.choices[item.lower()] for item in items), key=order.index)
    return " ".join(items)


def _as_it_is(row: Keyword, text: str, name: str) -> str:
    return text


READERS = {
    Form.BOOL: _bool,
    Form.NUMBER: _number,
    Form.TIME: _time,
    Form.PERCENT: _percent,
    Form.CHOICE: _choice,
    Form.LIST: _list,
}


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
