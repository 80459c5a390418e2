# SPDX-License-Identifier: GPL-2.0-or-later
"""When pluto is systemd's to start; a systemd that really does it is in tests/deb."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openswan.host import units


class Systemctl:
    """What was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[list[str]] = []
        self.answer = (0, "loaded\n")
        monkeypatch.setattr(units.process, "command", self._command)

    def _command(self, argv: list[str], timeout: float) -> tuple[int, str]:
        self.asked.append(argv)
        return self.answer


@pytest.fixture
def systemctl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Systemctl:
    """A machine that systemd runs, seen from its own network namespace."""
    monkeypatch.setattr(units, "RUNNING", tmp_path)
    monkeypatch.delenv("IPSEC_CONFS", raising=False)
    monkeypatch.delenv("IPSEC_RUNDIR", raising=False)
    monkeypatch.setattr(os, "readlink", lambda path: "net:[1]")
    return Systemctl(monkeypatch)


def test_with_our_unit_it_is(systemctl: Systemctl) -> None:
    assert units.manages()
    assert systemctl.asked == [["systemctl", "show", "--property=LoadState", "--value", "ipsec.service"]]
    systemctl.answer = (0, "not-found\n")
    assert not units.manages()
    systemctl.answer = (127, "systemctl: No such file or directory")
    assert not units.manages()


@pytest.mark.parametrize("name", ["IPSEC_CONFS", "IPSEC_RUNDIR"])
def test_not_with_directories_of_ones_own(systemctl: Systemctl, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/srv/gateway")
    assert not units.manages() and not systemctl.asked


def test_not_elsewhere(systemctl: Systemctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "readlink", lambda path: path)
    assert not units.manages()

    def refused(path: str) -> str:
        raise PermissionError(path)

    monkeypatch.setattr(os, "readlink", refused)
    assert not units.manages()
    monkeypatch.setattr(units, "RUNNING", tmp_path / "absent")
    assert not units.manages() and not systemctl.asked


def test_start_and_stop(systemctl: Systemctl) -> None:
    systemctl.answer = (1, "Job for ipsec.service failed.")
    assert units.start() == units.stop() == (1, "Job for ipsec.service failed.")
    assert [each[1] for each in systemctl.asked] == ["reset-failed", "start", "stop"]
