# SPDX-License-Identifier: GPL-2.0-or-later
"""resolv.conf names the peers' DNS servers while their conns are up, and what it said before afterwards."""

from __future__ import annotations

import errno
from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host.resolvedit import HEAD, ResolvEdit

BEFORE = "# mine\nsearch home.example\nnameserver 192.0.2.53\noptions edns0\n"
ONE, OTHER = ip_address("10.2.0.53"), ip_address("fd00::53")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "resolv.conf").write_text(BEFORE)
    (tmp_path / "resolv.conf").chmod(0o640)
    return tmp_path / "resolv.conf"


def test_servers_come_and_go_with_conns(tmp_path: Path, path: Path) -> None:
    edit = ResolvEdit(tmp_path, path)
    assert edit.update("one", (ONE,), ("corp.example",)) == ()
    was = "# mine\n#was: search home.example\n#was: nameserver 192.0.2.53\noptions edns0\n"
    want = f"{HEAD}\n#for {tmp_path}\nsearch corp.example home.example\nnameserver {ONE}\n{was}"
    assert path.read_text() == want and path.stat().st_mode & 0o777 == 0o640
    # Another process knows of it; who came last is asked first.
    ResolvEdit(tmp_path, path).update("other", (OTHER, ONE), ())
    assert [line for line in path.read_text().splitlines() if line.startswith("nameserver")] == [
        f"nameserver {OTHER}", f"nameserver {ONE}"
    ]  # fmt: skip
    assert edit.restore("other") == () and path.read_text() == want
    edit.restore("one")
    assert path.read_text() == BEFORE and not list(tmp_path.glob("*backup*"))
    edit.restore("one")
    assert path.read_text() == BEFORE


def test_what_somebody_has_rewritten_stays(tmp_path: Path, path: Path) -> None:
    edit = ResolvEdit(tmp_path, path)
    edit.update("one", (ONE,), ())
    path.write_text("nameserver 192.0.2.54\n")
    edit.restore("one")
    assert path.read_text() == "nameserver 192.0.2.54\n" and not list(tmp_path.glob("*backup*"))


@pytest.mark.parametrize("way", ["rewritten", "a link"])
def test_nor_is_it_touched_for_a_conn_that_is_still_up(tmp_path: Path, path: Path, way: str) -> None:
    edit = ResolvEdit(tmp_path, path)
    edit.update("one", (ONE,), ())
    edit.update("other", (OTHER,), ())
    stub = tmp_path / "stub"
    stub.write_text("nameserver 192.0.2.54\n")
    path.unlink()
    path.symlink_to(stub) if way == "a link" else path.write_text(stub.read_text())
    edit.restore("other")
    assert path.read_text() == "nameserver 192.0.2.54\n" and path.is_symlink() == (way == "a link")
    if way == "rewritten":
        edit.update("other", (OTHER,), ())
        assert path.read_text().splitlines()[2:] == [f"nameserver {OTHER}", "#was: nameserver 192.0.2.54"]


def test_a_power_cut_leaves_nothing_behind(tmp_path: Path, path: Path) -> None:
    """The run directory is empty afterwards; /etc is as it was."""
    (tmp_path / "run").mkdir()
    ResolvEdit(tmp_path / "run", path).update("one", (ONE,), ("corp.example",))
    for each in (tmp_path / "run").iterdir():
        each.unlink()
    there = path.read_text()
    ResolvEdit(tmp_path / "other gateway", path).sweep()
    assert path.read_text() == there
    ResolvEdit(tmp_path / "run", path).sweep()
    assert path.read_text() == BEFORE


def test_what_looks_like_ours_comes_back_as_it_was(tmp_path: Path, path: Path) -> None:
    path.write_text("#was: nameserver 192.0.2.1\n" + BEFORE)
    edit = ResolvEdit(tmp_path, path)
    edit.update("one", (ONE,), ())
    edit.restore("one")
    assert path.read_text() == "#was: nameserver 192.0.2.1\n" + BEFORE


def test_what_a_killed_daemon_has_left_is_put_right(tmp_path: Path, path: Path) -> None:
    ResolvEdit(tmp_path, path).update("one", (ONE,), ())
    ResolvEdit(tmp_path, path).sweep()
    assert path.read_text() == BEFORE
    path.unlink()
    ResolvEdit(tmp_path, path).sweep()
    assert not path.exists()


def test_a_link_is_another_programs(tmp_path: Path, path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    edit = ResolvEdit(tmp_path, link)
    assert "resolvectl dns" in edit.update("one", (ONE,), ())[0]
    assert edit.restore("one") == () and path.read_text() == BEFORE and link.is_symlink()


def test_a_directory_that_is_read_only(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, data: bytes) -> int:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(HostError, match="Read-only file system: where systemd runs pluto"):
        ResolvEdit(tmp_path, path).update("one", (ONE,), ())
    assert path.read_text() == BEFORE


@pytest.mark.parametrize(("error", "in_place"), [(errno.EROFS, True), (errno.EACCES, True), (errno.ENOSPC, False)])
def test_a_directory_in_which_nothing_can_be_made(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, error: int, in_place: bool
) -> None:
    """Only the file itself may be written (ReadWritePaths=/etc/resolv.conf); a full disk is no reason to cut it."""
    write = Path.write_bytes

    def refuse(self: Path, data: bytes) -> int:
        if self != path:
            raise OSError(error, "refused", str(self))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    edit = ResolvEdit(tmp_path, path)
    if in_place:
        edit.update("one", (ONE,), ())
        assert f"nameserver {ONE}" in path.read_text()
    else:
        with pytest.raises(HostError, match="refused"):
            edit.update("one", (ONE,), ())
        assert path.read_text() == BEFORE


def test_a_record_that_makes_no_sense_is_none(tmp_path: Path, path: Path) -> None:
    for text in ("[1]", "{", '{"x": 3}'):
        (tmp_path / "resolv-conf-conns").write_text(text)
        ResolvEdit(tmp_path, path).restore("one")
        assert path.read_text() == BEFORE
