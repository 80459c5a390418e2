# SPDX-License-Identifier: GPL-2.0-or-later
"""Long work says on a terminal what it is about and for how long; elsewhere it is silent."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

PATIENCE = 0.5
"""Seconds until something is shown: most of the time the work is done by then."""
CLEAR = "\r\033[K"


@contextmanager
def working(text: str, stream: TextIO | None = None) -> Iterator[None]:
    """While the body runs, `TEXT ... N s` stands on standard error (or `stream`), and is gone afterwards."""
    terminal = stream or sys.stderr
    if not terminal.isatty():
        yield
        return
    begun, done = time.monotonic(), threading.Event()
    shown = False

    def tell() -> None:
        nonlocal shown
        while not done.wait(PATIENCE):
            shown = True
            print(f"{CLEAR}{text} ... {time.monotonic() - begun:.0f} s", end="", file=terminal, flush=True)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if shown:
            print(CLEAR, end="", file=terminal, flush=True)
