# SPDX-License-Identifier: GPL-2.0-or-later
"""A process that holds descriptors for a daemon that may die; tests/netns/test_keeper.py lets one die."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openswan.host import keeper

Namespace = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def rundir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    keeper.release(tmp_path)


def pair() -> tuple[socket.socket, socket.socket]:
    one, other = socket.socketpair()
    other.settimeout(5)
    return one, other


def test_what_is_kept_stays_open_and_comes_back(rundir: Path) -> None:
    first, far = pair()
    second, other = pair()
    keeper.keep(rundir, {"closed": first})
    assert (rundir / keeper.SOCKET).stat().st_mode & 0o777 == 0o600
    keeper.keep(rundir, {"open": second})
    first.close()
    second.close()
    back = keeper.recall(rundir)
    assert set(back) == {"closed", "open"}
    for name, end in (("closed", far), ("open", other)):
        with back[name] as sock:
            sock.send(name.encode())
        assert end.recv(16) == name.encode()
    keeper.release(rundir)
    assert far.recv(16) == b"" and other.recv(16) == b"", "nobody has them any more"
    assert keeper.recall(rundir) == {}


def test_a_newer_one_takes_the_place_of_one_of_the_same_name(rundir: Path) -> None:
    old, far = pair()
    new, near = pair()
    keeper.keep(rundir, {"open": old})
    old.close()
    keeper.keep(rundir, {"open": new})
    new.close()
    assert far.recv(16) == b""
    keeper.recall(rundir)["open"].close()
    keeper.release(rundir)
    assert near.recv(16) == b""


def test_without_a_keeper_there_is_nothing(tmp_path: Path) -> None:
    assert keeper.recall(tmp_path) == {}
    keeper.release(tmp_path)
    (tmp_path / keeper.SOCKET).write_text("no socket at all")
    assert keeper.recall(tmp_path) == {}


def test_one_that_has_died_is_replaced(rundir: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(rundir / keeper.SOCKET))
    one, far = pair()
    keeper.keep(rundir, {"open": one})
    one.close()
    assert set(keeper.recall(rundir)) == {"open"}
    far.close()


def test_sockets_of_another_network_are_not_taken(rundir: Path, namespace: Namespace) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        keeper.keep(rundir, {"open": sock})
        assert namespace(lambda: sorted(keeper.recall(rundir))) == []
        with keeper.recall(rundir)["open"] as mine:
            assert mine.getsockname() == sock.getsockname()


def test_rubbish_is_refused_and_the_next_one_is_served(tmp_path: Path) -> None:
    path = tmp_path / keeper.SOCKET
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        serving = threading.Thread(target=keeper.serve, args=(listener,))
        serving.start()
        before = len(os.listdir("/proc/self/fd"))
        for text in (b"keep one two", b"keep", b"\xff\xff", b"give", b" "):
            with keeper._connect(tmp_path) as conversation, socket.socket() as extra:
                socket.send_fds(conversation, [text], [extra.fileno()])
                assert conversation.recv(100) == b""
        keeper._connect(tmp_path).close()
        with pytest.raises(OSError, match="does not want"):
            keeper.keep(tmp_path, dict.fromkeys(map(str, range(keeper.MOST + 1)), listener))
        assert len(os.listdir("/proc/self/fd")) <= before
        keeper.release(tmp_path)
        serving.join(5)
        assert not serving.is_alive()
