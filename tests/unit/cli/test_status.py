# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec status`."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.cli.status import main

LINES = ["000 using kernel interface: klips", '000 "x": a', '000 "x/1x2": b', '000 "xy": c', '000 #2: "x":500 d']


def test_all_or_one_connection(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["status"] = LINES
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == LINES
    assert main(["x"]) == 0
    assert capsys.readouterr().out.splitlines() == [LINES[1], LINES[2], LINES[4]]
    assert main(["z"]) == 21
    assert capsys.readouterr().out == '021 no connection named "z"\n'


def test_json_comes_without_code(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["status"] = ['000 {"connections":[]}']
    assert main(["--json"]) == 0
    assert capsys.readouterr().out == '{"connections":[]}\n'
    assert pluto.asked[0]["json"] is True


def test_usage_and_no_daemon(places: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a", "b"]) == 2
    assert main(["--help"]) == 0
    assert main([]) == 1
    assert "Pluto is not running" in capsys.readouterr().err
