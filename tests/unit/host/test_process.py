# SPDX-License-Identifier: GPL-2.0-or-later
"""Pid files, readiness, commands and their ends."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from openswan.base.errors import HostError
from openswan.host import process

ROOT = Path(__file__).resolve().parents[3]


def python(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_how_old_a_process_is() -> None:
    code = "import time; from openswan.host import process; time.sleep(0.3); print(process.age())"
    out, _ = python(code).communicate()
    assert 0.3 <= float(out) < 60.0


def test_pid_file_is_locked_while_its_daemon_lives_and_free_once_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "pluto.pid"
    holder = python(
        """
        import sys
        from pathlib import Path
        from openswan.host.process import PidFile
        PidFile(Path(sys.argv[1])).acquire()
        print("held", flush=True)
        sys.stdin.read()
        """,
        str(path),
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    assert process.pid_state(path) == process.PidState(True, holder.pid, True)
    with pytest.raises(HostError, match=r'pluto: lock file ".*pluto\.pid" already exists'):
        process.PidFile(path).acquire()
    holder.kill()
    holder.communicate()
    assert process.pid_state(path) == process.PidState(True, holder.pid, False)
    mine = process.PidFile(path)
    mine.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    mine.release()
    assert process.pid_state(path) == process.PidState(False, 0, False)


def test_pid_file_in_a_missing_directory_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot create lock file .*No such file"):
        process.PidFile(tmp_path / "absent" / "pluto.pid").acquire()


def test_pid_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "pluto.pid").symlink_to(victim)
    with pytest.raises(HostError):
        process.PidFile(tmp_path / "pluto.pid").acquire()
    assert victim.read_text() == "precious"


DAEMON = """
    import sys
    from openswan.host.process import daemonize
    ready = daemonize(5.0)
    if sys.argv[1]:
        ready.tell(sys.argv[1])
"""


@pytest.mark.parametrize(
    ("said", "status", "out", "err"),
    [
        ("Pluto initialized", 0, "Pluto initialized\n", ""),
        ("!10 already there", 10, "", "already there\n"),
        ("", 1, "", "pluto died without exit status!?!\n"),
    ],
)
def test_the_starter_prints_what_the_daemon_says_and_exits_as_told(said: str, status: int, out: str, err: str) -> None:
    starter = python(DAEMON, said)
    assert starter.communicate(timeout=10) == (out, err)
    assert starter.returncode == status


def test_command_gives_status_and_both_outputs() -> None:
    assert process.command(["sh", "-c", "echo out; echo err >&2; exit 3"]) == (3, "out\nerr\n")
    assert process.command(["/no/such/program"])[0] == 127
    assert process.command(["sleep", "5"], timeout=0.05)[0] == 124


def test_end_waits_and_kills_what_ignores_sigterm() -> None:
    stubborn = python(
        "import signal, sys; signal.signal(15, signal.SIG_IGN); print('up', flush=True); sys.stdin.read()"
    )
    assert stubborn.stdout and stubborn.stdout.readline() == "up\n"
    assert not process.end(stubborn.pid, 0.1, kill=False)
    assert process.end(stubborn.pid, 2.0)
    stubborn.communicate()
    assert process.await_end(stubborn.pid, 0.0)


def test_ipsec_argv_runs_this_tree() -> None:
    status, out, err = process.start_daemon(process.ipsec_argv("--versioncode"))
    assert (status, err) == (0, "")
    assert out.endswith(" (klips)\n")


def test_await_path(tmp_path: Path) -> None:
    assert process.await_path(tmp_path, 0.0)
    assert not process.await_path(tmp_path / "absent", 0.05)


def test_what_is_loaded_is_not_looked_through_for_garbage() -> None:
    done = python("""
        import gc
        from openswan.host import process
        process.collect_seldom()
        print(gc.get_freeze_count() > 1000, gc.isenabled(), gc.get_threshold()[:2] == process.GARBAGE)
    """)
    assert done.communicate(timeout=30)[0].split() == ["True", "True", "True"]
