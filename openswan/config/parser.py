# SPDX-License-Identifier: GPL-2.0-or-later
"""ipsec.conf sections: which keyword stands where, what also= splices in, what conn %default supplies.

The result is flat: each conn has all its values with the line each comes from, or the complaints that keep it from
loading. What the values mean is openswan.config.build's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from openswan.base.errors import ConfigError
from openswan.config.complaint import Complaint, error
from openswan.config.files import Reader
from openswan.config.implicit import IMPLICIT
from openswan.config.keyword import Form, Keyword, Section
from openswan.config.keywords import find, is_comment, nearest, other_section
from openswan.config.lexer import Kind, Token, tokens

Key: TypeAlias = tuple[str, str]
"""(`left`, `right` or nothing, the row's name)."""
IMPLIED = "implicit conn"
"""Where what nobody has written stands."""

MOST_ALSO = 32
"""Sections one conn may splice in."""
DEFAULT, OE_DEFAULT = "%default", "%oedefault"
OTHER = {"left": "right", "right": "left", "": ""}
BAD_NAME = set("\"'\\{}#%,; \t")
LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class Param:
    """One keyword=value."""

    row: Keyword
    side: str
    value: str
    where: str

    @property
    def key(self) -> Key:
        """What makes two parameters the same one."""
        return self.side, self.row.name

    @property
    def spelled(self) -> str:
        """The keyword in its canonical spelling."""
        return self.row.spelled(self.side)

    def same(self, other: Param) -> bool:
        """Do both say the same?"""
        if self.value == other.value:
            return True
        try:
            return self.row.canonical(self.value) == other.row.canonical(other.value)
        except ConfigError:
            return False

    def flipped(self) -> Param:
        """The same for the other end."""
        return replace(self, side=OTHER[self.side]) if self.side else self


@dataclass(slots=True)
class Block:
    """One section as written."""

    name: str
    where: str
    section: Section = Section.CONN
    params: dict[Key, Param] = field(default_factory=dict)
    splices: list[tuple[str, bool, str]] = field(default_factory=list)
    """also= (False) and alsoflip= (True) in order: name, flip, where."""
    remarks: list[tuple[str, str]] = field(default_factory=list)
    """x-... names and their values."""
    complaints: list[Complaint] = field(default_factory=list)

    @property
    def broken(self) -> bool:
        """Does an error stand in it?"""
        return any(one.fatal for one in self.complaints)


@dataclass(slots=True)
class FlatConn:
    """One conn with everything spliced in and every default filled from %default."""

    name: str
    where: str
    params: dict[Key, Param]
    splices: tuple[str, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    complaints: list[Complaint] = field(default_factory=list)
    implicit: bool = False

    def text(self, name: str, side: str = "") -> str | None:
        """A value as written, or None."""
        found = self.params.get((side, name))
        return found.value if found else None


@dataclass(slots=True)
class Parsed:
    """A whole configuration."""

    setup: dict[str, Param]
    conns: list[FlatConn]
    complaints: list[Complaint]
    """Those of no conn in particular."""
    authorities: list[Block] = field(default_factory=list)
    """ca sections."""
    version: str = ""


def parse(text: str, name: str, reader: Reader) -> Parsed:
    """Read a configuration; `name` is the file's. Never raises for what is in it."""
    return _Parser(reader).parse(text, name)


def parse_setup(text: str, name: str, reader: Reader) -> dict[str, Param]:
    """Its config setup alone, by keyword; nothing is complained of, and what others say is not looked at."""
    parser = _Parser(reader)
    for token in tokens(text, name, reader):
        if token.kind is Kind.SECTION or parser.current is parser.setup:
            parser.token(token)
    return {key[1]: one for key, one in parser.setup.params.items()}


@dataclass(slots=True)
class _Parser:
    reader: Reader
    complaints: list[Complaint] = field(default_factory=list)
    setup: Block = field(default_factory=lambda: Block("setup", "", Section.SETUP))
    conns: list[Block] = field(default_factory=list)
    authorities: list[Block] = field(default_factory=list)
    defaults: list[Block] = field(default_factory=list)
    oe_defaults: list[Block] = field(default_factory=list)
    current: Block | None = None
    seen: dict[str, Block] = field(default_factory=dict)
    stray: bool = False
    """A parameter outside any section has been complained about."""
    version: str = ""

    def parse(self, text: str, name: str) -> Parsed:
        for token in tokens(text, name, self.reader):
            self.token(token)
        self._settle()
        index = _Index(self.conns)
        conns = [self._flatten(block, index, self.defaults) for block in self.conns]
        if self._oe():
            taken = {block.name.lower() for block in self.conns}
            for block in IMPLICIT_BLOCKS:
                if block.name.lower() not in taken:
                    conns.append(self._flatten(block, index, self.oe_defaults, implicit=True))
        setup = {key[1]: one for key, one in self.setup.params.items()}
        return Parsed(setup, conns, self.complaints, self.authorities, self.version)

    def _oe(self) -> bool:
        param = self.setup.params.get(("", "oe"))
        try:
            return param is not None and param.row.canonical(param.value) == "yes"
        except ConfigError:
            return False

    def token(self, token: Token) -> None:
        """Take in what comes next."""
        if token.kind is Kind.PARAMETER:
            self._parameter(token)
        elif token.kind is Kind.SECTION:
            self._section(token)
        elif token.kind is Kind.VERSION:
            self._version(token)
        elif token.complaint is not None:
            if token.kind is Kind.BAD and token.ends_section:
                self.current, self.stray = None, True
            if token.kind is Kind.BAD and self.current is not None:
                self.current.complaints.append(token.complaint)
            else:
                self.complaints.append(token.complaint)

    def _version(self, token: Token) -> None:
        if token.value not in ("2", "2.0"):
            self.complaints.append(error(f"version '{token.value[:20]}' is not known: 2 is", token.where))
        self.version = token.value

    def _section(self, token: Token) -> None:
        self.stray = False
        if token.name == "config":
            if token.value.lower() != "setup":
                self.complaints.append(error(f"'config {token.value[:40]}' is not known: config setup is", token.where))
                self.current, self.stray = None, True
                return
            self.setup.where = self.setup.where or token.where
            self.current = self.setup
            return
        if token.name == "ca":
            self.current = Block(token.value, token.where, Section.CA)
            self.authorities.append(self.current)
            return
        block = self.current = Block(token.value, token.where)
        lowered = token.value.lower()
        if lowered in (DEFAULT, OE_DEFAULT):
            (self.defaults if lowered == DEFAULT else self.oe_defaults).append(block)
            return
        self.conns.append(block)
        if not token.value or set(token.value) & BAD_NAME or len(token.value) > LONGEST_NAME:
            block.complaints.append(
                error(
                    f"'{token.value[:40]}' cannot name a conn: letters, digits, '-', '_', '.' and '=' can", token.where
                )
            )
        elif (first := self.seen.setdefault(token.value, block)) is not block:
            block.complaints.append(error(f"defined twice, first at {first.where}; that one counts", token.where))

    def _parameter(self, token: Token) -> None:
        block = self.current
        if block is None:
            if not self.stray:
                self.complaints.append(error(f"'{token.name[:40]}=' stands outside any section", token.where))
                self.stray = True
            return
        found = find(block.section, token.name) if len(token.name) <= 64 else None
        if found is None:
            self._unknown(block, token)
            return
        row, side = found
        if row.form is Form.SPLICE:
            self._splice(block, row, token)
            return
        if not token.value and row.form is not Form.COMMAND:
            return  # an empty value keeps the default
        param = Param(row, side, token.value, token.where)
        first = block.params.setdefault(param.key, param)
        if first is not param and not first.same(param):
            block.complaints.append(
                error(f"duplicate key '{param.spelled}': it has another value at {first.where}", token.where)
            )

    def _splice(self, block: Block, row: Keyword, token: Token) -> None:
        if any(block is one for one in (*self.defaults, *self.oe_defaults)):
            block.complaints.append(error(f"{row.name}= is not valid in section '{block.name}'", token.where))
        elif token.value:
            block.splices.append((token.value, row.name == "alsoflip", token.where))

    def _unknown(self, block: Block, token: Token) -> None:
        name = token.name[:60]
        if is_comment(token.name):
            block.remarks.append((token.name, token.value))
        elif (other := other_section(block.section, token.name)) is not None:
            block.complaints.append(
                error(f"keyword '{name}' belongs in {other.value}, it is not valid here", token.where)
            )
        else:
            near = nearest(block.section, name)
            hint = f" (did you mean '{near}'?)" if near else ""
            block.complaints.append(error(f"unknown keyword '{name}={token.value[:40]}'{hint}", token.where))

    def _settle(self) -> None:
        """Complaints of sections that are no conns become complaints of nobody in particular."""
        for block in (self.setup, *self.defaults, *self.oe_defaults):
            for one in block.complaints:
                place = "config setup" if block is self.setup else f"conn {block.name}"
                self.complaints.append(replace(one, text=f"{place}: {one.text}"))

    def _flatten(self, block: Block, index: _Index, defaults: list[Block], *, implicit: bool = False) -> FlatConn:
        flat = FlatConn(block.name, block.where, {}, implicit=implicit)
        flat.complaints = [replace(one, conn=block.name) for one in block.complaints]
        names: list[str] = []
        remarks: list[tuple[str, str]] = []
        implied: dict[Key, Param] = {}
        for part, flip in index.spliced(block, flat.complaints):
            names += [name for name, _, _ in part.splices] if part is block else []
            remarks += part.remarks
            if part is not block and part.broken:
                text = f"also={part.name}: that conn is broken, see {next(o for o in part.complaints if o.fatal).where}"
                flat.complaints.append(error(text, block.where, block.name))
            for written in part.params.values():
                param = written.flipped() if flip else written
                if part.where == IMPLIED and part is not block:
                    implied.setdefault(param.key, param)
                else:
                    self._merge(flat, param)
        for key, param in implied.items():
            flat.params.setdefault(key, param)
        flat.splices, flat.remarks = tuple(names), tuple(remarks)
        for default in reversed(defaults):
            if default.broken:
                first = next(one for one in default.complaints if one.fatal)
                flat.complaints.append(
                    error(f"conn {default.name} is broken, see {first.where}", block.where, block.name)
                )
            for key, param in default.params.items():
                flat.params.setdefault(key, param)
        return flat

    def _merge(self, flat: FlatConn, param: Param) -> None:
        first = flat.params.setdefault(param.key, param)
        if first is not param and not first.same(param):
            text = f"duplicate key '{param.spelled}': {first.where} and {param.where} differ, only %default gives way"
            flat.complaints.append(error(text, first.where, flat.name))


@dataclass(slots=True)
class _Index:
    """Conns by name, for also=."""

    conns: list[Block]
    exact: dict[str, Block] = field(init=False)
    folded: dict[str, Block] = field(init=False)

    def __post_init__(self) -> None:
        self.exact, self.folded = {}, {}
        for block in (*self.conns, *IMPLICIT_BLOCKS):
            self.exact.setdefault(block.name, block)
            self.folded.setdefault(block.name.lower(), block)

    def spliced(self, block: Block, complaints: list[Complaint]) -> Iterator[tuple[Block, bool]]:
        """The block and all it splices in, each once, with True where left and right are exchanged."""
        taken = {id(block)}
        todo = [(block, False)]
        while todo:
            part, flipped = todo.pop(0)
            yield part, flipped
            for name, flip, where in part.splices:
                found = self.exact.get(name) or self.folded.get(name.lower())
                if found is None:
                    word = "alsoflip" if flip else "also"
                    complaints.append(error(f"{word}={name[:60]}: there is no conn of that name", where, block.name))
                elif id(found) not in taken:
                    if len(taken) > MOST_ALSO:
                        complaints.append(error(f"too many also=: more than {MOST_ALSO}", where, block.name))
                        return
                    taken.add(id(found))
                    todo.append((found, flipped != flip))


def _implicit_blocks() -> tuple[Block, ...]:
    blocks = []
    for name, values in IMPLICIT.items():
        block = Block(name, IMPLIED)
        for keyword, value in values.items():
            found = find(Section.CONN, keyword)
            assert found is not None
            param = Param(*found, value, IMPLIED)
            block.params[param.key] = param
        blocks.append(block)
    return tuple(blocks)


IMPLICIT_BLOCKS = _implicit_blocks()
