# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec tncfg`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openswan.cli import tncfg


def test_the_table_is_printed_without_codes(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["tncfg"] = ["000 first row", "000 second row"]
    assert tncfg.main([]) == 0
    assert capsys.readouterr().out == "first row\nsecond row\n"
    assert pluto.asked == [{"verb": "tncfg", "json": False}]


def test_without_daemon(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tncfg.main([]) == 1
    assert "ipsec tncfg: whack: Pluto is not running" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert tncfg.main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: ipsec tncfg")


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (
            ["--attach", "--virtual", "ipsec0", "--physical", "ppp0"],
            {"wiring": "attach", "virtual": "ipsec0", "physical": "ppp0"},
        ),
        (["--attach", "-V", "ipsec1", "-P", "eth1"], {"wiring": "attach", "virtual": "ipsec1", "physical": "eth1"}),
        (["--detach", "--virtual", "ipsec0"], {"wiring": "detach", "virtual": "ipsec0"}),
        (["--create", "ipsec2"], {"wiring": "create", "virtual": "ipsec2"}),
        (["--create", "--virtual", "ipsec2"], {"wiring": "create", "virtual": "ipsec2"}),
        (["--delete", "ipsec2"], {"wiring": "delete", "virtual": "ipsec2"}),
        (["--clear"], {"wiring": "clear"}),
    ],
)
def test_orders(pluto: Any, words: list[str], order: dict[str, str]) -> None:
    assert tncfg.main(words) == 0
    assert pluto.asked == [{"verb": "klips", "do": "tncfg", **order}]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--virtual", "ipsec0"], "one of --attach"),
        (["--attach", "--detach", "--virtual", "ipsec0"], "one of --attach"),
        (["--attach", "--virtual", "ipsec0"], "--attach needs --physical"),
        (["--create"], "'' cannot name an interface"),
        (["--create", "eth0"], "'eth0' is not a virtual interface"),
        (["--clear", "--virtual", "ipsec0"], "names no interface"),
        (["--foo"], "--foo"),
    ],
)
def test_what_makes_no_sense(pluto: Any, capsys: pytest.CaptureFixture[str], words: list[str], why: str) -> None:
    assert tncfg.main(words) == 1
    assert why in capsys.readouterr().err and not pluto.asked
