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


NETS = ["--eraf", "inet", "--src", "10.1/16", "--dst", "10.2.0.5"]
FLOW = ["10.1.0.0/16", "10.2.0.5/32", 0, 0, 0]


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (
            ["--add", *NETS, "--said", "tun.200@192.0.2.2"],
            {"change": "add", "flow": FLOW, "target": "tun.200@192.0.2.2"},
        ),
        (
            ["--replace", *NETS, "--af", "inet", "--edst", "192.0.2.2", "--spi", "0x200", "--proto", "esp"],
            {"change": "replace", "flow": FLOW, "target": "esp.200@192.0.2.2"},
        ),
        (["--add", *NETS, "--said", "%passthrough4"], {"change": "add", "flow": FLOW, "target": "%pass"}),
        (["--add", *NETS, "--said", "%reject"], {"change": "add", "flow": FLOW, "target": "%reject"}),
        (
            ["--add", *NETS, "--transport-proto", "tcp", "--dst-port", "22", "--said", "%drop"],
            {"change": "add", "flow": [*FLOW[:2], 6, 0, 22], "target": "%drop"},
        ),
        (["--del", *NETS], {"change": "del", "flow": FLOW}),
        (
            ["--addin", *NETS, "--said", "esp0x201@192.0.2.1"],
            {"change": "addin", "flow": FLOW, "target": "esp.201@192.0.2.1"},
        ),
        (["--delin", *NETS], {"change": "delin", "flow": FLOW}),
        (
            ["--add", "--eraf", "inet6", "--src", "2001:db8:1::/64", "--dst", "%default", "--said", "%trap"],
            {"change": "add", "flow": ["2001:db8:1::/64", "::/0", 0, 0, 0], "target": "%trap"},
        ),
    ],
)
def test_orders(pluto: Any, words: list[str], order: dict[str, Any]) -> None:
    assert main(words) == 0
    assert pluto.asked == [{"verb": "klips", "do": "eroute", **order}]


def test_clear(pluto: Any) -> None:
    assert main(["--clear"]) == 0
    assert pluto.asked == [{"verb": "klips", "do": "eroute-clear"}]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (NETS, "one of --add, --replace"),
        (["--add", "--del", *NETS], "one of --add, --replace"),
        (["--add", "--eraf", "inet", "--src", "10.1/16"], "--dst is missing"),
        (["--add", *NETS], "--edst is missing; or give --said"),
        (["--add", *NETS, "--said", "foo"], "'foo' is not an SA"),
        (["--add", *NETS, "--said", "esp.ff@192.0.2.2"], "Illegal reserved spi: 0xff => 0xff Must be larger than"),
        (["--addin", *NETS, "--said", "%drop"], "names an SA, not a shunt"),
        (["--add", *NETS, "--said", "%drop", "--dst-port", "1"], "a port needs --transport-proto"),
        (["--add", *NETS, "--said", "%drop", "--transport-proto", "foo"], "'foo' is not a protocol"),
        (["--add", "--eraf", "inet6", *NETS[2:], "--said", "%drop"], "--src: '10.1/16' is not a subnet"),
        (["--add", "--eraf", "ipx", *NETS[2:], "--said", "%drop"], "is not an address family"),
        (["--add", "--src", "10.1/16", "--dst", "::/0", "--said", "%drop"], "of different families"),
        (["--foo"], "--foo"),
    ],
)
def test_orders_that_make_no_sense(
    pluto: Any, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert main(words) == 1
    assert complaint in capsys.readouterr().err and not pluto.asked
