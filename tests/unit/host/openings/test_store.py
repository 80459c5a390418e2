# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of openings, which several processes read and write."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.host.openings.model import to_line
from openswan.host.openings.store import FILE, Openings, Store
from tests.unit.host.openings.samples import opening


def ignore(held: Openings) -> None:
    """Nothing is carried out."""


def test_processes_share_what_one_of_them_opens(tmp_path: Path) -> None:
    daemon, script = Store(tmp_path / FILE), Store(tmp_path / FILE)
    assert daemon.read() == ()
    script.change(lambda held: (*held, opening("a")), ignore)
    daemon.change(lambda held: (*held, opening("b")), ignore)
    assert daemon.read() == script.read() == (opening("a"), opening("b"))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_without_a_path_it_is_one_processs_alone() -> None:
    one, other = Store(None), Store(None)
    one.change(lambda held: (opening(),), ignore)
    assert one.read() == (opening(),) and other.read() == ()


def test_lines_that_make_no_sense_are_none(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe\n{}\n" + to_line(opening()).encode() + b"\n" + b"[" * 99999 + b"\n")
    assert Store(tmp_path / FILE).read() == (opening(),)


def test_nobody_changes_it_while_a_change_is_carried_out(tmp_path: Path) -> None:
    store, locked = Store(tmp_path / FILE), []

    def try_to_lock(held: Openings) -> None:
        assert store.read() == held == (opening(),), "it is written before it is carried out"
        fd = os.open(tmp_path / FILE, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            locked.append(True)
        finally:
            os.close(fd)

    store.change(lambda held: (opening(),), try_to_lock)
    assert locked == [True]


def test_who_reads_without_the_lock_finds_what_was_or_what_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, found = Store(tmp_path / FILE), []
    store.change(lambda held: (opening("a"), opening("b")), ignore)

    def then_read(act: Callable[..., Any]) -> Callable[..., Any]:
        def both(*args: Any) -> Any:
            done = act(*args)
            found.append(store.read())
            return done

        return both

    for name in ("pwrite", "ftruncate"):
        monkeypatch.setattr(os, name, then_read(getattr(os, name)))
    store.change(lambda held: held[1:], then_read(ignore))
    assert len(found) >= 3 and all(opening("b") in each for each in found) and found[-1] == (opening("b"),)


def test_whatever_the_system_refuses_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wait for what becomes of it."""

    def refuse(*args: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = Store(tmp_path / FILE)
    with pytest.raises(HostError, match="No space left"):
        store.change(lambda held: held, refuse)
    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(HostError, match="No space left"):
        store.change(lambda held: (opening(),), ignore)


def test_a_file_that_cannot_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file"):
        Store(tmp_path / "nowhere" / FILE).change(lambda held: held, ignore)
    with pytest.raises(HostError, match="Is a directory"):
        Store(tmp_path).read()
