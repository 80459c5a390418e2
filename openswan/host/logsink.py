# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the daemon's log lines go: systemd's journal or syslog (authpriv, `pluto[pid]`), a file, or standard error."""

from __future__ import annotations

import os
import re
import socket
import syslog
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

from openswan.base.errors import HostError
from openswan.base.log import DEBUG, parse_priority
from openswan.host.clock import stamp

JOURNAL = Path("/run/systemd/journal/socket")
IDENTIFIER = "pluto"
CONNECTION = re.compile(r'"([^"]+)"')
"""What a line about a connection begins with."""


class Sink(Protocol):
    """Takes one line, whether it is serious, and its event code (openswan.engine.eventcodes); empty: it has none."""

    def __call__(self, text: str, serious: bool, event: str = "") -> None:
        """Never raises: a log that cannot be written stops nobody."""


UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")
LONGEST = 2048


def clean(text: str) -> str:
    """One printable line: names from the network must not forge others or drive a terminal."""
    return UNPRINTABLE.sub(lambda found: f"\\{ord(found[0]):03o}", text)[:LONGEST]


def to_syslog() -> Sink:
    """Lines to syslog, facility authpriv."""
    syslog.openlog(IDENTIFIER, syslog.LOG_PID, syslog.LOG_AUTHPRIV)

    def sink(text: str, serious: bool, event: str = "") -> None:
        syslog.syslog(priority(serious, event), clean(text))

    return sink


def to_syslog_as(tag: str, where: str, text: str) -> None:
    """One line of a command to syslog, at `facility.level`; ConfigError when there is no such thing."""
    facility, level = parse_priority(where)
    syslog.openlog(tag, 0, facility << 3)
    syslog.syslog(level, clean(text))


def priority(serious: bool, event: str = "") -> int:
    """Of syslog."""
    if event == DEBUG:
        return syslog.LOG_DEBUG
    return syslog.LOG_ERR if serious else syslog.LOG_NOTICE


def journal_entry(text: str, serious: bool, event: str) -> bytes:
    """A line in the native protocol of systemd's journal: FIELD=VALUE, one a line (systemd's JOURNAL_NATIVE_PROTOCOL).

    A line about a connection has its name in OPENSWAN_CONNECTION, one with an event code that in OPENSWAN_EVENT.
    """
    line = clean(text)
    about = CONNECTION.match(line)
    fields = {
        "MESSAGE": line,
        "PRIORITY": str(priority(serious, event)),
        "SYSLOG_FACILITY": str(syslog.LOG_AUTHPRIV >> 3),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "SYSLOG_PID": str(os.getpid()),
        "OPENSWAN_EVENT": event,
        "OPENSWAN_CONNECTION": about[1] if about else "",
    }
    return "".join(f"{name}={value}\n" for name, value in fields.items() if value).encode(errors="replace")


def to_journal(path: Path = JOURNAL) -> Sink:
    """Lines with their fields to systemd's journal; what it does not take goes to syslog."""
    otherwise = to_syslog()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def sink(text: str, serious: bool, event: str = "") -> None:
        try:
            sock.sendto(journal_entry(text, serious, event), str(path))
        except OSError:
            otherwise(text, serious, event)

    return sink


def to_descriptor(fd: int, stamped: bool = True) -> Sink:
    """Lines with pid, and date if `stamped`, to an open descriptor; a full disk loses lines, never the daemon."""

    def sink(text: str, serious: bool, event: str = "") -> None:
        when = f"{stamp()} " if stamped else ""
        try:
            os.write(fd, f"{when}pluto[{os.getpid()}]: {clean(text)}\n".encode(errors="replace"))
        except OSError:
            pass

    return sink


def to_file(path: Path, append: bool = True, stamped: bool = True) -> Sink:
    """Lines at the end of a file made with mode 0600, or of an emptied one; HostError when it cannot be opened."""
    anew = 0 if append else os.O_TRUNC
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | anew, 0o600)
    except OSError as why:
        raise HostError(f"cannot write the log to {path}: {why.strerror}") from None
    return to_descriptor(fd, stamped)


ADDRESS = re.compile(
    r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w]|\.[0-9])"
    r"|(?<![\w:.])[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?<!\.)(?!\w)"
)
"""What may be an IP address."""


def without_addresses(sink: Sink) -> Sink:
    """logip=no: `<address>` in place of each."""

    def hidden(found: re.Match[str]) -> str:
        for address in (found[0], found[0].removesuffix(":")):  # which may be the sentence's
            with suppress(ValueError):
                ip_address(address)
                return "<address>" + found[0][len(address) :]
        return found[0]

    def discreet(text: str, serious: bool, event: str = "") -> None:
        sink(ADDRESS.sub(hidden, text), serious, event)

    return discreet
