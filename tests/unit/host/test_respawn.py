# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeping a daemon alive."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from openswan.host.respawn import respawn


def lives(tmp_path: Path, *ends: int) -> tuple[int, list[str]]:
    """Each life ends so: an exit status, or a signal if negative. The status of the whole, and what was written."""
    log = tmp_path / "log"

    def note(text: str) -> None:
        with log.open("a") as file:
            file.write(text + "\n")

    keeper = os.fork()
    if not keeper:
        again = respawn(lambda: note("first"), note, (3, 10), lambda seconds: None)
        number = sum(line.startswith("life") for line in log.read_text().splitlines()) if log.exists() else 0
        note(f"life {number} {'again' if again else 'anew'}")
        end = ends[min(number, len(ends) - 1)]
        if end < 0:
            os.kill(os.getpid(), -end)
        os._exit(end)
    status = os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    lines = log.read_text().splitlines()
    lines.remove("first")
    return status, lines


def test_a_crash_is_followed_by_another_life(tmp_path: Path) -> None:
    status, lines = lives(tmp_path, -signal.SIGXCPU, 1, 0)
    assert status == 0
    assert lines == [
        "life 0 anew",
        "!pluto failure!:  killed by SIGXCPU; restarting in 1 s (plutorestartoncrash=yes)",
        "life 1 again",
        "!pluto failure!:  exited with error status 1; restarting in 2 s (plutorestartoncrash=yes)",
        "life 2 again",
    ]


@pytest.mark.parametrize(
    ("end", "status"),
    [(0, 0), (3, 3), (10, 10), (-signal.SIGKILL, 137), (-signal.SIGTERM, 143)],
    ids=["well", "configuration", "running", "KILL", "TERM"],
)
def test_what_is_meant_to_end_it_does(tmp_path: Path, end: int, status: int) -> None:
    assert lives(tmp_path, end) == (status, ["life 0 anew"])
