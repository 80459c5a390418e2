# SPDX-License-Identifier: GPL-2.0-or-later
"""What is guarded, on disk: a daemon that starts reads what a killed one had in force and carries on with it.

One JSON line a change, appended; the last line of a connection counts. The file is written afresh at every start and
when most of it is out of date.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from openswan.base.errors import HostError
from openswan.engine.effects import GuardEntry
from openswan.host.guard.model import Held
from openswan.policy.selector import FlowKey

MANUAL = "%manual/"
"""Before the names of manually keyed conns."""
SLACK = 1000
"""Lines out of date before the file is written afresh (or as many as there are connections)."""


def to_plain(held: Held) -> dict[str, Any]:
    """What a line says about a connection."""
    return {
        "entries": [
            [str(e.key.src), str(e.key.dst), e.key.protocol, e.key.src_port, e.key.dst_port, e.device]
            for e in held.entries
        ],
        "block": list(held.block_families),
    }


def from_plain(plain: dict[str, Any]) -> Held:
    """The reverse; ValueError, KeyError or TypeError when it is something else."""
    entries = []
    for src, dst, protocol, src_port, dst_port, device in plain["entries"]:
        numbers = (protocol, src_port, dst_port)
        if not all(isinstance(n, int) and 0 <= n <= 65535 for n in numbers) or not isinstance(device, str):
            raise ValueError("numbers out of range")
        key = FlowKey(ip_network(src), ip_network(dst), *numbers)
        if key.src.version != key.dst.version or not 0 < len(device.encode()) < 16:
            raise ValueError("mixed families or no device")
        entries.append(GuardEntry(key, device))
    block = tuple(int(version) for version in plain["block"])
    if not set(block) <= {4, 6}:
        raise ValueError("no such IP version")
    return Held(tuple(entries), block)


def conn_of(held: str) -> str:
    """The conn of ipsec.conf that is guarded under a name: without instance, pair of subnets, or line of a group."""
    return re.split(r"[\[/#]", held.removeprefix(MANUAL))[0]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a predecessor left, and a line for the log for each line of it that made no sense."""

    held: dict[str, Held]
    complaints: tuple[str, ...]


def read(path: Path) -> Recovered:
    """Read a journal; a missing one is an empty one. A line cut short by a crash is skipped."""
    held: dict[str, Held] = {}
    complaints: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return Recovered({}, ())
    except OSError as why:
        return Recovered({}, (f"{path}: {why.strerror}; starting without what it may have said",))
    for number, line in enumerate(lines, 1):
        try:
            plain = json.loads(line)
            name = plain["connection"]
            if not isinstance(name, str):
                raise TypeError("no name")
            if plain.get("gone"):
                held.pop(name, None)
            else:
                held[name] = from_plain(plain)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            complaints.append(f"{path}:{number}: not a guard entry, ignored")
    return Recovered(held, tuple(complaints))


class Journal:
    """The file, open for appending. With `path` None nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._fd = -1
        self._lines = 0

    def rewrite(self, held: dict[str, Held]) -> None:
        """Write everything afresh, so that a crash leaves either the old file or the new one."""
        if self.path is None:
            return
        new = self.path.with_name(self.path.name + ".new")
        text = "".join(_line(name, one) for name, one in held.items())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(fd, "w", encoding="utf-8", closefd=False) as file:
                file.write(text)
            os.replace(new, self.path)
        except OSError as why:
            raise HostError(f"{self.path}: cannot write what is guarded: {why.strerror}") from None
        self.close()
        self._fd, self._lines = fd, len(held)

    def note(self, name: str, one: Held | None, held: dict[str, Held]) -> None:
        """Append one connection's state; `held` is everything, for when the file is written afresh."""
        if self.path is None:
            return
        if self._fd < 0 or self._lines > SLACK + 2 * len(held):
            self.rewrite(held)
            return
        try:
            os.lseek(self._fd, 0, os.SEEK_END)
            os.write(self._fd, _line(name, one).encode())
        except OSError as why:
            raise HostError(f"{self.path}: cannot write what is guarded: {why.strerror}") from None
        self._lines += 1

    def forget(self) -> None:
        """Remove the file: nothing is guarded any more."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the descriptor; the file stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _line(name: str, one: Held | None) -> str:
    plain = {"connection": name, **({"gone": True} if one is None else to_plain(one))}
    return json.dumps(plain, separators=(",", ":")) + "\n"
