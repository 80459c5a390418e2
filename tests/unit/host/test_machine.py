# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine has, read below another root."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from openswan.host.machine import MOST_OCTETS, Machine


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, value in {
        "proc/sys/net/ipv4/ip_forward": "1\n",
        "proc/sys/net/ipv4/conf/all/rp_filter": "0\n",
        "proc/sys/net/ipv4/conf/lo/rp_filter": "0\n",
        "proc/sys/net/ipv4/conf/eth0/rp_filter": "1\n",
        "proc/sys/net/ipv4/conf/eth1/rp_filter": "x\n",
        "proc/sys/net/ipv4/conf/ipsec0/rp_filter": "0\n",
        "sys/class/net/eth1/operstate": "down\n",
        "proc/big": "x" * (MOST_OCTETS + 9),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
    return tmp_path


def test_settings_and_interfaces(root: Path) -> None:
    machine = Machine(root)
    assert machine.number("ipv4/ip_forward") == 1
    assert machine.number("ipv4/conf/eth1/rp_filter") is None and machine.number("ipv4/none") is None
    assert machine.interfaces() == ["eth0"]
    assert Machine(root / "none").interfaces() == []
    assert machine.devices() == ["all", "eth0", "eth1", "ipsec0", "lo"] and Machine(root / "none").devices() == []
    assert len(machine.text("/proc/big") or "") == MOST_OCTETS


def test_a_device_that_is_not_there_or_is_none_is_said(root: Path) -> None:
    assert Machine(root).device("/dev/net/tun") == "/dev/net/tun: No such file or directory"
    assert Machine(root).device("/proc/big") == "/proc/big is no device"
    assert Machine().device("/dev/null") == ""


def test_who_has_a_port() -> None:
    machine = Machine()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        (found,) = [each for each in machine.bound() if each.port == port]
        assert machine.owner(found.inode)[0] == os.getpid() and found.inode in machine.sockets(os.getpid())
    assert machine.sockets(1 << 30) == set()
    assert machine.owner(1) == (0, "")


def test_files_tools_and_netlink(root: Path) -> None:
    machine = Machine()
    (root / "secret").touch(0o640)
    (root / "secret").chmod(0o640)
    assert machine.mode(root / "secret") == (0o640, os.geteuid()) and machine.mode(root / "none") is None
    assert machine.tool("sh") and not machine.tool("no-such-program")
    assert machine.output("sh", "-c", "echo a; exit 3") == (3, "a\n")
    assert isinstance(machine.queueing(), str)
    assert all(route.device for route in machine.default_routes())
    assert any(device == "lo" for _, device in machine.addresses()) or not machine.addresses()
