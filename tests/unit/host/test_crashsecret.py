# SPDX-License-Identifier: GPL-2.0-or-later
"""The crash detection secret: kept, private, and never a reason not to start."""

from __future__ import annotations

from pathlib import Path

from openswan.base.entropy import SeededRng
from openswan.host.crashsecret import NAME, read_or_make


def test_it_is_made_once_and_only_for_us(tmp_path: Path) -> None:
    first, complaint = read_or_make(tmp_path, SeededRng("a"))
    assert len(first) == 32 and not complaint
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert read_or_make(tmp_path, SeededRng("b")) == (first, "")
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_what_others_may_read_or_is_no_secret_is_not_used(tmp_path: Path) -> None:
    first, _ = read_or_make(tmp_path, SeededRng("a"))
    (tmp_path / NAME).chmod(0o644)
    other, complaint = read_or_make(tmp_path, SeededRng("b"))
    assert other != first and len(other) == 32 and "others may read" in complaint
    (tmp_path / NAME).chmod(0o600)
    (tmp_path / NAME).write_bytes(b"short")
    assert "32 octets" in read_or_make(tmp_path, SeededRng("b"))[1]
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).symlink_to("/dev/null")
    assert read_or_make(tmp_path, SeededRng("b"))[1]


def test_without_a_directory_it_serves_this_life(tmp_path: Path) -> None:
    secret, complaint = read_or_make(tmp_path / "missing", SeededRng("a"))
    assert len(secret) == 32 and "cannot be written" in complaint
