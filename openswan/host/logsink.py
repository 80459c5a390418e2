# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the daemon's log lines go: syslog (authpriv, `pluto[pid]`), a file, or standard error."""

from __future__ import annotations

import os
import re
import syslog
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from openswan.base.errors import HostError
from openswan.host.clock import stamp

Sink: TypeAlias = Callable[[str, bool], None]
"""Takes one line and whether it is serious."""

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")
LONGEST = 2048


def clean(text: str) -> str:
    """One printable line: names from the network must not forge others or drive a terminal."""
    return UNPRINTABLE.sub(lambda found: f"\\{ord(found[0]):03o}", text)[:LONGEST]


def to_syslog() -> Sink:
    """Lines to syslog, facility authpriv."""
    syslog.openlog("pluto", syslog.LOG_PID, syslog.LOG_AUTHPRIV)

    def sink(text: str, serious: bool) -> None:
        syslog.syslog(syslog.LOG_ERR if serious else syslog.LOG_NOTICE, clean(text))

    return sink


def to_descriptor(fd: int) -> Sink:
    """Lines with date and pid to an open descriptor; a full disk loses lines, never the daemon."""

    def sink(text: str, serious: bool) -> None:
        try:
            os.write(fd, f"{stamp()} pluto[{os.getpid()}]: {clean(text)}\n".encode(errors="replace"))
        except OSError:
            pass

    return sink


def to_file(path: Path) -> Sink:
    """Lines appended to a file made with mode 0600; HostError when it cannot be opened."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as why:
        raise HostError(f"cannot write the log to {path}: {why.strerror}") from None
    return to_descriptor(fd)
