# SPDX-License-Identifier: GPL-2.0-or-later
"""readwriteconf: output and exit statuses."""

from pathlib import Path

import pytest

from openswan.cli import readwriteconf
from openswan.config.manual import manual

DATA = Path(__file__).parents[4] / "shared/data/conf"
TEXT = "conn a\n\tleft=1.1.1.1\nconn b\n\talso=a\n\tright=2.2.2.2\nconn bad\n\tlefft=1\n"


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    path = tmp_path / "ipsec.conf"
    path.write_text(TEXT)
    return path


def test_sample(capsys: pytest.CaptureFixture[str]) -> None:
    folder = DATA / "readwriteconf-09"
    assert readwriteconf.main(["--config", str(folder / "ipsec.conf")]) == 0
    assert capsys.readouterr().out == (folder / "ipsec-flat.conf").read_text()


def test_default_file_leaves_broken_conns_out(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert readwriteconf.main([]) == 3
    out, err = capsys.readouterr()
    assert "conn a\n" in out and "\tright=2.2.2.2\n" in out and "conn bad" not in out
    assert f"{conf}:7: conn \"bad\": unknown keyword 'lefft=1'" in err


def test_named_conns(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf.write_text(TEXT.replace("lefft", "left"))
    assert readwriteconf.main(["B"]) == 0
    out = capsys.readouterr().out
    assert "conn b\n" in out and "begin conn a" not in out
    assert readwriteconf.main(["zz"]) == 22
    assert "conn 'zz': not found" in capsys.readouterr().err
    assert readwriteconf.main(["--ignoreconnnotfound", "zz", "a"]) == 0
    assert readwriteconf.main(["--all", "b"]) == 0
    assert "begin conn a" in capsys.readouterr().out.split("# end of config")[1]


def test_root_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPSEC_CONFS", "/etc/here")
    (tmp_path / "etc/here").mkdir(parents=True)
    (tmp_path / "etc/here/ipsec.conf").write_text("conn a\n")
    assert readwriteconf.main(["--rootdir", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("argv", "status", "why"),
    [
        (["--config", "/nowhere/x"], 3, "can not load config '/nowhere/x': cannot read"),
        (["--config"], 2, "readwriteconf: --config wants a value"),
        (["--whackout=/tmp/x"], 2, "--whackout is not available"),
        (["--colour"], 10, "Usage: ipsec readwriteconf"),
    ],
)
def test_refused(argv: list[str], status: int, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert readwriteconf.main(argv) == status
    assert why in capsys.readouterr().err


def test_warnings_can_be_fatal(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf.write_text("include none*\n")
    assert readwriteconf.main([]) == 0
    assert readwriteconf.main(["--warningsarefatal"]) == 3
    capsys.readouterr()


def test_help_and_manual(capsys: pytest.CaptureFixture[str]) -> None:
    assert readwriteconf.main(["--help"]) == 0
    assert "Usage: ipsec readwriteconf" in capsys.readouterr().out
    assert readwriteconf.main(["--man"]) == 0
    assert capsys.readouterr().out == manual()
