# SPDX-License-Identifier: GPL-2.0-or-later
"""Reply lines on the terminal and the exit status they amount to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openswan.cli.talk import converse, exit_status, initiate, request, show, socket_path, table


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ([], 0),
        ([0, 2, 40, 41], 0),
        ([133, 134, 4], 0),
        ([133, 10, 31], 31),
        ([3, 2, 0], 3),
        ([21, 4], 0),
        ([224], 224),
        ([300], 44),
    ],
)
def test_the_last_significant_line_decides(codes: list[int], status: int) -> None:
    result = 0
    for code in codes:
        result = exit_status(result, code)
    assert result == status


def test_lines_are_printed_as_they_are_or_plain(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [(2, "logged"), (133, "state"), (4, "up")]
    assert show(lines) == 0
    assert capsys.readouterr().out == "002 logged\n133 state\n004 up\n"
    assert show(lines, hide_log=True, plain=True) == 0
    assert capsys.readouterr().out == "state\nup\n"
    assert show([(31, "failed")], asynchronous=True) == 0


def test_a_conversation(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["initiate"] = ['133 "x" #1: STATE_PARENT_I1: initiate', '031 "x" #1: no']
    assert converse("initiate", {"name": "x"}) == 31
    assert pluto.asked == [{"verb": "initiate", "name": "x"}]
    assert capsys.readouterr().out.splitlines()[1] == '031 "x" #1: no'


def test_nobody_to_talk_to(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert converse("status") == 1
    assert capsys.readouterr().err == f'whack: Pluto is not running (no "{places}/pluto.ctl")\n'


def test_ctlbase(places: Path) -> None:
    assert socket_path() == places / "pluto.ctl"
    assert socket_path("/x/y") == Path("/x/y.ctl")


def test_tables(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["spi"] = ["000 row"]
    assert table("spi", [], "usage") == 0
    assert table("spi", ["--json"], "usage") == 0
    assert pluto.asked == [{"verb": "spi", "json": False}, {"verb": "spi", "json": True}]
    assert capsys.readouterr().out == "row\nrow\n"
    assert table("spi", ["--help"], "usage") == 0
    assert table("spi", ["--what"], "usage") == 1
    assert "`--what' not understood" in capsys.readouterr().err


def test_an_answer_that_is_none(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["spi"] = ["rubbish"]
    assert table("spi", [], "usage") == 1
    assert "reply without a code" in capsys.readouterr().err
    pluto.answers["status"] = []
    assert list(request("status")) == []


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (["041 x: enter the user name (empty: @me)", "040 x: enter the password of @me"],
         {"xauthname": "carla", "xauthpass": "sesame"}),
        (["040 x: enter the password of carla"], {"xauthpass": "sesame"}),
    ],
)  # fmt: skip
def test_who_sits_at_a_terminal_is_asked_for_what_xauth_lacks(
    pluto: Any, monkeypatch: pytest.MonkeyPatch, asked: list[str], given: dict[str, str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: "carla")
    monkeypatch.setattr("openswan.cli.talk.getpass", lambda prompt: "sesame")
    pluto.answers["initiate"] = asked
    assert initiate({"name": "x"}) == 0
    assert pluto.asked == [
        {"verb": "initiate", "name": "x", "prompt": True},
        {"verb": "initiate", "name": "x", **given},
    ]


def test_nobody_is_asked_without_a_terminal_or_a_question(pluto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    pluto.answers["initiate"] = ["031 gave up"]
    assert initiate({"name": "x"}) == 31
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert initiate({"name": "x"}) == 31
    assert [each.get("prompt", False) for each in pluto.asked] == [False, True]
