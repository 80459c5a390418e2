# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec manual`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openswan.cli.manual import main

CONF = """\
conn net
    left=192.0.2.1
    leftsubnet=10.1.0.0/24
    right=192.0.2.2
    rightsubnet=10.2.0.0/24
    spi=0x200
    esp=aes128-sha1
    espenckey=0x5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
    espauthkey=0x5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
conn ike
    left=192.0.2.1
    right=192.0.2.2
conn where
    left=192.0.2.1
conn rest
    right=192.0.2.2
    spibase=0x300
    esp=null-md5
    espauthkey=0x5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
"""


@pytest.fixture(autouse=True)
def _conf(places: Path) -> None:
    (places / "ipsec.conf").write_text(CONF)


def test_up_sends_a_plan(pluto: Any) -> None:
    pluto.answers["manual"] = []
    assert main(["--iam", "192.0.2.2@wan", "--up", "net"]) == 0
    (asked,) = pluto.asked
    assert asked["verb"] == "manual" and asked["do"] == "up"
    assert asked["plan"]["me"] == "192.0.2.2" and len(asked["plan"]["orders"]) == 4


@pytest.mark.parametrize("operation", ["down", "unroute", "delete"])
def test_the_others_send_a_name(pluto: Any, operation: str) -> None:
    pluto.answers["manual"] = []
    assert main([f"--{operation}", "net"]) == 0
    assert pluto.asked == [{"verb": "manual", "do": operation, "name": "net"}]


def test_status(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["manual"] = ['000 "net": up']
    assert main(["--status"]) == 0
    assert capsys.readouterr().out == '"net": up\n'


def test_show(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    iam = ["--iam", "192.0.2.1@wan"]
    assert main([*iam, "--showonly", "--up", "net"]) == 0
    text = capsys.readouterr().out
    assert "ipsec spi --said esp.200@192.0.2.2" in text and "5e5e" not in text and text.count("PLUTO_VERB=") == 3
    assert main([*iam, "--showonly", "--showkeys", "--up", "net"]) == 0
    assert "5e5e" in capsys.readouterr().out
    assert main([*iam, "--other", "--showonly", "--down", "net"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("PLUTO_VERB=down-client") and "--src 10.2.0.0/24" in lines[1] and len(lines) == 4
    assert main([*iam, "--showonly", "--delete", "net"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("PLUTO_VERB=unroute-client")
    assert not pluto.asked


def test_union(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--iam", "192.0.2.1@wan", "--showonly", "--up", "--union", "where", "rest"]) == 0
    assert "esp.304@192.0.2.2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--up", "nobody"], 'there is no conn "nobody"'),
        (["--up", "ike"], 'conn "ike" has no spi= or spibase='),
        (["--up", "rest"], "left= is missing"),
        (["--up", "net"], "neither end is this host"),
        (["--iam", "x@wan", "--up", "net"], "'x' is not a numeric IP address"),
        (["--config", "/nonexistent", "--up", "net"], "can not load config"),
    ],
)
def test_what_makes_no_sense(
    pluto: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    monkeypatch.setattr("openswan.cli.manual._addresses", list)
    assert main(words) == 1
    assert why in capsys.readouterr().err and not pluto.asked


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--frob"], "unrecognized arguments: --frob"),
        ([], "one of --up"),
        (["--up", "--down", "net"], "one of --up"),
        (["--up"], "the name of one conn is wanted"),
        (["--up", "net", "more"], "several parts go with --union"),
    ],
)
def test_usage_errors(capsys: pytest.CaptureFixture[str], words: list[str], why: str) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert why in err and "Usage: ipsec manual" in err


def test_a_refusal_of_the_daemon(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.answers["manual"] = ["001 SA already in use.  Delete old one first."]
    assert main(["--iam", "192.0.2.1@wan", "--up", "net"]) == 1
    assert capsys.readouterr().err == "ipsec manual: SA already in use.  Delete old one first.\n"


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: ipsec manual")
