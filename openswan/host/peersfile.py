# SPDX-License-Identifier: GPL-2.0-or-later
"""The file that has what is remembered of peers, in the run directory, for the next daemon; see policy.known."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from openswan.base.errors import ConfigError
from openswan.engine.effects import KeepPeers
from openswan.engine.events import PeersRecalled
from openswan.policy.known import MOST_OCTETS, parse_known, text_of

NAME = "oe-peers"


class PeersFile:
    """That of one gateway; what goes wrong with it is one line of the log and nothing else."""

    def __init__(self, directory: Path, log: Callable[[str, bool], None]) -> None:
        self.path = directory / NAME
        self._log = log

    def recall(self) -> PeersRecalled:
        """What is in it; nothing where there is none. One that is wrong anywhere is not used."""
        try:
            return PeersRecalled(parse_known(_read(self.path)))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, ConfigError) as why:
            reason = why.strerror if isinstance(why, OSError) else str(why)
            self._log(f"{self.path} is not used, what was known of peers is forgotten: {reason}", True)
        return PeersRecalled(())

    def keep(self, effect: KeepPeers) -> None:
        """Write it, whole or not at all."""
        fresh = self.path.with_name(f".{NAME}.{os.getpid()}")
        try:
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text_of(effect.known))
            os.rename(fresh, self.path)
        except OSError as why:
            self._log(f"{self.path} cannot be written: {why.strerror}", True)


def _read(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
            raise ValueError("others may write it")
        octets = file.read(MOST_OCTETS + 1)
    if len(octets) > MOST_OCTETS:
        raise ValueError(f"it has more than {MOST_OCTETS} octets")
    return octets.decode("ascii")
