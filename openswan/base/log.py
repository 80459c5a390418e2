# SPDX-License-Identifier: GPL-2.0-or-later
"""Log text of the classic shape: connection-prefixed lines, and the reply codes that travel with them."""

from __future__ import annotations

from enum import IntEnum

from openswan.base.errors import ConfigError


class Rc(IntEnum):
    """Three-digit code in front of each line whack prints; the last significant one is its exit status."""

    COMMENT = 0
    WHACK_PROBLEM = 1
    LOG = 2
    LOG_SERIOUS = 3
    SUCCESS = 4
    RETRANSMISSION = 10
    DUPNAME = 20
    UNKNOWN_NAME = 21
    ORIENT = 22
    CLASH = 23
    DEAF = 24
    ROUTE = 25
    RTBUSY = 26
    BADID = 27
    NOKEY = 28
    NOPEERIP = 29
    INITSHUNT = 30
    WILDCARD = 31
    NORETRANSMISSION = 31
    INTERNALERR = 32
    OPPOFAILURE = 33
    NOALGO = 34
    CRYPTOFAILED = 35
    FATAL = 37
    AUTHFAILED = 38
    ENTERSECRET = 40
    XAUTHPROMPT = 41
    NEW_STATE = 100
    NOTIFICATION = 200


DEBUG = "debug"
"""The event code of debugging lines."""
QUIET = (Rc.COMMENT, Rc.LOG)
"""Codes that do not change whack's exit status."""


def prefix(connection: str = "", serial: int = 0) -> str:
    """`"name" #12: `, `"name": ` or nothing."""
    if not connection:
        return ""
    return f'"{connection}" #{serial}: ' if serial else f'"{connection}": '


FACILITIES = {
    name: number
    for number, names in enumerate("kern user mail daemon auth,security syslog lpr news uucp cron authpriv ftp".split())
    for name in names.split(",")
} | {f"local{number}": 16 + number for number in range(8)}
LEVELS = {
    name: number
    for number, names in enumerate("emerg,panic alert crit err,error warning,warn notice info debug".split())
    for name in names.split(",")
}
"""Syslog's, as syslog.conf(5) spells them (RFC 5424 6.2.1)."""


def parse_priority(text: str) -> tuple[int, int]:
    """The numbers of facility and level in `facility.level`; ConfigError when it is none."""
    facility, _, level = text.lower().partition(".")
    if facility not in FACILITIES or level not in LEVELS:
        raise ConfigError(f"'{text[:40]}' is no facility and priority of syslog: daemon.error is one")
    return FACILITIES[facility], LEVELS[level]
