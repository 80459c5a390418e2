# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeping a daemon alive: a parent that waits for it and, when it has crashed, forks the next one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection

WAIT_FIRST, WAIT_MOST = 1.0, 60.0
"""Seconds before the next one is begun; the pause doubles while they die young."""
YOUNG = 60.0
"""Seconds of life before which one has died young."""
ON_PURPOSE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Whoever sends these wants it gone."""


def respawn(
    first: Callable[[], None],
    log: Callable[[str], None],
    final: Collection[int],
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Fork; returns in the child alone: False in the first one, True in those that follow a crash.

    The parent calls `first` once the first child is there, and ends with its child's status when that ended well, with
    one of the `final` statuses, or by a signal somebody sends on purpose.
    """
    again, wait = False, WAIT_FIRST
    while True:
        begun = time.monotonic()
        child = os.fork()
        if not child:
            return again
        if not again:
            first()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0 or code in final or -code in ON_PURPOSE:
            os._exit(code if code >= 0 else 128 - code)
        wait = WAIT_FIRST if time.monotonic() - begun > YOUNG else wait
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with error status {code}"
        log(f"!pluto failure!:  {how}; restarting in {wait:g} s (plutorestartoncrash=yes)")
        pause(wait)
        again, wait = True, min(wait * 2, WAIT_MOST)
