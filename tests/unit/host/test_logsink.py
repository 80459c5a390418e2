# SPDX-License-Identifier: GPL-2.0-or-later
"""Log lines: one event, one printable line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host.logsink import LONGEST, clean, to_file


def test_control_characters_from_the_network_become_escapes() -> None:
    assert clean("peer said \x1b[2J\nforged line\x9b") == "peer said \\033[2J\\012forged line\\233"
    assert len(clean("x" * (LONGEST * 2))) == LONGEST


def test_file_lines_carry_pid_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "pluto.log"
    sink = to_file(path)
    sink("one", False)
    to_file(path)("two\nthree", True)
    lines = path.read_text().splitlines()
    assert [line.partition(f" pluto[{os.getpid()}]: ")[2] for line in lines] == ["one", "two\\012three"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_unwritable_place_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot write the log to .*/absent/x\.log: No such file"):
        to_file(tmp_path / "absent" / "x.log")
