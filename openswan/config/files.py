# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading configuration files and the patterns of `include`."""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Callable
from typing import TypeAlias

from openswan.base.errors import ConfigError

Reader: TypeAlias = Callable[[str, str], list[tuple[str, str]]]
"""reader(pattern, directory of the including file) -> (name, text) of each file in order; ConfigError if unreadable."""

MOST_OCTETS = 64 << 20
"""A configuration file larger than this is refused."""
NESTING = 10
"""How deep includes may nest."""
MOST_FILES = 20000
"""Files one configuration may pull in altogether: nesting alone does not bound fan-out."""
MOST_BRACES = 1024
"""Patterns one {a,b} may unfold to."""
ABSENT = os.strerror(errno.ENOENT)
WILDCARDS = re.compile(r"[*?\[]")


def read_text(path: str) -> str:
    """A file's text; ConfigError in one line when it cannot be read. What is not UTF-8 survives as surrogates."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > MOST_OCTETS:
                raise ConfigError(f"cannot read '{path}': larger than {MOST_OCTETS >> 20} MiB")
            data = file.read(MOST_OCTETS + 1)
    except (OSError, ValueError) as why:
        reason = why.strerror if isinstance(why, OSError) and why.strerror else "not a file name"
        raise ConfigError(f"cannot read '{path}': {reason}") from None
    if len(data) > MOST_OCTETS:
        raise ConfigError(f"cannot read '{path}': larger than {MOST_OCTETS >> 20} MiB")
    return data.decode("utf-8", "surrogateescape")


def unfold_braces(pattern: str) -> list[str]:
    """`a{b,c}d` as a shell unfolds it: abd, acd; nested braces too. ConfigError over MOST_BRACES patterns."""
    done: list[str] = []
    todo = [pattern]
    while todo:
        if len(todo) + len(done) > MOST_BRACES:
            raise ConfigError(f"pattern '{pattern[:60]}' stands for more than {MOST_BRACES} names")
        current = todo.pop(0)
        # The innermost pair first: it holds no further brace.
        found = re.search(r"\{([^{}]*)\}", current)
        if found is None or "," not in found[1]:
            done.append(current)
            continue
        todo += [current[: found.start()] + choice + current[found.end() :] for choice in found[1].split(",")]
    return list(dict.fromkeys(done))


def matching(pattern: str, directory: str, root: str = "") -> list[str]:
    """The files a pattern names, sorted for each unfolded part; relative ones start at `directory`.

    A name without wildcards is returned whether it exists or not. `root` is put in front of absolute patterns.
    """
    if "\0" in pattern:
        raise ConfigError("file name holds a NUL")
    names: list[str] = []
    for part in unfold_braces(pattern):
        path = root + part if os.path.isabs(part) else os.path.join(directory, part)
        # Only what the operator wrote is a pattern, the directory before it is not.
        escaped = path if os.path.isabs(part) else os.path.join(glob.escape(directory), part)
        names += sorted(glob.glob(escaped)) if WILDCARDS.search(part) else [path]
    return list(dict.fromkeys(names))


def disk_reader(root: str = "") -> Reader:
    """A Reader for the real file system; `root` is the prefix of absolute includes (addconn --rootdir)."""

    def read(pattern: str, directory: str) -> list[tuple[str, str]]:
        found = []
        for path in matching(pattern, directory, root):
            if os.path.isdir(path):
                continue
            try:
                found.append((path, read_text(path)))
            except ConfigError as why:
                # What a pattern has found may go before it is read: the others are there all the same.
                if not WILDCARDS.search(pattern) or not why.reason.endswith(ABSENT):
                    raise
        return found

    return read
