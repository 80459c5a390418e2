# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec readwriteconf`: read ipsec.conf and write it back flat, in canonical spelling."""

from __future__ import annotations

import os
import sys

from openswan.base import paths
from openswan.base.errors import ConfigError
from openswan.config.files import disk_reader, read_text
from openswan.config.manual import manual
from openswan.config.parser import parse
from openswan.config.write import write_config

USAGE = """\
Usage: ipsec readwriteconf [--config FILE] [--rootdir DIR] [--rootdir2 DIR] [--debug] [--verbose] [--text]
       [--warningsarefatal] [--ignoreconnnotfound] [--whackout=FILE] [--all] [CONN...]
       ipsec readwriteconf --man
Writes config setup and the conns (all, or those named) to standard output, also= and %default worked in;
--man writes ipsec.conf(5)."""

FLAGS = {"--debug", "--verbose", "--text", "--warningsarefatal", "--ignoreconnnotfound", "--all"}
VALUES = {"--config", "--rootdir", "--rootdir2", "--whackout"}
UNREADABLE, BAD_OPTION, USAGE_ERROR, NOT_FOUND = 3, 2, 10, 22


def main(argv: list[str]) -> int:
    """Exit status: 0; 2 bad option value, 3 the file cannot be read, 10 usage, 22 conn not found."""
    flags: set[str] = set()
    values: dict[str, str] = {}
    names: list[str] = []
    queue = list(argv)
    while queue:
        word = queue.pop(0)
        name, equals, value = word.partition("=")
        if word in ("--help", "-h"):
            print(USAGE)
            return 0
        if word == "--man":
            sys.stdout.write(manual())
            return 0
        if word in FLAGS:
            flags.add(word)
        elif name in VALUES:
            if not equals and not queue:
                print(f"readwriteconf: {name} wants a value", file=sys.stderr)
                return BAD_OPTION
            values[name] = value if equals else queue.pop(0)
        elif word.startswith("-"):
            print(f"readwriteconf: unknown option '{word}'\n{USAGE}", file=sys.stderr)
            return USAGE_ERROR
        else:
            names.append(word)
    if "--whackout" in values:
        print("readwriteconf: --whackout is not available: connections travel as JSON here", file=sys.stderr)
        return BAD_OPTION
    return _write(flags, values, names)


def _write(flags: set[str], values: dict[str, str], names: list[str]) -> int:
    root = values.get("--rootdir", "")
    path = values.get("--config") or os.path.join(
        root, str(paths.conf_file()).lstrip("/") if root else paths.conf_file()
    )
    try:
        text = read_text(path)
    except ConfigError as why:
        print(f"can not load config '{path}': {why.reason}", file=sys.stderr)
        return UNREADABLE
    parsed = parse(text, path, disk_reader(root))
    complaints = [*parsed.complaints, *(one for conn in parsed.conns for one in conn.complaints)]
    for one in complaints:
        print(one, file=sys.stderr)
    if "--warningsarefatal" in flags and complaints:
        return UNREADABLE
    conns = parsed.conns
    if names and "--all" not in flags:
        known = {conn.name.lower(): conn for conn in reversed(conns)}
        if missing := [name for name in names if name.lower() not in known]:
            for name in missing:
                print(f"conn '{name}': not found", file=sys.stderr)
            if "--ignoreconnnotfound" not in flags:
                return NOT_FOUND
        conns = [known[name.lower()] for name in names if name.lower() in known]
    sys.stdout.write(write_config(parsed.setup, [conn for conn in conns if not any(o.fatal for o in conn.complaints)]))
    return UNREADABLE if any(one.fatal for one in complaints) else 0
