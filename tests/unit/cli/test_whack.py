# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec whack`: options to requests, mistakes in whack's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openswan.cli.whack import main


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        ("--initiate --name x", {"verb": "initiate", "name": "x", "asynchronous": False}),
        (
            "--initiate --name x --xauthname carla --xauthpass word",
            {"verb": "initiate", "name": "x", "asynchronous": False, "xauthname": "carla", "xauthpass": "word"},
        ),
        (
            "--initiate --name x --xauthuser=carla",
            {"verb": "initiate", "name": "x", "asynchronous": False, "xauthname": "carla"},
        ),
        ("--terminate --name=x --asynchronous", {"verb": "terminate", "name": "x", "asynchronous": True}),
        ("--status", {"verb": "status"}),
        ("--status --json", {"verb": "status", "json": True}),
        ("--listen", {"verb": "listen"}),
        ("--rereadcrls", {"verb": "rereadcerts"}),
        ("--shutdown", {"verb": "shutdown", "keep_guard": False}),
        ("--shutdown --leave-state", {"verb": "shutdown", "keep_guard": True}),
        ("--eroutes", {"verb": "eroute"}),
        (
            "--redirect-to 192.0.2.3,192.0.2.4 --name x",
            {"verb": "redirect", "to": ["192.0.2.3", "192.0.2.4"], "name": "x"},
        ),
        ("--oppohere 192.0.2.1 --oppothere 192.0.2.2", {"verb": "oppo", "here": "192.0.2.1", "there": "192.0.2.2"}),
        ("--deletepair --oppohere a --oppothere b", {"verb": "deletepair", "here": "a", "there": "b"}),
        ("--redirect-to 192.0.2.3", {"verb": "redirect", "to": ["192.0.2.3"], "name": ""}),
        ("--debug-control --debug-raw", {"verb": "debug", "name": "", "words": ["control", "raw"]}),
        ("--name x --debug-none", {"verb": "debug", "name": "x", "words": ["none"]}),
        ("--debug dpd,no-raw --no-debug dns", {"verb": "debug", "name": "", "add": ["dpd"], "remove": ["raw", "dns"]}),
    ],
)
def test_requests(pluto: Any, argv: str, asked: dict[str, Any]) -> None:
    assert main(argv.split()) == 0
    assert pluto.asked == [asked]


def test_debugging_comes_before_another_action(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("--debug-all --listen".split()) == 0
    assert main("--debug-dpd --initiate --name x".split()) == 0
    assert [each["verb"] for each in pluto.asked] == ["debug", "listen", "debug", "initiate"]
    for wrong in (["--debug", "pasing"], ["--debug-pasing"]):
        assert main(wrong) == 1
        assert "whack error: --debug pasing: there are raw," in capsys.readouterr().err


def test_exit_status_and_ctlbase(pluto: Any, places: Path) -> None:
    pluto.answers["delete"] = ['021 no connection named "x"']
    assert main(["--ctlbase", str(places / "pluto"), "--delete", "--name", "x"]) == 21
    assert main("--delete --name x --asynchronous".split()) == 0


def test_options_from_a_file(pluto: Any, places: Path) -> None:
    (places / "o").write_text("--route # a comment\n--name 'x'\n")
    assert main(["--optionsfrom", str(places / "o")]) == 0
    assert main(["+", str(places / "o")]) == 0
    assert [each["verb"] for each in pluto.asked] == ["route", "route"]


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ("", "whack error: no action specified; try --help for hints"),
        ("--oppohere 192.0.2.1", "whack error: --oppohere and --oppothere must be used together"),
        ("--deletepair", "whack error: --oppohere and --oppothere must be used together"),
        (
            "--oppohere a --oppothere b --status",
            "whack error: --oppohere and --oppothere stand alone, or with --deletepair",
        ),
        ("--initiate", "whack error: missing --name <connection_name>"),
        ("--status --name x", 'whack error: "x" no reason for --name'),
        ("--terminate --name x --xauthname y", 'whack error: "x" --xauthname and --xauthpass go with --initiate'),
        ("--label L --listen --name x", 'whack error: L "x" no reason for --name'),
        ("--redirect-to", "whack error: --redirect-to needs a value"),
        ("--redirect-to 192.0.2.3 --status --name x", 'whack error: "x" no reason for --name'),
        ("--frob", "whack error: unrecognized option `--frob'"),
        ("--listen --status", "whack error: --listen and --status together"),
        ("--name", "whack error: --name needs a value"),
        ("up", 'whack error: unexpected argument "up"'),
        ("--optionsfrom /no/such", "whack error: --optionsfrom /no/such: "),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], argv: str, complaint: str) -> None:
    assert main(argv.split()) == 1
    assert capsys.readouterr().err.startswith(complaint)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0 and main(["--version"]) == 0
    assert "Usage: ipsec whack" in capsys.readouterr().out
