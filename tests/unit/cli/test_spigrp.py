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


@pytest.mark.parametrize(
    "words",
    [
        ["--said", "tun.200@192.0.2.2", "esp.200@192.0.2.2"],
        ["inet", "192.0.2.2", "0x200", "tun", "inet", "192.0.2.2", "512", "esp"],
    ],
)
def test_both_ways_to_name_a_group(pluto: Any, words: list[str]) -> None:
    assert spigrp.main(words) == 0
    saids = ["tun.200@192.0.2.2", "esp.200@192.0.2.2"]
    assert pluto.asked == [{"verb": "klips", "do": "spigrp", "saids": saids}]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["inet", "192.0.2.2", "0x200"], "each SA is four words"),
        (["--said", "%trap"], "%trap is not an SA"),
        (["--said", *(f"esp.{at}00@192.0.2.2" for at in range(1, 6))], "5 SAs, a group has 1 to 4"),
        (["--foo"], "--foo"),
    ],
)
def test_what_makes_no_sense(pluto: Any, capsys: pytest.CaptureFixture[str], words: list[str], why: str) -> None:
    assert spigrp.main(words) == 1
    assert why in capsys.readouterr().err and not pluto.asked
