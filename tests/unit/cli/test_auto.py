# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec auto`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openswan.cli.auto import main

CONF = "conn x\n    left=192.0.2.1\n    right=192.0.2.2\n    authby=secret\nconn bad\n    left=nonsense value\n"


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        ("--up x", {"verb": "initiate", "name": "x", "asynchronous": False}),
        ("--asynchronous --up x", {"verb": "initiate", "name": "x", "asynchronous": True}),
        ("--down x", {"verb": "terminate", "name": "x", "asynchronous": False}),
        ("--delete x", {"verb": "delete", "name": "x", "asynchronous": False}),
        ("--route x", {"verb": "route", "name": "x", "asynchronous": False}),
        ("--unroute x", {"verb": "unroute", "name": "x", "asynchronous": False}),
        ("--ready", {"verb": "listen"}),
        ("--rereadgroups", {"verb": "rereadgroups"}),
        ("--status", {"verb": "status"}),
        ("--status --json", {"verb": "status", "json": True}),
        ("--rereadsecrets", {"verb": "rereadsecrets"}),
        ("--rereadcacerts --utc", {"verb": "rereadcerts"}),
        ("--rereadall", {"verb": "rereadall"}),
        ("--listall", {"verb": "listall"}),
        ("--checkpubkeys --utc", {"verb": "checkpubkeys"}),
        ("--fetchcrls", {"verb": "fetchcrls"}),
        ("--purgeocsp", {"verb": "purgeocsp"}),
    ],
)
def test_operations_become_requests(pluto: Any, argv: str, asked: dict[str, Any]) -> None:
    assert main(argv.split()) == 0
    assert pluto.asked == [asked]


def test_progress_is_shown_without_log_lines_and_decides_the_exit(
    pluto: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pluto.answers["initiate"] = ["002 logged", "133 STATE_PARENT_I1: initiate", "004 up"]
    assert main(["--up", "x"]) == 0
    assert capsys.readouterr().out == "133 STATE_PARENT_I1: initiate\n004 up\n"
    assert main(["--verbose", "--up", "x"]) == 0
    assert capsys.readouterr().out.startswith("002 logged\n")
    pluto.answers["initiate"] = ['021 no connection named "x"']
    assert main(["--up", "x"]) == 21


@pytest.mark.parametrize(("operation", "replace"), [("--add", False), ("--replace", True)])
def test_loading_sends_the_description(pluto: Any, places: Path, operation: str, replace: bool) -> None:
    (places / "ipsec.conf").write_text(CONF)
    assert main([operation, "x"]) == 0
    assert (pluto.asked[0]["verb"], pluto.asked[0]["replace"]) == ("add", replace)
    assert pluto.asked[0]["connection"]["name"] == "x"


NETS = """\
conn net
    left=192.0.2.1
    leftsubnets={10.3.0.0/24 10.2.0.0/24}
    right=192.0.2.2
    rightsubnet=10.9.0.0/24
"""


@pytest.fixture
def three(pluto: Any, places: Path) -> Any:
    """A daemon with three pairs, and a file that has two of them left."""
    runs = {f"net/{n}x0": [f"10.{n}.0.0/24", "10.9.0.0/24"] for n in (1, 2, 3)}
    pluto.answers["pairs"] = ["000 " + json.dumps(runs)]
    (places / "ipsec.conf").write_text(NETS)
    return pluto


def test_replacing_pairs_touches_those_that_have_changed(three: Any) -> None:
    assert main(["--replace", "net"]) == 0
    adds = [each for each in three.asked if each["verb"] == "add"]
    assert [(each["connection"]["name"], each.get("check"), each.get("renew")) for each in adds] == [
        ("net/3x0", True, None),
        ("net/2x0", True, None),
        ("net/3x0", None, True),
        ("net/2x0", None, True),
    ]
    assert three.asked[-1] == {"verb": "prune", "name": "net", "names": ["net/2x0", "net/3x0"], "fresh": []}


def test_replacing_pairs_of_which_one_is_refused_touches_none(three: Any, capsys: pytest.CaptureFixture[str]) -> None:
    three.answers["add"] = ["028 no key"]
    assert main(["--replace", "net"]) == 28
    assert capsys.readouterr().out == "028 no key\n"
    assert [each["verb"] for each in three.asked] == ["pairs", "add"] and three.asked[1]["check"]


def test_one_pair_is_loaded_by_the_name_it_runs_under(three: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--replace", "net/3x0"]) == 0
    assert [each["verb"] for each in three.asked] == ["pairs", "add"], "the others are left alone"
    assert three.asked[1]["connection"]["left"]["subnet"] == "10.3.0.0/24" and three.asked[1]["replace"]
    assert main(["--add", "net/1x0"]) == 21
    assert capsys.readouterr().out.startswith('021 no connection named "net/1x0"')


def test_loading_what_is_not_there_or_broken(pluto: Any, places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--add", "x"]) == 3
    assert "can not load config" in capsys.readouterr().err
    (places / "other.conf").write_text(CONF)
    assert main(["--config", str(places / "other.conf"), "--add", "absent"]) == 21
    assert capsys.readouterr().out.startswith('021 no connection named "absent"')
    assert main(["--config", str(places / "other.conf"), "--add", "bad"]) == 21
    out, err = capsys.readouterr()
    assert out == '021 conn "bad" has errors and is not loaded\n' and "other.conf:6" in err
    assert pluto.asked == []


def test_old_order_is_understood_with_a_warning(pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x", "up"]) == 0
    assert capsys.readouterr().err == "warning: obsolete command syntax used\n"
    assert pluto.asked[0]["verb"] == "initiate"


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ("", "no operation given"),
        ("--up", "--up needs the NAME of a connection"),
        ("--up a b", "one NAME at a time, not also `b'"),
        ("--up --down a", "--up and --down together"),
        ("--status a", "--status takes no NAME"),
        ("--frob a", "unknown option `--frob'"),
        ("--showonly --up a", "--showonly     is no longer supported"),
        ("--config", "--config needs a file"),
    ],
)
def test_usage_errors(capsys: pytest.CaptureFixture[str], argv: str, complaint: str) -> None:
    assert main(argv.split()) == 2
    assert complaint in capsys.readouterr().err


def test_no_daemon(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--up", "x"]) == 1
    assert main(["--status", "--json"]) == 1
    assert "Pluto is not running" in capsys.readouterr().err
    assert main(["--help"]) == 0
