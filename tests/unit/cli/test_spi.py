# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec spi`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openswan.cli import spi


def test_the_table_is_printed_without_codes(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["spi"] = ["000 first row", "000 second row"]
    assert spi.main([]) == 0
    assert capsys.readouterr().out == "first row\nsecond row\n"
    assert pluto.asked == [{"verb": "spi", "json": False}]


def test_without_daemon(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spi.main([]) == 1
    assert "ipsec spi: whack: Pluto is not running" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert spi.main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: ipsec spi")
