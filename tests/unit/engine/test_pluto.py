# SPDX-License-Identifier: GPL-2.0-or-later
"""The one door."""

from __future__ import annotations

import typing
from datetime import UTC
from ipaddress import ip_address

from openswan.base.address import Endpoint
from openswan.base.entropy import SeededRng
from openswan.engine.effects import Log, WhackDone, WhackLine
from openswan.engine.events import EngineEvent, SendFailed, TimerDue, UpdownDone, WhackRequest
from openswan.engine.pluto import Pluto, epoch


def test_every_event_has_a_handler() -> None:
    pluto = Pluto(SeededRng(1))
    assert set(typing.get_args(EngineEvent)) == set(pluto._handlers)


def test_effects_are_handed_over_once() -> None:
    pluto = Pluto(SeededRng(1))
    assert pluto.handle(WhackRequest(1, "nonsense", {}), 1.0) == [
        WhackLine(1, 1, "whack error: unknown request 'nonsense'"),
        WhackDone(1),
    ]
    assert pluto.handle(TimerDue(), 2.0) == []
    assert pluto.next_timer() is None


def test_time_never_goes_back() -> None:
    pluto = Pluto(SeededRng(1))
    pluto.handle(TimerDue(), 10.0)
    pluto.handle(TimerDue(), 5.0)
    assert pluto.core.now == 10.0


def test_network_errors_are_a_hint_and_limited() -> None:
    pluto = Pluto(SeededRng(1))
    here, there = (Endpoint(ip_address(a), 500) for a in ("192.0.2.1", "198.51.100.7"))
    why = "complainant 198.51.100.7: Connection refused [errno 111, origin ICMP type 3 code 3 (not authenticated)]"
    lines = [pluto.handle(SendFailed(here, there, why), 1.0) for _ in range(200)]
    logged = [effect for effects in lines for effect in effects]
    assert 0 < len(logged) < 50
    text = "ERROR: asynchronous network error report on 192.0.2.1 (sport=500) for message to 198.51.100.7 port 500, "
    assert all(isinstance(effect, Log) and effect.text == text + why for effect in logged)


def test_a_refusal_the_kernel_says_nothing_of_is_a_line_and_no_more() -> None:
    pluto = Pluto(SeededRng(1))
    here = Endpoint(ip_address("192.0.2.1"), 500)
    logged = [pluto.handle(SendFailed(here, None, "Connection refused"), 1.0) for _ in range(200)]
    text = "some IKE message we sent has been rejected with ECONNREFUSED (kernel supplied no details)"
    assert logged[0] == [Log(text, False, "network-error")] and 0 < len([one for one in logged if one]) < 50


def test_an_answer_nobody_waits_for_is_nothing() -> None:
    assert Pluto(SeededRng(1)).handle(UpdownDone(99, 1, ("x",)), 0.0) == []


def test_the_calendar_of_simulations() -> None:
    assert epoch(86400.0).isoformat() == "2026-01-02T00:00:00+00:00"
    assert epoch(0.0).tzinfo is UTC
