# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec setup reload`: have a running pluto follow ipsec.conf, conn by conn, all or nothing for each.

A conn that says what it said keeps its SAs. One that has an error now stays as it was, and so does one that the file
has no more while it is in use: a file that is half written takes nothing down.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from openswan.base.log import Rc
from openswan.cli.talk import exit_status, request
from openswan.config.load import Loaded
from openswan.config.plain import connection_to_plain
from openswan.host.guard.journal import conn_of
from openswan.policy.connection import Startup

PATIENCE = 60.0
"""Seconds for one answer."""
Say = Callable[[str], None]


def follow(loaded: Loaded, say: Say) -> bool:
    """Bring the daemon into line with a configuration; False when part of it could not be followed.

    `say` gets a line for whatever somebody should know. HostError when there is no daemon to talk to.
    """
    known = {each["name"] for each in json.loads(_answer("status"))["connections"]}
    good = _reread(say)
    counted: Counter[str] = Counter()
    for each in loaded.connections:
        # auto=ignore: only what somebody has added by hand.
        if each.startup is not Startup.IGNORE or each.name in known:
            counted[_renew(connection_to_plain(each), each.name in known, say)] += 1
    # All of leftsubnets= and the like share what is wrong with their conn.
    broken = {name for name in known if conn_of(name) in loaded.unusable}
    for name in sorted(loaded.unusable):
        for complaint in loaded.about(name):
            say(str(complaint))
    for name in sorted(broken):
        say(f'conn "{name}" stays as it was')
    names = sorted(broken.union(each.name for each in loaded.connections))
    for _, name in request("retain", timeout=PATIENCE, names=names):
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


def _compare(loaded: Loaded, say: Say) -> None:
    """config setup is read when pluto starts."""
    before, now = json.loads(_answer("setup")), dict(loaded.setup.values)
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        say(f"config setup: what has changed ({', '.join(changed)}) is for the next ipsec setup restart")
