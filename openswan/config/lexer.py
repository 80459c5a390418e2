# SPDX-License-Identifier: GPL-2.0-or-later
"""ipsec.conf line by line: headers in the first column, indented parameters, comments, quoting; includes spliced in.

Nothing here raises: a line that cannot be read becomes a BAD token, and the parser decides which section it breaks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from openswan.base.errors import ConfigError
from openswan.config.complaint import Complaint, error, warning
from openswan.config.files import ABSENT, MOST_FILES, NESTING, Reader


class Kind(Enum):
    """What a line is."""

    VERSION = "version"
    SECTION = "section"
    PARAMETER = "parameter"
    BAD = "bad"
    NOTE = "note"
    """A complaint that breaks no section, such as an include that matched nothing."""


@dataclass(frozen=True, slots=True)
class Token:
    """One significant line."""

    kind: Kind
    where: str
    """FILE:LINE."""
    name: str = ""
    """SECTION: `config`, `conn` or `ca`; PARAMETER: the keyword as written; BAD and NOTE: empty."""
    value: str = ""
    """SECTION: the section's name; PARAMETER: the value without its quotes; VERSION: what follows."""
    complaint: Complaint | None = None
    """BAD and NOTE: what is wrong."""
    ends_section: bool = False
    """BAD: the line looks like a mistyped header, so what follows belongs to nobody and the section before is whole."""


BLANKS = " \t\r\f\v"
PARAMETER = re.compile(r"([^\s=]+)[ \t]*=([ \t]*)(.*)", re.DOTALL)
HEADERS = {"version", "config", "conn", "ca", "include"}
NEAR_HEADERS = {
    "con",
    "conm",
    "cnon",
    "conn:",
    "konn",
    "connection",
    "conf",
    "configuration",
    "vrsion",
    "inlcude",
}


def tokens(text: str, name: str, reader: Reader) -> Iterator[Token]:
    """Every significant line of a file and of what it includes, in order; `name` is the file's, for messages."""
    yield from _Lexer(reader).file(text, name, ())


@dataclass
class _Lexer:
    reader: Reader
    files: int = field(default=1)

    def file(self, text: str, name: str, above: tuple[str, ...]) -> Iterator[Token]:
        for number, line in enumerate(text.split("\n"), 1):
            stripped = line.strip(BLANKS)
            if not stripped or stripped[0] == "#":
                continue
            where = f"{name}:{number}"
            if not stripped.isprintable() and (bad := _unprintable(stripped, where)) is not None:
                yield bad
            elif line[0] in BLANKS:
                yield _parameter(stripped, where)
            else:
                yield from self._first_column(stripped, where, name, above)

    def _first_column(self, line: str, where: str, name: str, above: tuple[str, ...]) -> Iterator[Token]:
        word, _, rest = line.partition(" ") if " " in line else line.partition("\t")
        if "\t" in word:
            word, _, more = word.partition("\t")
            rest = f"{more} {rest}"
        try:
            arguments = _words(rest)
        except ConfigError as why:
            yield _bad(str(why), where, ends_section=word.lower() in ("conn", "config", "ca"))
            return
        keyword = word.lower()
        if keyword == "include" and not rest.lstrip(BLANKS).startswith("="):
            yield from self._include(arguments, where, name, above)
        elif keyword in HEADERS and not rest.lstrip(BLANKS).startswith("="):
            yield _header(keyword, arguments, where)
        else:
            yield _stray(line, word, where)

    def _include(self, arguments: list[str], where: str, name: str, above: tuple[str, ...]) -> Iterator[Token]:
        if len(arguments) != 1:
            yield _bad("include wants one file name or pattern; quote one that has blanks", where)
            return
        [pattern] = arguments
        if len(above) >= NESTING:
            yield _bad(f"include '{pattern}' is nested deeper than {NESTING} files: does a file include itself?", where)
            return
        try:
            found = self.reader(pattern, os.path.dirname(name))
        except ConfigError as why:
            # A file that is not there yet is common; one that is there and cannot be read hides connections.
            level = warning if why.reason.endswith(ABSENT) else error
            yield Token(Kind.NOTE, where, complaint=level(f"include: {why.reason}", where))
            return
        if not found:
            yield Token(Kind.NOTE, where, complaint=warning(f"include '{pattern}' matches no file", where))
        for path, text in found:
            self.files += 1
            if path in (name, *above):
                yield _bad(f"'{path}' includes itself", where)
            elif self.files > MOST_FILES:
                yield _bad(f"more than {MOST_FILES} files are included", where)
                return
            else:
                yield from self.file(text, path, (*above, name))


def _bad(text: str, where: str, *, ends_section: bool = False) -> Token:
    return Token(Kind.BAD, where, complaint=error(text, where), ends_section=ends_section)


def _unprintable(line: str, where: str) -> Token | None:
    for char in line:
        if char.isprintable() or char in BLANKS:
            continue
        if "\udc80" <= char <= "\udcff":
            return _bad(f"octet 0x{ord(char) - 0xDC00:02x} is not UTF-8 text", where)
        # Blanks of other scripts look like blanks and are none; naming the code helps to find them.
        return _bad(f"control or invisible character U+{ord(char):04X}", where)
    return None


def _words(text: str) -> list[str]:
    """Blank-separated words with quotes taken off and a comment cut off."""
    words: list[str] = []
    rest = text.strip(BLANKS)
    while rest and rest[0] != "#":
        value, rest = _value(rest)
        words.append(value)
        rest = rest.strip(BLANKS)
    return words


def _value(text: str) -> tuple[str, str]:
    """The value at the start of `text`, quotes off, and what follows it."""
    opening = text[:1]
    if opening in ('"', "{"):
        closing = '"' if opening == '"' else "}"
        end = text.find(closing, 1)
        if end < 0:
            raise ConfigError(f"{opening} without the closing {closing}: a value ends on its own line")
        value, rest = text[1:end], text[end + 1 :]
        if rest and rest[0] not in BLANKS:
            raise ConfigError(f"something follows the closing {closing} without a blank between")
        return value, rest
    end = next((at for at, char in enumerate(text) if char in BLANKS), len(text))
    value = text[:end]
    if '"' in value:
        raise ConfigError('a " inside a value: quote the whole value, there are no escapes')
    return value, text[end:]


def _parameter(line: str, where: str) -> Token:
    found = PARAMETER.fullmatch(line)
    if found is None:
        word = line.split(maxsplit=1)[0]
        if word.lower() in HEADERS:
            return _bad(f"'{_short(word)}' must begin in the first column", where)
        return _bad(f"'{_short(line)}' is not a parameter: keyword=value is wanted", where)
    keyword, gap, rest = found.groups()
    if gap and rest.startswith("#"):
        rest = ""
    try:
        value, rest = _value(rest)
    except ConfigError as why:
        return _bad(f"{_short(keyword)}=: {why}", where)
    rest = rest.strip(BLANKS)
    if rest and rest[0] != "#":
        return _bad(f"{_short(keyword)}=: '{_short(rest)}' follows the value; quote a value that has blanks", where)
    return Token(Kind.PARAMETER, where, keyword, value)


def _header(keyword: str, arguments: list[str], where: str) -> Token:
    if keyword == "version":
        return Token(Kind.VERSION, where, value=" ".join(arguments))
    if len(arguments) != 1:
        wanted = "config setup" if keyword == "config" else f"{keyword} NAME"
        return _bad(f"'{wanted}' is wanted, with one name", where, ends_section=True)
    return Token(Kind.SECTION, where, keyword, arguments[0])


def _stray(line: str, word: str, where: str) -> Token:
    if "=" in line and PARAMETER.fullmatch(line):
        return _bad(f"parameter '{_short(line)}' must be indented", where)
    near = word.lower() in NEAR_HEADERS
    return _bad(
        f"'{_short(line)}' is no section header: config setup, conn NAME or include FILE", where, ends_section=near
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
