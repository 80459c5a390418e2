# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec look`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openswan.cli.look import eroute_lines, main, routes


def test_eroutes_are_turned_round_and_sorted() -> None:
    table = [
        "12         10.9.0.0/24        -> 10.2.0.0/24        => esp0x1@192.0.2.2",
        "0          10.1.0.0/24        -> 10.2.0.0/24        => %trap",
    ]
    assert eroute_lines(table) == [
        "10.1.0.0/24 -> 10.2.0.0/24 => %trap (0)",
        "10.9.0.0/24 -> 10.2.0.0/24 => esp0x1@192.0.2.2 (12)",
    ]


def test_only_routes_that_matter() -> None:
    listing = "default via 192.0.2.254 dev eth0\n10.2.0.0/24 dev ipsec0 table 50\n10.1.0.0/24 dev lan scope link\n"
    listing += "local 10.2.0.1 dev ipsec0 table local\nmulticast ff00::/8 dev ipsec0 table local\n"
    assert routes(listing, {"ipsec0"}) == ["default via 192.0.2.254 dev eth0", "10.2.0.0/24 dev ipsec0 table 50"]


def test_the_picture(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["eroute"] = ["000 0          10.1.0.0/24        -> 10.2.0.0/24        => %trap"]
    pluto.answers["tncfg"] = ["000 ipsec0 -> eth0 mtu=1500(1443) -> 1500", "000 ipsec1 -> NULL mtu=0(0) -> 0"]
    pluto.answers["spi"] = ["000 esp0x2@192.0.2.2", "000 esp0x1@192.0.2.1"]
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:5] == [
        "10.1.0.0/24 -> 10.2.0.0/24 => %trap (0)",
        "ipsec0->eth0 mtu=1500(1443)->1500",
        "esp0x1@192.0.2.1",
        "esp0x2@192.0.2.2",
    ]
    assert "ROUTING TABLES" in lines


def test_json(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("eroute", "tncfg", "spi", "spigrp", "counters"):
        pluto.answers[verb] = [f'000 [{{"of":"{verb}"}}]']
    assert main(["--json"]) == 0
    picture = json.loads(capsys.readouterr().out)
    assert picture["spi"] == [{"of": "spi"}] and picture["heading"]


def test_without_daemon_the_routes_still_show(places: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert "ROUTING TABLES" in out and "Pluto is not running" in err
    assert main(["--frob"]) == 2
