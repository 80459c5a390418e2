# SPDX-License-Identifier: GPL-2.0-or-later
"""Talking to pluto from a command: ask, print the numbered lines, and turn them into an exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from getpass import getpass
from pathlib import Path
from typing import Any

from openswan.base import paths
from openswan.base.errors import HostError
from openswan.base.log import QUIET, Rc
from openswan.host.ctlsock import ask
from openswan.wire.whack import encode_request

PROMPTS = (Rc.ENTERSECRET, Rc.XAUTHPROMPT)
"""Codes of questions to the operator; answered or not, they decide nothing."""


def socket_path(ctlbase: str = "") -> Path:
    """The control socket: `CTLBASE.ctl`, or the one in the run-time directory."""
    return Path(f"{ctlbase}.ctl") if ctlbase else paths.control_socket()


def request(
    verb: str, /, ctlbase: str = "", timeout: float | None = None, **arguments: Any
) -> Iterator[tuple[int, str]]:
    """The reply lines of one request; HostError in whack's words when there is no pluto to ask."""
    return ask(encode_request(verb, **arguments), socket_path(ctlbase), timeout)


def exit_status(status: int, code: int) -> int:
    """What an exit status becomes after a line of this code: the last significant line decides."""
    if code in QUIET or code in PROMPTS:
        return status
    return 0 if code == Rc.SUCCESS else code & 0xFF


def show(
    replies: Iterable[tuple[int, str]], *, hide_log: bool = False, plain: bool = False, asynchronous: bool = False
) -> int:
    """Print reply lines as they come and return the exit status.

    `hide_log` leaves out the copies of log lines (002), `plain` the code in front, `asynchronous` makes the status 0.
    """
    status = 0
    for code, text in replies:
        if not (hide_log and code == Rc.LOG):
            print(text if plain else f"{code:03d} {text}", flush=True)
        status = exit_status(status, code)
    return 0 if asynchronous else status


def converse(
    verb: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    ctlbase: str = "",
    hide_log: bool = False,
    asynchronous: bool = False,
) -> int:
    """Ask, print, return the exit status; whack's own problems go to stderr with status 1."""
    try:
        replies = ask(encode_request(verb, **(arguments or {})), socket_path(ctlbase))
        return show(replies, hide_log=hide_log, asynchronous=asynchronous)
    except HostError as why:
        print(why, file=sys.stderr)
        return 1


def initiate(
    arguments: Mapping[str, Any], *, ctlbase: str = "", hide_log: bool = False, asynchronous: bool = False
) -> int:
    """The verb initiate; whoever sits at a terminal is asked for the name and the password that XAUTH lacks."""
    known = dict(arguments)
    if not sys.stdin.isatty() or "xauthpass" in known:
        return converse("initiate", known, ctlbase=ctlbase, hide_log=hide_log, asynchronous=asynchronous)
    wanted: list[int] = []

    def seen(replies: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        for code, text in replies:
            wanted.extend([code] if code in PROMPTS else [])
            yield code, text

    try:
        first = ask(encode_request("initiate", **known, prompt=True), socket_path(ctlbase))
        status = show(seen(first), hide_log=hide_log, asynchronous=asynchronous)
    except HostError as why:
        print(why, file=sys.stderr)
        return 1
    if not wanted:
        return status
    if Rc.XAUTHPROMPT in wanted:
        known["xauthname"] = input("Name: ")
    known["xauthpass"] = getpass("Password: ")
    return converse("initiate", known, ctlbase=ctlbase, hide_log=hide_log, asynchronous=asynchronous)


def table(verb: str, argv: list[str], usage: str, **arguments: Any) -> int:
    """A command that prints one of the packet engine's tables, as text or with --json; exit 1 without a daemon."""
    if "--help" in argv:
        print(usage)
        return 0
    unknown = [word for word in argv if word != "--json"]
    if unknown:
        print(f"{usage}\nipsec {verb}: `{unknown[0]}' not understood", file=sys.stderr)
        return 1
    try:
        return show(request(verb, timeout=30.0, json="--json" in argv, **arguments), plain=True)
    except HostError as why:
        print(f"ipsec {verb}: {why}", file=sys.stderr)
        return 1
