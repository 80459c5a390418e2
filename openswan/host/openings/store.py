# SPDX-License-Identifier: GPL-2.0-or-later
"""What is open, on disk: the daemon opens, and so does an `ipsec _updown` that a script of the user's calls."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from openswan.base.errors import HostError
from openswan.host.openings.model import Opening, from_line, to_line

FILE = "openings"
"""In the run directory."""
Openings = tuple[Opening, ...]


class Store:
    """The openings there are to be, shared by processes; without a path they are this process's alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._held: Openings = ()

    def read(self) -> Openings:
        """What is to be open; lines that make no sense are none."""
        if self._path is None:
            return self._held
        try:
            return _parse(self._path.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return ()
        except OSError as why:
            raise HostError(f"{self._path}: {why.strerror}") from None

    def empty(self) -> bool:
        """Is nothing to be open? Told without reading; what cannot be told is not."""
        if self._path is None:
            return not self._held
        try:
            return not self._path.stat().st_size
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def change(self, step: Callable[[Openings], Openings], then: Callable[[Openings], None]) -> None:
        """Replace what is to be open by `step` of it, and let `then` carry it out before anybody else may change it."""
        if self._path is None:
            self._held = step(self._held)
            then(self._held)
            return
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "rb") as file:
                fcntl.flock(fd, fcntl.LOCK_EX)
                wanted = step(_parse(file.read().decode(errors="replace")))
                _write(fd, "".join(f"{to_line(each)}\n" for each in wanted).encode())
                then(wanted)
        except OSError as why:
            raise HostError(f"{why.filename or self._path}: {why.strerror}") from None


def _write(fd: int, data: bytes) -> None:
    """Whoever reads meanwhile, without the lock, must not find less than is wanted: cut only when all is there."""
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], done)
    os.ftruncate(fd, len(data))


def _parse(text: str) -> Openings:
    found = []
    for line in text.splitlines():
        try:
            found.append(from_line(line))
        except (ValueError, TypeError, RecursionError):
            continue
    return tuple(found)
