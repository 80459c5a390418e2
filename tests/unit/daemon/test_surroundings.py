# SPDX-License-Identifier: GPL-2.0-or-later
"""Where nets live is told once, and a plan spares those behind this host."""

from __future__ import annotations

from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.daemon.surroundings import Surroundings
from openswan.engine.effects import Intercept
from openswan.engine.events import GuardSeen, InterceptionSeen, RoutesSeen

LAN = (ip_network("10.1.0.0/24"), "lan")


def made(homes: list[Any] | None, spare: Any = lambda nets: None) -> tuple[Surroundings, list[Any]]:
    heard: list[Any] = []
    seen = GuardSeen("nft", {}, None, {})
    guard = SimpleNamespace(
        seen=lambda: seen, settle=lambda known: heard.append(("guard", known)), follow_devices=lambda: None
    )
    routes = SimpleNamespace(homes=lambda: homes, spare=spare)
    interceptor = SimpleNamespace(set=heard.append, how="by NFQUEUE", counters=lambda: {"held": 1})
    log = lambda line, serious: heard.append(line)  # noqa: E731
    return Surroundings(guard, routes, interceptor, heard.append, log), heard  # type: ignore[arg-type]


def refuse(nets: Any) -> None:
    raise HostError("no")


def test_a_change_is_told_once() -> None:
    homes = [LAN]
    it, heard = made(homes)
    it.look()
    it.look()
    assert heard == [("guard", (LAN,)), RoutesSeen((LAN,))]
    homes.clear()
    it.look()
    assert heard[2:] == [("guard", ()), RoutesSeen(())]


def test_where_the_guard_could_not_follow_it_is_told_again() -> None:
    it, heard = made([LAN])
    settle, it._guard.settle = it._guard.settle, refuse  # type: ignore[method-assign]
    with pytest.raises(HostError):
        it.look()
    assert heard == []
    it._guard.settle = settle  # type: ignore[method-assign]
    it.look()
    assert heard == [("guard", (LAN,)), RoutesSeen((LAN,))]


def test_too_many_routes_take_nothing_back() -> None:
    it, heard = made([LAN])
    it.look()
    known, it._routes.homes = it._routes.homes, lambda: None  # type: ignore[method-assign]
    heard.clear()
    it.look()
    it.look()
    assert heard == [("guard", ()), "more routes than can tell who is behind this host: who is known to be stays"]
    it._routes.homes = known  # type: ignore[method-assign]
    heard.clear()
    it.look()
    assert heard == [("guard", (LAN,)), RoutesSeen((LAN,))], "told again"


def test_the_status_hears_what_is_stopped() -> None:
    it, _ = made([])
    assert list(it.stopped()) == [GuardSeen("nft", {}, None, {}), InterceptionSeen("by NFQUEUE", {"held": 1})]


def test_packets_are_stopped_though_routes_cannot_be_had() -> None:
    spared: list[Any] = []
    plan = Intercept(inside=(LAN[0],))
    it, heard = made([], spared.append)
    it.stop_packets(plan)
    assert spared == [(LAN[0],)] and heard == [plan]

    it, heard = made([], refuse)
    it.stop_packets(plan)
    assert heard == ["nets behind this host: no", plan]
