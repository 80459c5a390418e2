# SPDX-License-Identifier: GPL-2.0-or-later
"""The dispatcher."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from openswan import __version__
from openswan.cli import ipsec

ROOT = Path(__file__).resolve().parents[3]


def call(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "openswan.cli.ipsec", *words],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_no_argument_and_help_list_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert ipsec.run([]) == 0
    usage = capsys.readouterr().out
    assert ipsec.run(["--help"]) == 0
    assert capsys.readouterr().out == usage
    for name in ("auto", "setup", "eroute", "whack", "up", "rsasigkey"):
        assert f"\t{name} " in usage
    assert "\t_updown" not in usage


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--version", "version"):
        assert ipsec.run([option]) == 0
        assert capsys.readouterr().out.splitlines()[0] == f"Linux Openswan {__version__} (klips)"
    ipsec.run(["--versioncode"])
    assert capsys.readouterr().out == f"{__version__} (klips)\n"
    ipsec.run(["--copyright"])
    assert "GNU General Public License" in capsys.readouterr().out


def test_directories(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("IPSEC_CONFS", raising=False)
    monkeypatch.delenv("IPSEC_LIBDIR", raising=False)
    ipsec.run(["--confdir"])
    ipsec.run(["--directory"])
    monkeypatch.setenv("IPSEC_CONFS", "/elsewhere")
    ipsec.run(["--confdir"])
    assert capsys.readouterr().out == "/etc\n/usr/local/lib/ipsec\n/elsewhere\n"


def test_unknown_words() -> None:
    done = call("--frob")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "unknown option `--frob' (perhaps command name was omitted?)\n"
    done = call("frob")
    assert (done.returncode, done.stderr) == (1, "unknown IPsec command `frob' (`ipsec --help' for list)\n")
    assert call("../bin/true").returncode == 1


def test_an_administrators_own_command_runs_with_its_environment(tmp_path: Path) -> None:
    script = tmp_path / "mine"
    script.write_text('#!/bin/sh\necho "$IPSEC_CONFS $IPSEC_VERSION $1"; exit 7\n')
    script.chmod(0o755)
    done = call("mine", "x", IPSEC_EXECDIR=str(tmp_path), IPSEC_CONFS="/c")
    assert (done.returncode, done.stdout) == (7, f"/c {__version__} x\n")


def test_version_does_not_load_the_world() -> None:
    code = "import sys; from openswan.cli import ipsec; ipsec.run(['--version']); print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for heavy in ("cryptography", "pyroute2", "dns", "asyncio"):
        assert f" {heavy}" not in loaded


def test_a_reader_that_goes_away_makes_no_traceback() -> None:
    done = subprocess.run(
        f"{sys.executable} -m openswan.cli.ipsec --help | true; exit 0",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
