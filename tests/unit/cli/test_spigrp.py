# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec spigrp`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openswan.cli import spigrp


def test_the_table_is_printed_without_codes(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["spigrp"] = ["000 first row", "000 second row"]
    assert spigrp.main([]) == 0
    assert capsys.readouterr().out == "first row\nsecond row\n"
    assert pluto.asked == [{"verb": "spigrp", "json": False}]


def test_without_daemon(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spigrp.main([]) == 1
    assert "ipsec spigrp: whack: Pluto is not running" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert spigrp.main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: ipsec spigrp")
