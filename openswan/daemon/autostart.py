# SPDX-License-Identifier: GPL-2.0-or-later
"""What ipsec.conf asks for when pluto starts: add everything, listen, route, start, in that order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from openswan.engine.events import WhackRequest
from openswan.policy.connection import Connection, Startup

SELF = 0
"""The whack client number of the daemon itself: its replies go nowhere, the log has the same lines."""


def requests(connections: Iterable[Connection]) -> Iterator[WhackRequest]:
    """The requests that bring everything up. Starting does not wait, so a dead peer or DNS server delays nobody."""
    wanted = [each for each in connections if each.startup is not Startup.IGNORE]
    for each in wanted:
        yield WhackRequest(SELF, "add", {"connection": each})
    yield WhackRequest(SELF, "listen", {})
    for each in wanted:
        if each.startup is Startup.ROUTE:
            yield WhackRequest(SELF, "route", {"name": each.name})
    for each in wanted:
        if each.startup is Startup.START:
            yield WhackRequest(SELF, "initiate", {"name": each.name, "asynchronous": True})
