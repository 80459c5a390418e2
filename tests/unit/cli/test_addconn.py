# SPDX-License-Identifier: GPL-2.0-or-later
"""addconn against a double of pluto: what is loaded, listed, exported, refused."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.cli import addconn, talk
from openswan.config.plain import connection_from_plain
from openswan.policy.connection import Connection
from openswan.wire.whack import decode_request

GOOD = """\
version 2.0
config setup
	uniqueids=no
	plutodebug="control private"
	plutoopts="it's --quoted"
conn %default
	authby=secret
	left=192.0.2.1
conn a
	right=198.51.100.7
	auto=start
	connalias=nick
conn b
	right=198.51.100.8
	auto=route
	leftsubnets={10.1.0.0/16 10.2.0.0/16}
conn c
	right=198.51.100.9
	auto=add
conn idle
	right=%any
"""
BAD = GOOD + "conn broken\n\tright=198.51.100.9\n\tlefft=1\n\tauto=add\n"


class Pluto:
    """Stands for the daemon behind the control socket."""

    def __init__(self) -> None:
        self.given: list[Connection] = []
        self.paths: list[Path] = []
        self.replies: list[tuple[int, str]] = [(2, "added connection description")]
        self.absent = False

    def ask(self, line: bytes, path: Path, timeout: float | None = None) -> Iterator[tuple[int, str]]:
        if self.absent:
            raise HostError("whack: Pluto is not running (no socket)")
        verb, arguments = decode_request(line)
        assert verb == "add" and set(arguments) == {"connection"}
        self.paths.append(path)
        self.given.append(connection_from_plain(arguments["connection"]))
        yield from self.replies

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.given]


@pytest.fixture
def pluto(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pluto:
    double = Pluto()
    monkeypatch.setattr(talk, "ask", double.ask)
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    monkeypatch.setenv("IPSEC_RUNDIR", str(tmp_path / "run"))
    (tmp_path / "ipsec.conf").write_text(GOOD)
    return double


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "other.conf"
    path.write_text(text)
    return str(path)


def test_addall(pluto: Pluto, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert addconn.main(["--addall"]) == 0
    assert pluto.names == ["a", "b/1x0", "b/2x0", "c"]
    assert pluto.paths[0] == tmp_path / "run/pluto.ctl"
    out = capsys.readouterr()
    assert out.out == "" and "warning" in out.err


def test_names_and_aliases(pluto: Pluto, capsys: pytest.CaptureFixture[str]) -> None:
    assert addconn.main(["NICK", "b"]) == 0
    assert pluto.names == ["a", "b/1x0", "b/2x0"]
    assert addconn.main(["--verbose", "idle"]) == 0
    assert "002 added connection description" in capsys.readouterr().out


def test_unknown_name(pluto: Pluto, capsys: pytest.CaptureFixture[str]) -> None:
    assert addconn.main(["nobody"]) == 3
    assert "conn 'nobody': not found (tried aliases)" in capsys.readouterr().err
    assert pluto.names == []


def test_broken_conn_by_name(pluto: Pluto, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, BAD)
    assert addconn.main(["--config", path, "broken"]) == 3
    err = capsys.readouterr().err
    assert f"{path}:24: conn \"broken\": unknown keyword 'lefft=1' (did you mean 'left'?)" in err
    assert "not found" not in err
    assert addconn.main([f"--config={path}", "c"]) == 0
    assert pluto.names == ["c"]


def test_a_broken_conn_does_not_stop_addall(pluto: Pluto, tmp_path: Path) -> None:
    assert addconn.main(["--config", write(tmp_path, BAD), "--addall"]) == 3
    assert pluto.names == ["a", "b/1x0", "b/2x0", "c"]


def test_exit_status_is_plutos(pluto: Pluto) -> None:
    pluto.replies = [(20, 'attempt to redefine connection "a"')]
    assert addconn.main(["--addall"]) == 20
    assert addconn.main(["a"]) == 20


def test_pluto_not_running(pluto: Pluto, capsys: pytest.CaptureFixture[str]) -> None:
    pluto.absent = True
    assert addconn.main(["a"]) == 1
    assert "Pluto is not running" in capsys.readouterr().err


def test_ctlbase(pluto: Pluto) -> None:
    assert addconn.main(["--ctlbase", "/x/pluto", "a"]) == 0
    assert pluto.paths == [Path("/x/pluto.ctl")]


def test_checkconfig(pluto: Pluto, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert addconn.main(["--checkconfig", "--config", str(tmp_path / "ipsec.conf")]) == 0
    assert addconn.main(["--checkconfig", "--warningsfatal"]) == 3
    capsys.readouterr()
    assert addconn.main(["--checkconfig", "--config", write(tmp_path, BAD)]) == 3
    assert "unknown keyword 'lefft=1'" in capsys.readouterr().err
    assert addconn.main(["--checkconfig", "--config", write(tmp_path, "junk\n")]) == 3
    assert addconn.main(["--checkconfig", "--config", write(tmp_path, "config setup\n\tlisten=zz\n")]) == 3
    assert pluto.names == []


def test_file_that_is_not_there(pluto: Pluto, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none"
    assert addconn.main(["--config", str(path), "--checkconfig"]) == 3
    assert capsys.readouterr().err == (
        f"can not load config '{path}': cannot read '{path}': No such file or directory\n"
    )


def test_lists(pluto: Pluto, capsys: pytest.CaptureFixture[str]) -> None:
    assert addconn.main(["--listroute"]) == 0
    assert addconn.main(["--liststart"]) == 0
    assert capsys.readouterr().out == "b/1x0 b/2x0\na\n"


def test_search(pluto: Pluto) -> None:
    assert addconn.main(["--search", "route", "start"]) == 0
    assert pluto.names == ["a", "b/1x0", "b/2x0"]


def test_configsetup(pluto: Pluto, capsys: pytest.CaptureFixture[str]) -> None:
    assert addconn.main(["--configsetup", "--varprefix", "IPSEC"]) == 0
    out = capsys.readouterr().out
    assert out == (
        "export IPSECuniqueids='no'\nexport IPSECplutodebug='control private'\n"
        "export IPSECplutoopts='it'\\''s --quoted'\nexport IPSECconfreadstatus=''\n"
    )
    shell = subprocess.run(["sh", "-c", out + 'echo "$IPSECplutoopts"'], capture_output=True, text=True, check=True)
    assert shell.stdout == "it's --quoted\n"


def test_default_route(pluto: Pluto, tmp_path: Path) -> None:
    text = "conn x\n\tleft=%defaultroute\n\tright=192.0.2.9\n\tauthby=secret\n"
    options = ["--config", write(tmp_path, text), "--defaultroute", "192.0.2.1", "--defaultroutenexthop", "192.0.2.254"]
    assert addconn.main([*options, "x"]) == 0
    [given] = pluto.given
    assert str(given.left.host.address) == "192.0.2.1" and str(given.left.nexthop) == "192.0.2.254"
    assert given.right.nexthop is None


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "nothing to do: name a conn or give --addall or --checkconfig"),
        (["--colour"], "unknown option '--colour'"),
        (["--config"], "--config wants a value"),
        (["--defaultroute", "here", "x"], "'here' is not a numeric IP address"),
    ],
)
def test_usage(pluto: Pluto, argv: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert addconn.main(argv) == 10
    err = capsys.readouterr().err
    assert err.startswith(f"addconn: {why}\n") and "Usage: ipsec addconn" in err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert addconn.main(["--help"]) == 0
    assert "Usage: ipsec addconn" in capsys.readouterr().out


def test_root_directory(pluto: Pluto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPSEC_CONFS", "/etc/elsewhere")
    folder = tmp_path / "etc/elsewhere"
    folder.mkdir(parents=True)
    (folder / "ipsec.conf").write_text(GOOD)
    assert addconn.main(["--rootdir", str(tmp_path), "a"]) == 0


def test_shell_quoting() -> None:
    values: Mapping[str, Any] = {"": "''", "a b": "'a b'", "a'b": "'a'\\''b'"}
    for value, want in values.items():
        assert addconn.shell_quoted(value) == want
