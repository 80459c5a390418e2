# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec setup reload`: have a running pluto follow ipsec.conf, conn by conn, all or nothing for each.

A conn that says what it said keeps its SAs. One that has an error now stays as it was, and so does one that the file
has no more while it is in use: a file that is half written takes nothing down. Pairs of leftsubnets= and rightsubnets=
are followed one by one, by what they protect; those that a conn without an error makes no more are taken down.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from openswan.base.log import Rc
from openswan.cli import pairs
from openswan.cli.loading import renumber_conn
from openswan.cli.pairs import PATIENCE
from openswan.cli.talk import exit_status, request
from openswan.config.load import Loaded
from openswan.config.plain import connection_to_plain
from openswan.host.guard.journal import conn_of
from openswan.policy.connection import Connection, Startup
from openswan.policy.pairnames import Clients, base_of, clients_of

Say = Callable[[str], None]


def follow(loaded: Loaded, say: Say) -> bool:
    """Bring the daemon into line with a configuration; False when part of it could not be followed.

    `say` gets a line for whatever somebody should know. HostError when there is no daemon to talk to.
    """
    known = {each["name"] for each in json.loads(_answer("status"))["connections"]}
    good = _reread(say)
    counted: Counter[str] = Counter()
    conns: dict[str, list[Connection]] = {}
    for each in loaded.connections:
        conns.setdefault(base_of(each.name), []).append(each)
    before, names = pairs.running(), set[str]()
    for base, made in conns.items():
        names |= _follow_conn(base, made, known, before, counted, say)
    # All of leftsubnets= and the like share what is wrong with their conn.
    broken = {name for name in known if conn_of(name) in loaded.unusable}
    for name in sorted(loaded.unusable):
        for complaint in loaded.about(name):
            say(str(complaint))
    for name in sorted(broken):
        say(f'conn "{name}" stays as it was')
    for _, name in request("retain", timeout=PATIENCE, names=sorted(broken | names)):
        say(f'conn "{name}" is in ipsec.conf no more but in use: ipsec auto --delete {name} takes it down')
    _compare(loaded, say)
    say(", ".join(f"{counted[word]} {word}" for word in ("added", "replaced", "unchanged", "refused")))
    return good and not counted["refused"] and not loaded.failed


def _answer(verb: str) -> str:
    return "".join(text for _, text in request(verb, timeout=PATIENCE, json=True))


def _reread(say: Say) -> bool:
    """Secrets, certificates and files of policy groups; what is wrong in there leaves the rest of it in use."""
    status = 0
    for code, text in request("rereadall", timeout=PATIENCE):
        status = exit_status(status, code)
        if code not in (Rc.COMMENT, Rc.LOG):
            say(text)
    return not status


def _renew(plain: dict[str, object], known: bool, say: Say) -> str:
    """Give one conn to the daemon: added, replaced, unchanged or refused."""
    outcome = "unchanged"
    for code, text in request("add", timeout=PATIENCE, connection=plain, renew=True):
        if code == Rc.LOG:
            outcome = "replaced" if known else "added"
        elif code != Rc.COMMENT:
            say(text)
            outcome = "refused"
    return outcome


def _follow_conn(
    base: str, made: list[Connection], known: set[str], before: dict[str, Clients], counted: Counter[str], say: Say
) -> set[str]:
    """One conn of the file, or all that its lists of subnets make of it; the names that are its own."""
    mine = {name for name in before if base_of(name) == base} | ({base} & known)
    parts = renumber_conn(made, before)
    # auto=ignore: only what somebody has added by hand.
    if parts[0].startup is not Startup.IGNORE or mine:
        if mine <= {base} and parts[0].name == base:
            counted[_renew(connection_to_plain(parts[0]), base in known, say)] += 1
        elif mine - {base} and not any(before.get(each.name) == clients_of(each) for each in parts):
            # A file that is cut off before its lists, or between them, has other pairs altogether.
            say(f'conn "{base}" has none of its pairs any more, they stay: ipsec auto --replace {base} takes them down')
            counted["refused"] += len(parts)
        else:
            _renew_pairs(parts, before, mine, counted, say)
    return mine | {each.name for each in parts}


def _renew_pairs(
    parts: list[Connection], before: dict[str, Clients], mine: set[str], counted: Counter[str], say: Say
) -> None:
    """Give the pairs of one conn to the daemon, all or none. What it makes no more is taken down."""
    plains = [connection_to_plain(each) for each in parts]

    def send(verb: str, arguments: dict[str, Any]) -> int:
        if verb == "add":
            plain = arguments["connection"]
            outcome = _renew(plain, plain["name"] in mine, say)
            counted[outcome] += 1
            return int(outcome == "refused")
        gone = mine - set(arguments["names"])
        for name in sorted(gone):
            say(f'conn "{name}" ({" === ".join(before.get(name, ("", "")))}) is no more, it is taken down')
        for _ in request(verb, timeout=PATIENCE, **arguments):
            pass
        return 0

    _, refusal = pairs.replace(plains, mine, send)
    if refusal:
        say(refusal)
        counted["refused"] += len(plains)


def _compare(loaded: Loaded, say: Say) -> None:
    """config setup is read when pluto starts."""
    before, now = json.loads(_answer("setup")), dict(loaded.setup.values)
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        say(f"config setup: what has changed ({', '.join(changed)}) is for the next ipsec setup restart")
