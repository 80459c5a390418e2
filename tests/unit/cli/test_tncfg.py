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
