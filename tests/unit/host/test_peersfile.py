# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of known peers: whole, ours alone, and never a reason not to start."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.engine.effects import KeepPeers
from openswan.host.peersfile import NAME, PeersFile
from openswan.policy.grade import Grade
from openswan.policy.known import MOST_OCTETS, KnownPeer

KNOWN = (KnownPeer(ip_address("10.0.0.7"), False, Grade.CERT, 1, 2, 3),)


class Kept:
    def __init__(self, directory: Path) -> None:
        self.lines: list[str] = []
        self.file = PeersFile(directory, lambda text, serious: self.lines.append(text))


def test_it_is_kept_whole_and_only_for_us(tmp_path: Path) -> None:
    it = Kept(tmp_path)
    assert it.file.recall().known == () and not it.lines
    for _ in range(2):
        it.file.keep(KeepPeers(KNOWN))
    assert it.file.recall().known == KNOWN and not it.lines
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("octets", "mode", "reason"),
    [
        (b"openswan-peers 1\n", 0o622, "others may write it"),
        (b"openswan-peers 2\n", 0o600, "does not begin with"),
        (b"openswan-peers 1\nhost 10.0.0.7 best 1 2 3\n", 0o600, "line 2 is not about a peer"),
        (b"openswan-peers 1\n\xff\n", 0o600, "can't decode"),
        (bytes(MOST_OCTETS + 1), 0o600, f"more than {MOST_OCTETS} octets"),
    ],
    ids=["writable", "version", "line", "octets", "size"],
)
def test_a_bad_one_is_not_used_and_said_in_one_line(tmp_path: Path, octets: bytes, mode: int, reason: str) -> None:
    it = Kept(tmp_path)
    (tmp_path / NAME).write_bytes(octets)
    (tmp_path / NAME).chmod(mode)
    assert it.file.recall().known == ()
    [line] = it.lines
    assert str(tmp_path / NAME) in line and reason in line


def test_a_link_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    it = Kept(tmp_path)
    (tmp_path / "other").write_text("openswan-peers 1\n")
    (tmp_path / NAME).symlink_to("other")
    assert it.file.recall().known == () and len(it.lines) == 1
    it.file.keep(KeepPeers(KNOWN))
    assert (tmp_path / "other").read_text() == "openswan-peers 1\n" and it.file.recall().known == KNOWN


def test_without_a_directory_nothing_is_kept(tmp_path: Path) -> None:
    it = Kept(tmp_path / "missing")
    it.file.keep(KeepPeers(KNOWN))
    assert "cannot be written" in it.lines[0]
