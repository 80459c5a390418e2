# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of events at start."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.daemon.autostart import requests, start_in_turn
from openswan.policy.connection import Connection, End, Host, HostKind, Startup
from openswan.wire.whack import decode_request


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


def test_who_waits_for_his_turn_is_not_started_with_the_others() -> None:
    conns = [conn("s1", Startup.START), conn("r1", Startup.ROUTE)]
    assert [each.verb for each in requests(conns, False)] == ["add", "add", "listen", "route"]


def test_one_comes_up_after_the_other(tmp_path: Path) -> None:
    """Each is asked for when the answer about the one before has ended."""
    asked: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "pluto.ctl"))
        listener.listen()
        listener.settimeout(10)
        names = ("s1", "s2")
        thread = start_in_turn(
            [conn(n, Startup.START) for n in names] + [conn("a", Startup.ADD)], tmp_path / "pluto.ctl"
        )
        for _ in names:
            client, _ = listener.accept()
            with client:
                verb, args = decode_request(client.makefile("rb").readline())
                asked.append(f"{verb} {args['name']}")
                listener.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    listener.accept()
                listener.settimeout(10)
        thread.join(10)
    assert asked == ["initiate s1", "initiate s2"] and not thread.is_alive()
