# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command takes, described once: its parser, its --help, its manual page and its completion are made of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from openswan import __version__

USAGE_ERROR = 2
"""Exit status of a command line that makes no sense."""


class Misuse(Exception):
    """A command line that makes no sense; the text names the offending word."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option."""

    name: str
    """With its hyphens: `--host`."""
    text: str
    """What it does, in a few words without a full stop."""
    value: str = ""
    """What its value is called (`FILE`); empty: it has none."""
    many: bool = False
    """May it stand several times?"""

    @property
    def shown(self) -> str:
        """`--host NAME`."""
        return f"{self.name} {self.value}" if self.value else self.name


@dataclass(frozen=True, slots=True)
class Syntax:
    """One command."""

    name: str
    summary: str
    options: tuple[Option, ...] = ()
    operands: str = ""
    """As the usage shows them: `[CONN]`."""
    least: int = 0
    most: int = 0
    """How many operands there must and may be."""
    details: tuple[str, ...] = ()
    """Paragraphs of the manual page."""
    statuses: Mapping[int, str] = field(default_factory=lambda: {0: "done", 2: "usage error"})
    see: tuple[str, ...] = ()
    """Other pages: `ipsec_eroute(8)`."""

    @property
    def usage(self) -> str:
        """One line."""
        words = [f"[{one.shown}]{'...' if one.many else ''}" for one in self.options]
        return " ".join(["Usage: ipsec", self.name, *words, *([self.operands] if self.operands else [])])

    def help(self) -> str:
        """The usage, the summary and a line for each option."""
        width = max((len(one.shown) for one in self.options), default=0)
        lines = [self.usage, f"{self.summary[:1].upper()}{self.summary[1:]}."]
        lines += [f"  {one.shown:<{width}}  {one.text}" for one in self.options]
        return "\n".join(lines)

    def parse(self, argv: list[str]) -> Given:
        """Options by name and operands; Misuse names the first word that makes no sense."""
        given = Given()
        known = {one.name: one for one in self.options}
        words = iter(argv)
        for word in words:
            if word == "--":
                given.operands += words
                break
            if not word.startswith("-") or word == "-":
                given.operands.append(word)
                continue
            name, equals, value = word.partition("=")
            option = known.get(name)
            if option is None:
                raise Misuse(f"unknown option `{word}'")
            if equals and not option.value:
                raise Misuse(f"{name} takes no value, yet `{word}'")
            if option.value and not equals:
                found = next(words, None)
                if found is None:
                    raise Misuse(f"`{name}' wants a value: {option.shown}")
                value = found
            if name in given.values and not option.many:
                raise Misuse(f"`{name}' stands twice")
            given.values.setdefault(name, []).append(value)
        if len(given.operands) > self.most:
            raise Misuse(f"`{given.operands[self.most]}' is too much")
        if len(given.operands) < self.least:
            raise Misuse(f"{self.operands} is missing")
        return given


@dataclass(slots=True)
class Given:
    """What a command line says."""

    values: dict[str, list[str]] = field(default_factory=dict)
    operands: list[str] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def value(self, name: str, default: str = "") -> str:
        """The value of an option, the last one when it may stand several times."""
        return self.values[name][-1] if name in self.values else default

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """The value of an option that is a decimal number; Misuse when it is none or out of bounds."""
        text = self.value(name, str(default))
        if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not least <= int(text) <= most:
            raise Misuse(f"{name}: `{text[:40]}' is not a number from {least} to {most}")
        return int(text)


def run(syntax: Syntax, argv: list[str], act: Callable[[Given], int]) -> int:
    """Answer --help and --version, refuse what makes no sense with status 2 and the usage, else `act`."""
    if "--help" in argv or "-h" in argv:
        print(syntax.help())
        return 0
    if "--version" in argv:
        print(f"ipsec {syntax.name} Openswan {__version__}")
        return 0
    try:
        return act(syntax.parse(argv))
    except Misuse as why:
        print(f"ipsec {syntax.name}: {why}\n{syntax.usage}", file=sys.stderr)
        return USAGE_ERROR
