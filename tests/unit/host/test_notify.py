# SPDX-License-Identifier: GPL-2.0-or-later
"""What a service manager hears, on sockets as sd_notify(3) describes them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from openswan.host.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[socket.socket, str]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@openswan-test-{os.getpid()}"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(name if request.param == "path" else "\0" + name[1:])
    sock.settimeout(2)
    request.addfinalizer(sock.close)
    return sock, name


def test_what_is_said(manager: tuple[socket.socket, str]) -> None:
    sock, name = manager
    ours = Notifier(name)
    ours.ready("2 connections\nREADY=0")
    assert sock.recv(999) == b"READY=1\nSTATUS=2 connections\\012READY=0"
    ours.alive()
    assert sock.recv(999) == b"WATCHDOG=1"
    ours.status("x" * 1000)
    assert sock.recv(999) == b"STATUS=" + b"x" * 512
    ours.stopping("saying goodbye")
    assert sock.recv(999) == b"STOPPING=1\nSTATUS=saying goodbye"


def test_what_is_inherited_is_passed_on_to_nobody() -> None:
    environment = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    assert Notifier.inherit(environment).watchdog == 30.0
    assert environment == {"HOME": "/"}
    assert Notifier.inherit(environment).watchdog == 0.0


@pytest.mark.parametrize(
    "said",
    [
        {"WATCHDOG_USEC": "5000000"},  # nobody to tell
        {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"},  # somebody else's
        {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "-1"},
        {"NOTIFY_SOCKET": "relative", "WATCHDOG_USEC": "5000000"},
    ],
)
def test_no_watchdog(said: dict[str, str]) -> None:
    assert Notifier.inherit(said).watchdog == 0.0


def test_a_manager_that_is_gone_or_does_not_read_costs_nothing(tmp_path: Path) -> None:
    Notifier().alive()
    Notifier(str(tmp_path / "nobody")).alive()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        for _ in range(2000):
            Notifier(str(tmp_path / "deaf")).alive()
