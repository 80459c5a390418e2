# SPDX-License-Identifier: GPL-2.0-or-later
"""Log lines: one event, one printable line."""

from __future__ import annotations

import os
import socket
import syslog
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host.logsink import LONGEST, clean, to_file, to_journal


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


def test_the_journal_gets_fields_and_syslog_what_it_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A systemd that really runs is asked by tests/deb."""
    missed: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "syslog", lambda level, text: missed.append((level, text)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "socket"))
        sink = to_journal(tmp_path / "socket")
        sink('"net"[2] 192.0.2.9 #3: up\nPRIORITY=0', False, "child-established")
        sink("listening", True)
        told = [dict(line.split("=", 1) for line in journal.recv(4096).decode().splitlines()) for _ in range(2)]
    common = {"SYSLOG_FACILITY": "10", "SYSLOG_IDENTIFIER": "pluto", "SYSLOG_PID": str(os.getpid())}
    assert told[0] == common | {
        "MESSAGE": '"net"[2] 192.0.2.9 #3: up\\012PRIORITY=0',
        "PRIORITY": "5",
        "OPENSWAN_EVENT": "child-established",
        "OPENSWAN_CONNECTION": "net",
    }
    assert told[1] == common | {"MESSAGE": "listening", "PRIORITY": "3"} and not missed
    sink("nobody is there", True)
    assert missed == [(syslog.LOG_ERR, "nobody is there")]
