# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec top`: one picture after another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.cli import top
from openswan.cli.metrics import State
from openswan.cli.top import dropped, lasting, picture, rows, short
from tests.unit.cli.test_metrics import ANSWERS


def state(octets: int = 700, drops: int = 3) -> State:
    sas = tuple({**row, "octets": octets} for row in ANSWERS["spi"])
    return State(ANSWERS["status"], sas, tuple(ANSWERS["eroute"]), (), {"engine": {"no_sa": drops}})


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (950, "950"), (12345, "12.3k"), (4e6, "4.0M"), (7e15, "7000.0T")]
)
def test_numbers(number: float, text: str) -> None:
    assert short(number) == text


def test_times() -> None:
    assert [lasting(seconds) for seconds in (45, 720, 18000, 3 * 86400)] == ["45s", "12m", "5h", "3d"]


def test_rows_of_what_is_up_or_wanted() -> None:
    [row] = rows(state(700), state(2700))
    assert (row.name, row.peer, row.state, row.octets, row.packets) == ("net", "192.0.2.2", "up", (2000, 2000), (7, 7))
    # With nothing before it, nothing is known of a rate.
    [row] = rows(State(), state())
    assert row.octets == (700, 700)


def test_drops_in_between() -> None:
    assert dropped(state(drops=3), state(drops=5)) == ["engine no_sa 2"]
    assert dropped(State(), state()) == [] and dropped(state(), state()) == []


def test_a_picture() -> None:
    lines = picture(state(700), state(2700, 4), 2.0, (100, 24), "heading")
    assert lines[1] == "1 up, 2 IKE SAs, 2 packets held, 1.0kB/s in, 1.0kB/s out"
    assert lines[4].split() == ["net", "192.0.2.2", "up", "1m", "1.0k", "1.0k", "7", "7"]
    assert lines[-1] == "dropped: engine no_sa 1"


def test_it_fits() -> None:
    status = ANSWERS["status"]
    conns = [{**status["connections"][0], "name": f"c{n}", "wanted": True} for n in range(50)]
    many = replace(state(), status={**status, "connections": conns})
    lines = picture(many, many, 1.0, (60, 20), "heading")
    assert len(lines) <= 20 and max(map(len, lines)) <= 60 and lines[-1].startswith("... and ")


def test_running(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    paused: list[float] = []
    monkeypatch.setattr(top, "ask", state)
    monkeypatch.setattr(top.clock, "pause", paused.append)
    assert top.main(["--delay", "3", "--count", "2"]) == 0
    assert paused == [3.0, 3.0] and capsys.readouterr().out.count("ipsec top - ") == 2
    answers: Any = State
    monkeypatch.setattr(top, "ask", answers)
    assert top.main([]) == 1 and "not running" in capsys.readouterr().err
    assert top.main(["--delay", "0"]) == 2
