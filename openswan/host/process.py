# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes: the pid file with its lock, becoming a daemon, telling the starter that we are ready, running commands."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openswan.base.errors import HostError

TOO_SLOW = 124
"""The exit status of a program that was ended because it took too long."""

GARBAGE = (10_000, 20)
"""New objects before cycles are looked for among them, and such looks before one at those that stayed
(gc.set_threshold; usually 700 and 10)."""


def is_root() -> bool:
    """May this process administer the network?"""
    return os.geteuid() == 0


def age() -> float:
    """Seconds since this process began, with all it took to load the program; 0 when /proc does not tell."""
    try:
        words = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(words[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def hostname() -> str:
    """What uname -n says."""
    return socket.gethostname()


class PidFile:
    """`pluto.pid`, locked for as long as the daemon lives: one left by a killed daemon does not stop the next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock and write our pid; HostError when a living daemon holds it or the directory is not writable."""
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as why:
            raise HostError(f'pluto: cannot create lock file "{self.path}": {why.strerror}') from None
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            self._fd = -1
            raise HostError(f'pluto: lock file "{self.path}" already exists') from None
        self.rewrite()

    def rewrite(self) -> None:
        """Write the pid of the calling process, which holds the lock."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Remove the file and give the lock back."""
        if self._fd >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True, slots=True)
class PidState:
    """What a pid file tells: the pid in it (0: no file or unreadable) and whether its daemon lives."""

    exists: bool
    pid: int
    alive: bool


def pid_state(path: Path) -> PidState:
    """Look at a pid file without taking it; a daemon lives when somebody holds the lock."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as why:
        return PidState(why.errno != errno.ENOENT, 0, False)
    try:
        text = os.read(fd, 32).decode(errors="replace").strip()
        pid = int(text) if text.isdecimal() and text.isascii() else 0
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return PidState(True, pid, True)
        return PidState(True, pid, False)
    finally:
        os.close(fd)


class Readiness:
    """A pipe from the daemon to whoever started it: one line of text, then end of file."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_CLOEXEC)

    def tell(self, line: str) -> None:
        """Say one line and close; nobody listening is fine."""
        if self.writing >= 0:
            try:
                os.write(self.writing, line.encode() + b"\n")
            except OSError:
                pass
            self.close()

    def close(self) -> None:
        """Leave the word to another process."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1


def daemonize(patience: float = 30.0) -> Readiness | None:
    """Go into the background: returns in the daemon with its Readiness; the starter never returns from here.

    The starter waits at most `patience` seconds for one line, prints it and exits 0; `!N text` makes it exit N with the
    text on stderr, and a daemon that dies without a word makes it exit 1.
    """
    ready = Readiness()
    if os.fork():
        os.close(ready.writing)
        os._exit(_await_ready(ready.reading, patience))
    os.close(ready.reading)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    return ready


def _await_ready(fd: int, patience: float) -> int:
    if not select.select([fd], [], [], patience)[0]:
        print("pluto is still starting up", file=sys.stderr, flush=True)
        return 0
    said = os.read(fd, 4096).decode(errors="replace").strip()
    if said.startswith("!"):
        code, _, text = said[1:].partition(" ")
        print(text, file=sys.stderr, flush=True)
        return int(code) if code.isdecimal() else 1
    if not said:
        print("pluto died without exit status!?!", file=sys.stderr, flush=True)
        return 1
    print(said, flush=True)
    return 0


def redirect_standard(log: Path | None) -> None:
    """Point stdin at /dev/null, stdout and stderr at `log` (appended) or /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if log else null
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for fd in {null, out}:
        if fd > 2:
            os.close(fd)


def command(
    argv: Sequence[str], timeout: float = 30.0, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a program to its end; (exit status, what it wrote on both outputs). 127: no such program, 124: too slow."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            env=None if environment is None else dict(environment),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return TOO_SLOW, f"{argv[0]}: no end after {timeout:g} s"
    except OSError as why:
        return 127, f"{argv[0]}: {why.strerror}"
    return done.returncode, done.stdout.decode(errors="replace")


Beside = threading.Thread


def beside(work: Callable[[], None]) -> Beside:
    """Have something done in a thread that keeps nobody from ending."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ipsec_argv(*words: str) -> list[str]:
    """The command line that runs `ipsec WORDS` with this very interpreter and source tree."""
    return [sys.executable, "-m", "openswan.cli.ipsec", *words]


def start_daemon(argv: Sequence[str], timeout: float = 90.0) -> tuple[int, str, str]:
    """Run a program that goes into the background by itself; (exit status, stdout, stderr) of its foreground part.

    One that dies is noticed at once; a small router that boots may take a minute to load a large one.
    """
    environment = {**os.environ, "PYTHONPATH": _source_path()}
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"{argv[0]}: not ready after {timeout:g} s"
    except OSError as why:
        return 127, "", f"{argv[0]}: {why.strerror}"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def _source_path() -> str:
    """This tree in front of PYTHONPATH, so that `-m openswan...` works from any directory."""
    here = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH", "")
    return f"{here}:{inherited}" if inherited else here


def end(pid: int, patience: float, kill: bool = True) -> bool:
    """SIGTERM, wait up to `patience` seconds, then SIGKILL if allowed; True when the process is gone."""
    for number in (signal.SIGTERM, *((signal.SIGKILL,) if kill else ())):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        if await_end(pid, patience):
            return True
    return False


def await_end(pid: int, patience: float) -> bool:
    """Wait until a process that need not be our child has ended; False when it has not within `patience` seconds."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    try:
        return bool(select.select([fd], [], [], patience)[0])
    finally:
        os.close(fd)


def collect_seldom() -> None:
    """Have cycles of garbage looked for seldom, and never among what has been loaded until now.

    What a tunnel needs is made to stay; looking through all of it again and again took an eighth of a set-up.
    """
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def await_path(path: Path, patience: float) -> bool:
    """Wait until `path` exists; False when it does not within `patience` seconds."""
    deadline = time.monotonic() + patience
    while not path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
