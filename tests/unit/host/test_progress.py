# SPDX-License-Identifier: GPL-2.0-or-later
"""What long work shows, on a terminal and elsewhere."""

from __future__ import annotations

import os
import pty
import time
from io import StringIO

import pytest

from openswan.host import progress
from openswan.host.progress import working


def test_on_a_terminal_it_says_what_it_does_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.05)
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        with pytest.raises(ValueError, match="no prime"), working("looking for primes", terminal):
            time.sleep(0.3)
            raise ValueError("no prime")
        said = ""
        # A terminal hands over what it has when it gets round to it.
        while "looking" not in said or not said.endswith("\r\033[K"):
            said += os.read(master, 4096).decode()
        assert said.startswith("\r\033[Klooking for primes ... 0 s\r\033[K")
        with working("nothing much", terminal):
            pass
        terminal.write("end")
        terminal.flush()
        assert os.read(master, 4096) == b"end", "short work shows nothing"
    os.close(master)


def test_elsewhere_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    stream = StringIO()
    with working("looking", stream):
        time.sleep(0.05)
    assert stream.getvalue() == ""
