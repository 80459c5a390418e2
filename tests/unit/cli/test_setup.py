# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec setup`: words and exit codes; the real thing is in tests/netns."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from openswan.base.errors import HostError
from openswan.cli import setup
from openswan.config import files
from openswan.host import cleanup
from openswan.host.guard.guard import Guard
from openswan.host.process import PidState


class World:
    """What setup sees and does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = PidState(False, 0, False)
        self.started: list[list[str]] = []
        self.answer = (0, "Pluto initialized\n", "")
        self.left: list[str] = []
        self.ended: list[int] = []
        self.stubborn = False
        self.ends_when_asked = False
        monkeypatch.setattr(setup.process, "is_root", lambda: True)
        monkeypatch.setattr(setup.process, "pid_state", lambda path: self.state)
        monkeypatch.setattr(setup.process, "start_daemon", self._start)
        monkeypatch.setattr(setup.process, "await_end", self._await_end)
        monkeypatch.setattr(setup.process, "end", self._end)
        self.managed = False
        self.unit: list[str] = []
        self.unit_answer = (0, "")
        monkeypatch.setattr(setup.units, "manages", lambda: self.managed)
        for verb in ("start", "stop"):
            monkeypatch.setattr(setup.units, verb, lambda verb=verb: self.unit.append(verb) or self.unit_answer)
        monkeypatch.setattr(cleanup, "remove_everything", lambda rundir: self.left)

    def _start(self, argv: list[str]) -> tuple[int, str, str]:
        self.started.append(argv[-2:])
        return self.answer

    def _await_end(self, pid: int, patience: float) -> bool:
        if self.ends_when_asked:
            self.state = PidState(False, 0, False)
        return not self.stubborn

    def _end(self, pid: int, patience: float) -> bool:
        self.ended.append(pid)
        return True


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, places: Path) -> World:
    (places / "ipsec.conf").write_text("version 2.0\n")
    return World(monkeypatch)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.removeprefix("ipsec_setup: ") for line in capsys.readouterr().err.splitlines()]


def test_start(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(["start"]) == 0
    assert world.started == [["pluto", "--autostart"]]
    first, last = said(capsys)
    assert first.startswith("Starting Openswan IPsec ") and last == "...Openswan IPsec started"


def test_start_loads_what_the_kernel_has_as_a_module(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Loaded or not, pluto is started: it knows best what it lacks."""
    asked: list[list[str]] = []

    def command(argv: list[str], timeout: float) -> tuple[int, str]:
        asked.append(argv)
        assert not world.started
        return 1, ""

    monkeypatch.setattr(setup.process, "command", command)
    (tmp_path / "there").touch()
    monkeypatch.setattr(setup, "MODULES", ((tmp_path / "there", "loaded"), (tmp_path / "absent", "tun")))
    assert setup.main(["start"]) == 0
    assert asked == [["modprobe", "-q", "tun"]] and world.started


def test_where_systemd_runs_pluto_it_is_asked_to(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.managed = True
    assert setup.main(["start"]) == 0 and world.unit == ["start"] and not world.started
    world.unit_answer = (1, "Job for ipsec.service failed.\n")
    assert setup.main(["start"]) == 1
    assert said(capsys)[-2:] == [
        "Job for ipsec.service failed.",
        "!pluto failure!:  `journalctl -u ipsec.service' has its words",
    ]
    assert setup.main(["stop"]) == 0 and world.unit == ["start", "start", "stop"]


def test_start_when_active(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.state = PidState(True, 7, True)
    assert setup.main(["--start"]) == 0
    assert said(capsys) == ["Openswan IPsec apparently already active, start aborted"] and not world.started


def test_start_after_a_crash(world: World, places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (places / "pluto.pid").write_text("99\n")
    assert setup.main(["start"]) == 0
    assert f"Removing orphaned {places}/pluto.pid:" in said(capsys)
    assert not (places / "pluto.pid").exists()


@pytest.mark.parametrize(("status", "exit_code"), [(10, 1), (1, 1), (3, 3)])
def test_start_that_fails(world: World, capsys: pytest.CaptureFixture[str], status: int, exit_code: int) -> None:
    world.answer = (status, "", "ipsec pluto: the reason\n")
    assert setup.main(["start"]) == exit_code
    assert "ipsec pluto: the reason" in said(capsys)


def test_start_without_configuration(world: World, places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (places / "ipsec.conf").unlink()
    assert setup.main(["start"]) == 6
    assert "ipsec.conf" in said(capsys)[0]


def test_stop_asks_pluto_and_takes_everything_away(
    world: World, pluto: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world.state = PidState(True, 7, True)
    assert setup.main(["stop"]) == 0
    assert pluto.asked == [{"verb": "shutdown", "keep_guard": False}]
    assert said(capsys)[0] == "Stopping Openswan IPsec..." and not world.ended
    world.left = ["ipsec0 is busy"]
    world.state = PidState(False, 0, False)
    assert setup.main(["stop"]) == 1
    words = said(capsys)
    assert "stop ordered, but IPsec appears to be already stopped!" in words and "ipsec0 is busy" in words


def test_stop_kills_what_does_not_answer(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.state, world.stubborn = PidState(True, 7, True), True
    assert setup.main(["stop"]) == 0
    assert "Attempt to shut Pluto down failed!  Trying kill:" in said(capsys) and world.ended == [7]


@pytest.mark.parametrize("verb", ["restart", "force-reload", "try-restart", "condrestart"])
def test_restart_keeps_the_guard(world: World, pluto: Any, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter([PidState(True, 7, True)] * (3 if "try" in verb or "cond" in verb else 2))
    monkeypatch.setattr(setup.process, "pid_state", lambda path: next(states, PidState(False, 0, False)))
    assert setup.main([verb]) == 0
    assert pluto.asked == [{"verb": "shutdown", "keep_guard": True}]
    assert world.started


HELD = '{"connection":"%s","entries":[["10.1.0.0/16","10.2.0.0/16",0,0,0,"ipsec0"]],"block":[]}\n'


@pytest.mark.parametrize("verb", ["restart", "force-reload", "condrestart"])
@pytest.mark.parametrize(
    ("conf", "held", "status", "says"),
    [
        (None, "", 6, "no {}/ipsec.conf: pluto goes on as it was"),
        ("#" * 300, "", 3, "ipsec.conf': larger than 0 MiB: pluto goes on as it was"),
        ("config setup\n\tfrob=yes\n", "", 3, "ipsec.conf:2: config setup: unknown keyword 'frob=yes'"),
        ("conn a\n\tlefft=192.0.2.1\n", "a", 3, "ipsec.conf:2: conn \"a\": unknown keyword 'lefft=192.0.2.1'"),
        ("conn a\n\tlefft=192.0.2.1\n", "a[3]", 3, 'conn "a" is in force and would be lost'),
        ("conn a\n\tlefft=192.0.2.1\n", "a/1x2", 3, "pluto goes on as it was"),
        ("conn a\n\tlefft=192.0.2.1\n", "%manual/a", 3, "ipsec auto --delete a"),
        ("conn a\n\tlefft=192.0.2.1\n", "b", 0, "...Openswan IPsec started"),
        ("conn a\n\tleft=192.0.2.1\n\tright=192.0.2.2\n", "a", 0, "...Openswan IPsec started"),
    ],
)
def test_what_runs_goes_on_when_nothing_could_follow_it(
    world: World,
    pluto: Any,
    places: Path,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    conf: str | None,
    held: str,
    status: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "MOST_OCTETS", 200)
    world.state = PidState(True, 7, True)
    if conf is None:
        (places / "ipsec.conf").unlink()
    else:
        (places / "ipsec.conf").write_text(conf)
    (places / "guard.journal").write_text(HELD % held if held else "")
    if not status:
        # pluto ends in between
        pluto.answers["shutdown"] = []
        world.ends_when_asked = True
    assert setup.main([verb]) == status
    assert any(says.format(places) in line for line in said(capsys))
    assert bool(pluto.asked) == bool(world.started) == (not status)


@pytest.mark.parametrize(
    ("conf", "status", "says"),
    [
        (None, 6, "no {}/ipsec.conf: pluto goes on as it was"),
        ("config setup\n\tfrob=yes\n", 3, "pluto goes on as it was"),
        ("conn a\n\tleft=192.0.2.1\n\tright=192.0.2.2\n", 1, "Pluto is not running"),
    ],
)
def test_a_reload_asks_nothing_when_the_file_makes_no_sense(
    world: World, places: Path, capsys: pytest.CaptureFixture[str], conf: str | None, status: int, says: str
) -> None:
    assert setup.main(["reload"]) == 7 and "nothing to reload" in said(capsys)[0]
    world.state = PidState(True, 7, True)
    (places / "ipsec.conf").unlink()
    if conf is not None:
        (places / "ipsec.conf").write_text(conf)
    assert setup.main(["reload"]) == status
    assert any(says.format(places) in line for line in said(capsys)) and not world.started


def test_conditional_restart_of_nothing(world: World) -> None:
    assert setup.main(["condrestart"]) == 0
    assert not world.started


class Kept:
    """A guard of cardboard."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {"old": ()}
        self.kept = False

    def entries(self) -> dict[str, Any]:
        return dict(self.held)

    def batch(self) -> Any:
        return contextlib.nullcontext()

    def set(self, name: str, entries: Any, block: Any) -> None:
        self.held[name] = entries

    def close(self, keep: bool) -> None:
        self.kept = keep


CONF = """\
conn new
    left=192.0.2.1
    right=192.0.2.2
    auto=start
conn old
    left=192.0.2.1
    right=192.0.2.3
    auto=start
"""


def test_the_guard_alone(
    world: World, places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guard = Kept()
    monkeypatch.setattr(Guard, "open", lambda **more: guard)
    (places / "ipsec.conf").write_text(CONF)
    assert setup.main(["guard"]) == 0
    assert guard.kept and len(guard.held["new"]) == 2 and guard.held["old"] == ()
    assert said(capsys) == ["leak guard in force for 2 connections"] and not world.started
    (places / "ipsec.conf").write_text(CONF + "    lefft=192.0.2.1\n")
    assert setup.main(["guard"]) == 3
    assert said(capsys)[1].endswith("(did you mean 'left'?): it is not guarded")
    world.state = PidState(True, 7, True)
    assert setup.main(["guard"]) == 0 and said(capsys) == ["pluto is running and keeps the guard"]
    world.state = PidState(False, 0, False)

    def refused(**more: Any) -> Guard:
        raise HostError("no leak guard is possible here")

    monkeypatch.setattr(Guard, "open", refused)
    assert setup.main(["guard"]) == 1
    (places / "ipsec.conf").unlink()
    assert setup.main(["guard"]) == 6


def test_status_does_not_guess(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.process, "is_root", lambda: False)
    world.state = PidState(True, 0, False)
    assert setup.main(["status"]) == 4
    world.state = PidState(False, 0, False)
    assert setup.main(["status"]) == 3


def test_status(world: World, pluto: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(["status"]) == 3
    assert capsys.readouterr().out == "IPsec stopped\n"
    world.state = PidState(True, 99, False)
    assert setup.main(["status"]) == 1
    assert "but...\nhas " in capsys.readouterr().out
    world.state = PidState(True, os.getpid(), True)
    assert setup.main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [f"pluto pid {os.getpid()}", "No tunnels up"]
    pluto.answers["status"] = ['000 #2: "x":500 STATE_PARENT_I3 (IPsec SA established); newest IPSEC; eroute owner; x']
    pluto.answers["eroute"] = ["000 0 a -> b => %trap"]
    assert setup.main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["1 tunnels up", "some eroutes exist"]


def test_usage_root_and_version(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    assert setup.main([]) == 2 and setup.main(["frob"]) == 2 and setup.main(["start", "stop"]) == 2
    assert setup.main(["--help"]) == 0 and setup.main(["version"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(setup.process, "is_root", lambda: False)
    assert setup.main(["start"]) == 4
    assert said(capsys) == ["permission denied (must be superuser)"]
    assert setup.main(["status"]) == 3


def test_messages_go_to_syslog_too_where_it_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch, places: Path
) -> None:
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(setup, "to_syslog_as", lambda *args: told.append(args))
    setup.main(["start"])
    assert told == []
    (places / "ipsec.conf").write_text("config setup\n\tsyslog=local1.notice\n")
    setup._also_told.cache_clear()
    setup.main(["start"])
    setup._also_told.cache_clear()
    assert [(tag, where) for tag, where, _ in told] == [("ipsec_setup", "local1.notice")] * 2
    assert told[1][2] == "...Openswan IPsec started"


def test_pluto_that_is_not_wanted(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.answer = (11, "", "ipsec pluto: pluto=no in /etc/ipsec.conf")
    assert setup.main(["start"]) == 0
    assert said(capsys)[-1] == "ipsec pluto: pluto=no in /etc/ipsec.conf"
