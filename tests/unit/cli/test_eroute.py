# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec eroute` and `--match`."""

from __future__ import annotations

from typing import Any

import pytest

from openswan.cli.eroute import main


def test_the_table(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    row = "3          10.1.0.0/24        -> 10.2.0.0/24        => %trap"
    pluto.answers["eroute"] = [f"000 {row}"]
    assert main([]) == 0
    assert capsys.readouterr().out == row + "\n"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["10.1.0.5", "10.2.0.5"], {"src": "10.1.0.5", "dst": "10.2.0.5", "protocol": 0, "port": 0}),
        (["10.1.0.5", "10.2.0.5", "tcp", "443"], {"src": "10.1.0.5", "dst": "10.2.0.5", "protocol": 6, "port": 443}),
        (["2001:db8::1", "2001:db8::2", "58"], {"src": "2001:db8::1", "dst": "2001:db8::2", "protocol": 58, "port": 0}),
    ],
)
def test_match_asks_about_one_packet(pluto: Any, words: list[str], asked: dict[str, Any]) -> None:
    pluto.answers["match"] = ["000 conn x"]
    assert main(["--match", *words]) == 0
    assert pluto.asked == [{"verb": "match", "json": False, **asked}]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["here", "10.2.0.5"], "'here' is not a numeric IP address"),
        (["10.1.0.5", "2001:db8::1"], "of different families"),
        (["10.1.0.5", "10.2.0.5", "foo"], "'foo' is not a protocol"),
        (["10.1.0.5", "10.2.0.5", "6", "70000"], "'70000' is not a port: 0 to 65535 is"),
        (["10.1.0.5"], "Usage:"),
        (["10.1.0.5", "10.2.0.5"], "Pluto is not running"),
    ],
)
def test_what_makes_no_sense(places: Any, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str) -> None:
    assert main(["--match", *words]) == 1
    assert complaint in capsys.readouterr().err
