# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting the daemon for real, in a network namespace of its own: lock, readiness, refusals, signals, the end."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from openswan.cli.talk import request
from openswan.daemon import main as daemon
from openswan.host import process

ROOT = Path(__file__).resolve().parents[3]
CONF = """\
version 2.0

conn here-there
    left=192.0.2.1
    right=192.0.2.2
    authby=secret
    auto=route

conn broken
    left=192.0.2.1
    lefft=192.0.2.1
"""
NETWORK = "ip link set lo up; ip link add eth0 type veth peer name far; ip addr add 192.0.2.1/24 dev eth0; \
ip link set eth0 up; ip link set far up; "


class Box:
    """A namespace with one interface, a configuration, and commands run in there."""

    def __init__(self, directory: Path) -> None:
        self.dir = directory
        (directory / "ipsec.conf").write_text(CONF)
        secrets = directory / "ipsec.secrets"
        secrets.write_text(': PSK "x"\n')
        secrets.chmod(0o600)
        self.env = {**os.environ, "IPSEC_CONFS": str(directory), "IPSEC_RUNDIR": str(directory)}
        self.holder = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", NETWORK + "echo up; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.holder.stdout and self.holder.stdout.readline() == "up\n"

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", "-n", "-t", str(self.holder.pid), *words],
            env={**self.env, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def ipsec(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "openswan.cli.ipsec", *words, **environment)

    @property
    def pid(self) -> int:
        return process.pid_state(self.dir / "pluto.pid").pid

    def close(self) -> None:
        state = process.pid_state(self.dir / "pluto.pid")
        if state.alive:
            process.end(state.pid, 5.0)
        self.holder.communicate()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    yield made
    made.close()


def test_one_life(box: Box) -> None:
    done = box.ipsec("pluto", "--autostart")
    assert (done.returncode, done.stdout) == (0, "Pluto initialized\n")
    assert re.fullmatch(r""".*/ipsec.conf:11: conn "broken": unknown keyword 'lefft=.*\n""", done.stderr)
    pid = box.pid
    assert os.stat(box.dir / "pluto.ctl").st_mode & 0o777 == 0o600

    again = box.ipsec("pluto")
    assert again.returncode == 10
    assert again.stderr == f'pluto: lock file "{box.dir}/pluto.pid" already exists\n'

    eroute = box.ipsec("eroute").stdout
    assert "192.0.2.1/32" in eroute and "=> %trap" in eroute
    assert "ipsec0 -> eth0" in box.ipsec("tncfg").stdout
    assert "here-there" in box.ipsec("eroute", "--match", "192.0.2.1", "192.0.2.2").stdout
    assert '"here-there"' in box.ipsec("auto", "--status").stdout
    assert box.ipsec("whack", "--frob").returncode == 1
    assert next(iter(request("nonsense", ctlbase=str(box.dir / "pluto"))))[0] != 0

    os.kill(pid, signal.SIGHUP)
    assert box.ipsec("setup", "status").returncode == 0
    os.kill(pid, signal.SIGTERM)
    assert process.await_end(pid, 10.0)
    log = (box.dir / "pluto.log").read_text()
    for line in (
        "Starting Pluto (Openswan Version ",
        "unknown keyword 'lefft",
        'added connection description "here-there"',
        "listening for IKE messages",
        "Pluto ignores SIGHUP",
        "pluto has ended",
    ):
        assert line in log
    assert "EXPECTATION FAILED" not in log
    # SIGTERM is what a restart sends: protection stays.
    assert "drop" in box.run("nft", "list", "ruleset").stdout
    assert "10.2.0.0" not in box.run("ip", "route", "show", "table", "50").stdout
    assert box.run("ip", "link", "show", "ipsec0").returncode == 0
    assert not (box.dir / "pluto.ctl").exists() and not (box.dir / "pluto.pid").exists()


def test_shutdown_through_whack_leaves_nothing(box: Box) -> None:
    before = box.run("sh", "-c", "ip -br link; ip rule; nft list ruleset").stdout
    assert box.ipsec("setup", "start").returncode == 0
    assert box.run("ip", "link", "show", "ipsec0").returncode == 0
    done = box.ipsec("setup", "stop")
    assert done.returncode == 0, done.stderr
    assert box.run("sh", "-c", "ip -br link; ip rule; nft list ruleset").stdout == before
    assert box.ipsec("setup", "status").returncode == 3


def test_the_starter_hears_what_is_wrong_with_the_files(box: Box) -> None:
    (box.dir / "ipsec.secrets").chmod(0o644)
    done = box.ipsec("setup", "start")
    assert done.returncode == 0
    assert re.search(r"^ipsec_setup: .*ipsec.conf:11: conn \"broken\": unknown keyword", done.stderr, re.MULTILINE)
    assert re.search(r"^ipsec_setup: '.*ipsec.secrets' is refused: .* run: chmod 600 ", done.stderr, re.MULTILINE)
    (box.dir / "ipsec.conf").write_text("version 2.0\n" + "".join(f"conn c{i}\n\tlefft=x\n" for i in range(99)))
    told = box.ipsec("setup", "restart").stderr
    assert told.count("unknown keyword") == daemon.MOST_TOLD and "... and 80 more; see the log" in told


def test_a_restart_that_would_lose_a_conn_does_not_happen(box: Box) -> None:
    assert box.ipsec("setup", "start").returncode == 0
    pid = box.pid
    (box.dir / "ipsec.conf").write_text(CONF.replace("right=", "rihgt="))
    done = box.ipsec("setup", "restart")
    assert done.returncode == 3 and "unknown keyword 'rihgt=192.0.2.2'" in done.stderr
    assert box.pid == pid and box.ipsec("setup", "status").returncode == 0


def test_a_killed_daemon_is_followed_by_the_next(box: Box) -> None:
    assert box.ipsec("setup", "start").returncode == 0
    first = box.pid
    os.kill(first, signal.SIGKILL)
    assert process.await_end(first, 5.0)
    assert "drop" in box.run("nft", "list", "ruleset").stdout
    assert box.ipsec("setup", "status").returncode == 1
    done = box.ipsec("setup", "start")
    assert done.returncode == 0 and box.pid not in (0, first)


def test_it_starts_at_once_though_no_dns_server_answers(box: Box) -> None:
    (box.dir / "ipsec.conf").write_text(
        CONF.replace("right=192.0.2.2", "right=gw.example.org", 1).replace("route", "start")
    )
    (box.dir / "resolv.conf").write_text("nameserver 192.0.2.77\n")
    script = f'mount --bind {box.dir}/resolv.conf $(realpath /etc/resolv.conf) && exec "$@"'
    begin = os.times().elapsed
    done = box.run(
        "unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-m", "openswan.cli.ipsec", "setup", "start"
    )
    assert done.returncode == 0, done.stderr
    # A resolver's patience is 10 s. (How long a start takes when the machine has time is measured in tests/bench.)
    assert os.times().elapsed - begin < 9.0


def in_the_foreground(box: Box, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            "nsenter", "-n", "-t", str(box.holder.pid),
            sys.executable, "-m", "openswan.cli.ipsec", "pluto", "--nofork", "--stderrlog", "--autostart",
        ],
        env={**box.env, **environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def test_standing_in_the_foreground(box: Box) -> None:
    child = in_the_foreground(box)
    assert child.stdout and child.stdout.readline() == "Pluto initialized\n"
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=15)
    assert child.returncode == 0 and "pluto has ended" in err


@contextmanager
def stopped(thread: int) -> Iterator[None]:
    """One thread of another process stands still meanwhile (ptrace(2): SEIZE, INTERRUPT, DETACH)."""
    ptrace = ctypes.CDLL(None).ptrace
    assert ptrace(0x4206, thread, None, None) == 0 and ptrace(0x4207, thread, None, None) == 0
    os.waitpid(thread, 0x40000000)
    try:
        yield
    finally:
        ptrace(17, thread, None, None)


def test_a_service_manager_hears_of_it_while_every_packet_thread_turns(box: Box) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(box.dir / "notify"))
        manager.settimeout(10)
        child = in_the_foreground(box, NOTIFY_SOCKET=str(box.dir / "notify"), WATCHDOG_USEC="900000")
        assert manager.recv(999) == b"READY=1\nSTATUS=1 connections of ipsec.conf"
        assert [manager.recv(999) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        threads = sorted(int(task.name) for task in Path(f"/proc/{child.pid}/task").iterdir())
        # The packet threads are the first that are made.
        with stopped(next(thread for thread in threads if thread != child.pid)):
            manager.settimeout(1.5)
            # Two may be under way: the look before, and the one that has seen the thread turn for the last time.
            with pytest.raises(TimeoutError):
                for _ in range(3):
                    manager.recv(999)
            assert box.ipsec("whack", "--status").returncode == 0
        manager.settimeout(10)
        assert manager.recv(999) == b"WATCHDOG=1"
        child.send_signal(signal.SIGTERM)
        while (said := manager.recv(999)) == b"WATCHDOG=1":
            pass
        assert said == b"STOPPING=1\nSTATUS=saying goodbye to peers"
        _, err = child.communicate(timeout=15)
        assert re.search(r"packet thread \d+ of \d+ is stuck: the watchdog is not fed", err), err
        assert "turns again" in err and child.returncode == 0


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["--frob"], 1, "unrecognized option `--frob'"),
        (["--listen", "x"], 1, "'x' is not a numeric IP address"),
        (["--ikeport", "99999"], 1, "--ikeport: '99999' is not a number"),
        (["--autostart", "--config", "/no/such"], 3, "can not load config '/no/such'"),
        (["--logfile", "/no/such/log"], 1, "cannot write the log to /no/such/log"),
        (["--ctlbase", "/dev/null/x"], 10, "cannot make /dev/null"),
    ],
)
def test_refusals_are_one_line_and_an_exit_status(box: Box, words: list[str], status: int, complaint: str) -> None:
    done = box.ipsec("pluto", *words)
    assert done.returncode == status
    assert complaint in done.stderr and "Traceback" not in done.stderr


def test_no_tun_device_is_one_line(box: Box) -> None:
    script = 'mount -t tmpfs none /dev/net && exec "$@"'
    done = box.run(
        "unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-m", "openswan.cli.ipsec", "setup", "start"
    )
    assert done.returncode == 1
    assert "/dev/net/tun is missing: the kernel needs TUN support" in done.stderr and "Traceback" not in done.stderr
    assert not process.pid_state(box.dir / "pluto.pid").alive


def test_not_root(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.process, "is_root", lambda: False)
    assert daemon.main([]) == 1
    assert capsys.readouterr().err == "ipsec pluto: permission denied (must be root)\n"
    assert daemon.main(["--help"]) == 0 and daemon.main(["--version"]) == 0


def test_commands_of_config_setup_round_a_start(box: Box) -> None:
    """prepluto= before, and no start when it fails; postpluto= once whack is answered; the log as it is said."""
    conf = box.dir / "ipsec.conf"
    conf.write_text('config setup\n\tprepluto="echo no luck; exit 7"\n')
    failed = box.ipsec("setup", "start")
    assert failed.returncode == 1 and not process.pid_state(box.dir / "pluto.pid").alive
    assert "prepluto=`echo no luck; exit 7' failed with status 7" in failed.stderr and "no luck" in failed.stderr
    conf.write_text(
        f'config setup\n\tprepluto="touch {box.dir}/before"\n\tpostpluto="ipsec whack --version; touch {box.dir}/after"'
        f'\n\tplutoopts="--keep-alive 7"\n\tplutostderrlog={box.dir}/log\n\tplutostderrlogtime=no\n\tlogip=no\n'
        f"\tlogappend=no\n\tdumpdir={box.dir}\n"
    )
    (box.dir / "log").write_text("old\n")
    assert box.ipsec("setup", "start").returncode == 0
    assert (box.dir / "before").exists() and process.await_path(box.dir / "after", 10.0)
    log = (box.dir / "log").read_text()
    assert log.startswith("pluto[") and "old" not in log
    assert "<address>" in log and "192.0.2.1" not in log
    assert Path(f"/proc/{box.pid}/cwd").resolve() == box.dir


def test_pluto_no_is_no_failure(box: Box) -> None:
    (box.dir / "ipsec.conf").write_text("config setup\n\tpluto=no\n")
    done = box.ipsec("setup", "start")
    assert done.returncode == 0 and "pluto=no in " in done.stderr and "started" not in done.stderr
    assert not process.pid_state(box.dir / "pluto.pid").alive


def test_a_crash_is_followed_by_a_start_where_it_is_asked_for(box: Box) -> None:
    (box.dir / "ipsec.conf").write_text("config setup\n\tplutorestartoncrash=yes\n")
    assert box.ipsec("setup", "start").returncode == 0
    first = box.pid
    os.kill(first, signal.SIGSEGV)
    assert process.await_end(first, 10.0)
    deadline = time.monotonic() + 20
    while box.pid in (0, first) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert box.pid not in (0, first)
    assert "!pluto failure!:  killed by SIGSEGV" in (box.dir / "pluto.log").read_text()
    assert box.ipsec("setup", "stop").returncode == 0
    assert not process.pid_state(box.dir / "pluto.pid").alive
