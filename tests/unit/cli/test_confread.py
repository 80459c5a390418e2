# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec _confread`."""

from __future__ import annotations

from pathlib import Path

import pytest

from openswan.cli.confread import main

CONF = """\
version 2.0
config setup
	plutodebug="control dns"
conn base
	left=192.0.2.1
	auto=add
conn net
	also=base
	leftid="@it's"
	right=192.0.2.2
"""


@pytest.fixture(autouse=True)
def conf(places: Path) -> Path:
    (places / "ipsec.conf").write_text(CONF)
    return places


def test_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["net"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "=\t\t\tnet" and lines[-1] == "!\t"
    assert {":\tleft\t192.0.2.1", ":\tright\t192.0.2.2", ":\tauto\tadd"} < set(lines)


def test_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--varprefix", "IPSEC", "--export", "--type", "config"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "export IPSECplutodebug='control dns'",
        "export IPSECconfreadstatus=''",
    ]
    assert main(["--varprefix", "x_", "net"]) == 0
    assert "x_leftid='@it'\\''s'" in capsys.readouterr().out


def test_search(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--search", "auto=add"]) == 0
    assert capsys.readouterr().out == "base\nnet\n"
    assert main(["--search", "auto=start"]) == 0
    assert capsys.readouterr().out == ""


def test_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["none"]) == 1
    assert '!\tthere is no section "none"' in capsys.readouterr().out
    assert main(["--optional", "none"]) == 0
    assert capsys.readouterr().out == "!\t\n"
    assert main(["--config", "/nonexistent"]) == 1
    assert main(["--type", "x"]) == 2
    assert main(["--varprefix", "a;b"]) == 2
