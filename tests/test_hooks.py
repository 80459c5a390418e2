# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook of pppd, ifupdown and networkd-dispatcher for interfaces that come or go, in shells that know little."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

HOOK = Path(__file__).resolve().parents[1] / "initscripts" / "hooks" / "listen"
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"]}
FAKE = """#!/bin/sh
echo "$*" >> {0}/told
read -r line < {0}/never
"""
"""An `ipsec` that does not end before it is let."""


class Machine:
    """Where the hook looks: a directory of programs and one of pluto's."""

    def __init__(self, directory: Path) -> None:
        self.dir = directory
        self.told = directory / "told"
        os.mkfifo(directory / "never")
        ipsec = directory / "ipsec"
        ipsec.write_text(FAKE.format(directory))
        ipsec.chmod(0o755)

    def run(self, shell: str, **environment: str) -> None:
        """The hook succeeds at once and says nothing."""
        done = subprocess.run(
            [*SHELLS[shell], HOOK],
            env={"PATH": f"{self.dir}:/usr/bin:/bin", "IPSEC_RUNDIR": str(self.dir), **environment},
            capture_output=True,
            timeout=20,
            check=True,
        )
        assert done.stdout == done.stderr == b""

    def heard(self) -> list[str]:
        """What pluto was told by now; whoever waits may end."""
        end = time.monotonic() + 10
        while not (self.told.exists() and self.told.stat().st_size) and time.monotonic() < end:
            time.sleep(0.01)
        fd = os.open(self.dir / "never", os.O_RDWR)
        os.write(fd, b"go\n")
        return self.told.read_text().splitlines()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", ["PPP_IFACE", "IFACE"])
def test_pluto_is_told_and_nobody_waits_for_it(tmp_path: Path, shell: str, name: str) -> None:
    machine = Machine(tmp_path)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "pluto.ctl"))
        machine.run(shell, **{name: "ppp0"})
        assert machine.heard() == ["whack --listen"]


@pytest.mark.parametrize("shell", SHELLS)
def test_some_interfaces_are_nobodys_business(tmp_path: Path, shell: str) -> None:
    machine = Machine(tmp_path)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "pluto.ctl"))
        for interface in ("lo", "ipsec0", "ipsec12", "--all"):
            machine.run(shell, IFACE=interface)
        machine.run(shell, IFACE="ipsecure0")
        assert machine.heard() == ["whack --listen"]


@pytest.mark.parametrize("shell", SHELLS)
def test_without_pluto_nothing_happens(tmp_path: Path, shell: str) -> None:
    machine = Machine(tmp_path)
    machine.run(shell, IFACE="eth0")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "pluto.ctl"))
        (tmp_path / "ipsec").unlink()
        machine.run(shell, IFACE="eth0")
    assert not machine.told.exists()


def test_the_package_puts_it_where_each_program_looks() -> None:
    debian = HOOK.parents[2] / "debian"
    assert "initscripts/hooks/listen usr/libexec/openswan\n" in (debian / "openswan.install").read_text()
    links = dict(reversed(line.split()) for line in (debian / "openswan.links").read_text().splitlines())
    places = {f"etc/ppp/{when}.d" for when in ("ip-up", "ip-down", "ipv6-up", "ipv6-down")}
    places |= {f"etc/network/{when}.d" for when in ("if-up", "if-post-down")}
    places |= {f"etc/networkd-dispatcher/{state}.d" for state in ("routable", "degraded", "off")}
    assert links == {f"{place}/openswan": "usr/libexec/openswan/listen" for place in places}


def test_shellcheck_has_nothing_to_say() -> None:
    done = subprocess.run(["shellcheck", HOOK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
