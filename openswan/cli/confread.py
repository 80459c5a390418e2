# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec _confread`: sections of ipsec.conf for scripts, as tab-separated lines or as shell variables."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from openswan.base import paths
from openswan.base.errors import ConfigError
from openswan.cli.addconn import shell_quoted
from openswan.cli.syntax import Given, Misuse, Option, Syntax, run
from openswan.config.files import Reader, disk_reader, read_text
from openswan.config.parser import Param, Parsed, parse

SYNTAX = Syntax(
    "_confread",
    "print sections of ipsec.conf for scripts",
    (
        Option("--config", "read this file instead of ipsec.conf", "FILE"),
        Option("--noinclude", "do not follow include lines"),
        Option("--type", "kind of the sections: conn (the default), config or ca", "KIND"),
        Option("--varprefix", "print shell variables that begin so", "PREFIX"),
        Option("--export", "put export before them"),
        Option("--search", "print only the names of sections that have this keyword; KEYWORD=VALUE: that value", "KEY"),
        Option("--optional", "a section that is not there is no error"),
    ),
    "[NAME...]",
    most=1024,
    details=(
        "Each section is a line `=\\t\\t\\tNAME', each keyword in it a line `:\\tKEYWORD\\tVALUE', with also= and "
        "%default worked in; the last line is `!' and a tab, followed by what is wrong, if anything is. With --search "
        "names are printed, one a line. With --varprefix the lines are assignments, and PREFIXconfreadstatus tells "
        "what is wrong. Without NAME all sections of the kind are printed (for config: setup).",
    ),
    statuses={0: "printed", 1: "the file cannot be read, or a section is not there or wrong", 2: "usage error"},
    see=("ipsec_addconn(8)", "ipsec_readwriteconf(8)"),
)
KINDS = ("conn", "config", "ca")


@dataclass(frozen=True, slots=True)
class Part:
    """One section, flat."""

    name: str
    values: Mapping[str, str]
    fault: str = ""
    """The first error in it."""


def _values(params: Iterable[Param]) -> dict[str, str]:
    return {param.spelled: param.value for param in params}


def parts(parsed: Parsed, kind: str) -> Iterator[Part]:
    """All sections of a kind in file order."""
    if kind == "config":
        yield Part("setup", _values(parsed.setup.values()))
    for flat in parsed.conns if kind == "conn" else parsed.authorities if kind == "ca" else ():
        fault = next((str(one) for one in flat.complaints if one.fatal), "")
        yield Part(flat.name, _values(flat.params.values()), fault)


def chosen(found: list[Part], names: list[str], optional: bool) -> list[Part]:
    """Those named, or all; one that is not there is a Part with a fault unless that is allowed."""
    if not names:
        return found
    by_name = {part.name.lower(): part for part in found}
    missing = (Part(name, {}, f'there is no section "{name}"') for name in names)
    return [
        by_name.get(name.lower(), nothing)
        for name, nothing in zip(names, missing, strict=True)
        if name.lower() in by_name or not optional
    ]


def lines(found: Iterable[Part], prefix: str | None, export: bool) -> Iterator[str]:
    """The two forms of output."""
    fault = ""
    for part in found:
        fault = fault or part.fault
        if prefix is None:
            yield f"=\t\t\t{part.name}"
        for name, value in part.values.items():
            text = " ".join(value.split())
            if prefix is None:
                yield f":\t{name}\t{text}"
            else:
                yield f"{'export ' * export}{prefix}{re.sub(r'[^A-Za-z0-9_]', '_', name)}={shell_quoted(text)}"
    if prefix is None:
        yield f"!\t{fault}"
    else:
        yield f"{'export ' * export}{prefix}confreadstatus={shell_quoted(fault)}"


def _nothing(pattern: str, directory: str) -> list[tuple[str, str]]:
    return []


def _act(given: Given) -> int:
    kind, prefix = given.value("--type", "conn"), given.values.get("--varprefix", [None])[-1]
    if kind not in KINDS:
        raise Misuse(f"--type: `{kind}' is none of {', '.join(KINDS)}")
    if prefix is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prefix):
        raise Misuse(f"--varprefix: `{prefix}' cannot begin a shell variable")
    name = given.value("--config", str(paths.conf_file()))
    reader: Reader = _nothing if "--noinclude" in given else disk_reader()
    try:
        found = list(parts(parse(read_text(name), name, reader), kind))
    except ConfigError as why:
        print(f"ipsec _confread: {why.reason}", file=sys.stderr)
        return 1
    if "--search" in given:
        wanted, equals, value = given.value("--search").partition("=")
        hits = [p.name for p in found if wanted in p.values and (not equals or p.values[wanted] == value)]
        print("\n".join(hits) + "\n" * bool(hits), end="")
        return 0
    found = chosen(found, given.operands, "--optional" in given)
    print("\n".join(lines(found, prefix, "--export" in given)))
    return 1 if any(part.fault for part in found) else 0


def main(argv: list[str]) -> int:
    """Print them; 1 when something is wrong with what was asked for."""
    return run(SYNTAX, argv, _act)
