# SPDX-License-Identifier: GPL-2.0-or-later
"""What ipsec.conf asks for when pluto starts: add everything, listen, route, start, in that order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from openswan.base.errors import HostError
from openswan.engine.events import WhackRequest
from openswan.host.ctlsock import ask
from openswan.host.process import Beside, beside
from openswan.policy.connection import Connection, Startup
from openswan.wire.whack import encode_request

SELF = 0
"""The whack client number of the daemon itself: its replies go nowhere, the log has the same lines."""


def requests(connections: Iterable[Connection], starting: bool = True) -> Iterator[WhackRequest]:
    """The requests that bring everything up. Starting does not wait, so a dead peer or DNS server delays nobody.

    `starting` False: what is to come up waits for its turn (start_in_turn).
    """
    wanted = [each for each in connections if each.startup is not Startup.IGNORE]
    for each in wanted:
        yield WhackRequest(SELF, "add", {"connection": each})
    yield WhackRequest(SELF, "listen", {})
    for each in wanted:
        if each.startup is Startup.ROUTE:
            yield WhackRequest(SELF, "route", {"name": each.name})
    for each in wanted if starting else ():
        if each.startup is Startup.START:
            yield WhackRequest(SELF, "initiate", {"name": each.name, "asynchronous": True})


def start_in_turn(connections: Iterable[Connection], control: Path) -> Beside:
    """plutowait=: conns come up one after the other, each when whack would say how the one before has fared."""
    names = [each.name for each in connections if each.startup is Startup.START]
    return beside(partial(_in_turn, names, control))


def _in_turn(names: Iterable[str], control: Path) -> None:
    for name in names:
        try:
            for _ in ask(encode_request("initiate", name=name), control, None):
                pass
        except HostError:
            return  # pluto ends
