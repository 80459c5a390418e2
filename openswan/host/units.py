# SPDX-License-Identifier: GPL-2.0-or-later
"""systemd's part: where it runs and has our unit, pluto is its to start, in its sandbox and under its watchdog.

Not for a gateway with directories of its own, nor in another network namespace than systemd's: those are the caller's.
"""

from __future__ import annotations

import os
from pathlib import Path

from openswan.base import paths
from openswan.host import process

UNIT = "ipsec.service"
RUNNING = Path("/run/systemd/system")
"""There while systemd is the machine's init (sd_booted(3))."""
PATIENCE = 60.0


def manages() -> bool:
    """Is pluto systemd's to start, asked from here?"""
    if not RUNNING.is_dir() or any(os.environ.get(name) for name in (paths.CONFS_VARIABLE, paths.RUNDIR_VARIABLE)):
        return False
    try:
        if os.readlink("/proc/self/ns/net") != os.readlink("/proc/1/ns/net"):
            return False
    except OSError:
        return False  # who may not look may not start either
    status, said = process.command(["systemctl", "show", "--property=LoadState", "--value", UNIT], 10.0)
    return status == 0 and said.strip() == "loaded"


def start() -> tuple[int, str]:
    """Have it started; systemctl's exit status and words. It returns once pluto is ready, or has failed."""
    # Failures of before, a file that was wrong then, do not count against it.
    process.command(["systemctl", "reset-failed", UNIT], 10.0)
    return process.command(["systemctl", "start", UNIT], PATIENCE)


def stop() -> tuple[int, str]:
    """Have it stopped, and not started again by itself."""
    return process.command(["systemctl", "stop", UNIT], PATIENCE)
