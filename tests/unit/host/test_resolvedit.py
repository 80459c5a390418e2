# SPDX-License-Identifier: GPL-2.0-or-later
"""resolv.conf names the peers' DNS servers while their conns are up, and what it said before afterwards."""

from __future__ import annotations

import errno
from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host.resolvedit import BACKUP, HEAD, ResolvEdit

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
    want = f"{HEAD}\nsearch corp.example home.example\nnameserver {ONE}\n# mine\noptions edns0\n"
    assert path.read_text() == want and path.stat().st_mode & 0o777 == 0o640
    # Another process knows of it; who came last is asked first.
    ResolvEdit(tmp_path, path).update("other", (OTHER, ONE), ())
    assert [line for line in path.read_text().splitlines() if "nameserver" in line] == [
        f"nameserver {OTHER}", f"nameserver {ONE}"
    ]  # fmt: skip
    assert edit.restore("other") == () and path.read_text() == want
    edit.restore("one")
    assert path.read_text() == BEFORE and not (tmp_path / BACKUP).exists()
    edit.restore("one")
    assert path.read_text() == BEFORE


def test_what_somebody_has_rewritten_stays(tmp_path: Path, path: Path) -> None:
    edit = ResolvEdit(tmp_path, path)
    edit.update("one", (ONE,), ())
    path.write_text("nameserver 192.0.2.54\n")
    edit.restore("one")
    assert path.read_text() == "nameserver 192.0.2.54\n" and not (tmp_path / BACKUP).exists()


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


def test_a_record_that_makes_no_sense_is_none(tmp_path: Path, path: Path) -> None:
    for text in ("[1]", "{", '{"x": 3}'):
        (tmp_path / "resolv-conf-conns").write_text(text)
        ResolvEdit(tmp_path, path).restore("one")
        assert path.read_text() == BEFORE
