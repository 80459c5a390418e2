# SPDX-License-Identifier: GPL-2.0-or-later
"""Log lines: one event, one printable line."""

from __future__ import annotations

import os
import socket
import syslog
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host.logsink import LONGEST, clean, to_file, to_journal, to_syslog_as, without_addresses


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
    sink("| of no use to most", False, "debug")
    assert missed == [(syslog.LOG_ERR, "nobody is there"), (syslog.LOG_DEBUG, "| of no use to most")]


def test_a_file_can_begin_anew_and_do_without_times(tmp_path: Path) -> None:
    path = tmp_path / "pluto.log"
    to_file(path)("old", False)
    to_file(path, append=False, stamped=False)("new", False)
    assert path.read_text() == f"pluto[{os.getpid()}]: new\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("packet from 192.0.2.1:500: initial", "packet from <address>:500: initial"),
        ('"net"[2] 2001:db8::1 #3: up', '"net"[2] <address> #3: up'),
        ("[2001:db8::7]:4500 and ::1, fe80::1%eth0", "[<address>]:4500 and <address>, <address>%eth0"),
        ("2001:db8::1: gone, fd00::: as well, as ::1:", "<address>: gone, <address>: as well, as <address>:"),
        ("10.1.0.0/16===192.0.2.1<192.0.2.1>", "<address>/16===<address><<address>>"),
        (
            "at 12:03:55 of 2.6.41, 0x12345678, c0:ff:ee, a::b::c",
            "at 12:03:55 of 2.6.41, 0x12345678, c0:ff:ee, a::b::c",
        ),
    ],
)
def test_a_log_without_addresses(line: str, told: str) -> None:
    found: list[str] = []
    without_addresses(lambda text, serious, event="": found.append(text))(line, False)
    assert found == [told]


def test_a_line_of_a_command_at_a_priority_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *args: told.append(args))
    monkeypatch.setattr(syslog, "syslog", lambda *args: told.append(args))
    to_syslog_as("ipsec_setup", "local2.info", "up\x1b")
    assert told == [("ipsec_setup", 0, syslog.LOG_LOCAL2), (syslog.LOG_INFO, "up\\033")]
