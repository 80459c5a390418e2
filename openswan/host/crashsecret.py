# SPDX-License-Identifier: GPL-2.0-or-later
"""The secret of crash detection tokens, which has to survive what it is there for: restarts and reboots (RFC 6290)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from openswan.base.entropy import Rng

NAME = "crash-detection-secret"
OCTETS = 32


def read_or_make(directory: Path, rng: Rng) -> tuple[bytes, str]:
    """(secret, complaint): from a file in `directory` (ipsec.d) that only we may read, made if it is not there.

    When it cannot be kept the secret serves as long as this process lives, and the complaint says why.
    """
    path = directory / NAME
    try:
        return _read(path), ""
    except FileNotFoundError:
        secret = rng.octets(OCTETS)
        try:
            _write(path, secret)
        except OSError as why:
            return secret, f"{path} cannot be written ({why.strerror}): peers will not notice a reboot at once"
        return secret, ""
    except (OSError, ValueError) as why:
        reason = why.strerror if isinstance(why, OSError) else str(why)
        return rng.octets(OCTETS), f"{path} is not used ({reason}): remove it, and peers notice a reboot at once again"


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
            raise ValueError("others may read or write it")
        secret = file.read(OCTETS + 1)
    if len(secret) != OCTETS:
        raise ValueError(f"it does not have {OCTETS} octets")
    return secret


def _write(path: Path, secret: bytes) -> None:
    """Whole or not at all, and on the disk before any peer is told a token."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        os.rename(fresh, path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
