# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec _include`: a configuration file with its include lines expanded and marked."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from typing import TextIO

from openswan.base import paths
from openswan.base.errors import ConfigError
from openswan.cli.syntax import Given, Option, Syntax, run
from openswan.config.files import MOST_FILES, NESTING, matching, read_text

SYNTAX = Syntax(
    "_include",
    "print configuration files with their include lines expanded",
    (Option("--inband", "print errors among the lines, as #: comments, instead of on standard error"),),
    "[FILE...]",
    most=64,
    details=(
        "Before each line that comes from another file than the one before stands a comment: #< FILE LINE when a "
        "file begins, #> FILE LINE when it goes on after an include. Errors are #:message lines with --inband. "
        "Without FILE it is ipsec.conf.",
    ),
    statuses={0: "printed", 1: "something cannot be read", 2: "usage error"},
    see=("ipsec.conf(5)", "ipsec_readwriteconf(8)"),
)


def expand(name: str, above: tuple[str, ...] = (), count: list[int] | None = None) -> Iterator[str]:
    """The lines of a file and what it includes; what is wrong comes as a line that begins with `#:`."""
    count = count if count is not None else [0]
    count[0] += 1
    if name in above or len(above) >= NESTING or count[0] > MOST_FILES:
        yield f"#:{name}: includes itself, or includes nest too deeply"
        return
    try:
        text = read_text(name)
    except ConfigError as why:
        yield f"#:{why.reason}"
        return
    yield f"#< {name} 1"
    for number, line in enumerate(text.splitlines(), 1):
        if line[:1].isspace() or line.split(None, 1)[:1] != ["include"]:
            yield line
            continue
        try:
            patterns = shlex.split(line, comments=True)[1:]
            found = [one for pattern in patterns for one in matching(pattern, os.path.dirname(name))]
        except (ConfigError, ValueError) as why:
            yield f"#:{name}:{number}: {why}"
            continue
        for one in found:
            yield from expand(one, (*above, name), count)
        yield f"#> {name} {number + 1}"


def _act(given: Given) -> int:
    status = 0
    for name in given.operands or [str(paths.conf_file())]:
        for line in expand(name):
            if line.startswith("#:"):
                status = 1
                print(line if "--inband" in given else f"ipsec _include: {line[2:]}", file=_out(given))
            else:
                print(line.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    return status


def _out(given: Given) -> TextIO:
    return sys.stdout if "--inband" in given else sys.stderr


def main(argv: list[str]) -> int:
    """Print them; 1 when something cannot be read."""
    return run(SYNTAX, argv, _act)
