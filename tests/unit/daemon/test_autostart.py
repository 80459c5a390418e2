# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of events at start."""

from __future__ import annotations

from ipaddress import ip_address

from openswan.daemon.autostart import requests
from openswan.policy.connection import Connection, End, Host, HostKind, Startup


def conn(name: str, startup: Startup) -> Connection:
    left, right = (End(Host(HostKind.ADDRESS, ip_address(address))) for address in ("192.0.2.1", "192.0.2.2"))
    return Connection(name, left, right, startup=startup)


def test_add_everything_then_listen_then_route_then_start() -> None:
    conns = [
        conn("s1", Startup.START),
        conn("ignored", Startup.IGNORE),
        conn("r1", Startup.ROUTE),
        conn("a1", Startup.ADD),
        conn("s2", Startup.START),
    ]
    asked = list(requests(conns))
    assert all(each.client == 0 for each in asked)
    told = [(each.verb, each.args.get("name")) for each in asked if each.verb != "add"]
    assert told == [("listen", None), ("route", "r1"), ("initiate", "s1"), ("initiate", "s2")]
    added = [each.args["connection"] for each in asked[:4]]
    assert added == [conns[0], conns[2], conns[3], conns[4]]
    assert asked[-1].args["asynchronous"] is True


def test_nothing_to_load_still_listens() -> None:
    assert [each.verb for each in requests([])] == ["listen"]
