# SPDX-License-Identifier: GPL-2.0-or-later
"""Booting and the init script: nothing in clear before pluto is there, nor before the addresses are.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.traffic import assert_ping, ping

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = ("192.0.2.1/24", "dev", "wan")


def away(lab: Lab) -> None:
    """West as it boots: its wan has no address yet."""
    lab.west.ip("addr", "del", *ADDRESS)


def there(lab: Lab) -> None:
    lab.west.ip("addr", "add", *ADDRESS)
    lab.west.ip("route", "replace", "default", "via", "192.0.2.2")


def nothing_passes(lab: Lab) -> None:
    """Neither forwarded nor of the gateway's own."""
    for host, source in ((lab.sunset, "10.1.0.2"), (lab.west, "10.1.0.1")):
        assert not ping(host, "10.2.0.2", 2, source=source, wait=0.5).received


def test_booting_leaks_nothing(lab: Lab) -> None:
    """The guard unit before the network is there, then the network, then pluto."""
    text = conn("net", NET4, auto="start")
    west, east = Gateway(lab.west, text, SECRETS), Gateway(lab.east, text, SECRETS)
    lab.east.ip("route", "add", "10.1.0.0/24", "via", "192.0.2.1")
    assert ping(lab.sunset, "10.2.0.2", 1).received, "in clear there is a way"
    away(lab)
    west.ipsec("setup", "guard")
    there(lab)
    assert not ping(lab.sunrise, "10.1.0.2", 1, wait=0.5).received, "nor is anything let in"
    with Capture(lab.east) as wire:
        nothing_passes(lab)
        east.start()
        west.start()
        west.wait_tunnels()
        east.wait_tunnels()
        assert_ping(lab.sunset, "10.2.0.2")
        assert_ping(lab.sunrise, "10.1.0.2")
        assert_quiet(wire, INNER)
    west.stop()
    east.stop()
    assert ping(lab.sunset, "10.2.0.2", 1).received, "stop takes it away"
    assert "10.2.0.0" not in lab.west.run("nft", "list", "ruleset").stdout


def test_a_start_before_the_address_is_there(lab: Lab) -> None:
    """Without a guard unit: pluto guards what it cannot route yet, and brings the tunnel up by itself."""
    text = conn("net", NET4, auto="start")
    west, east = Gateway(lab.west, text, SECRETS), Gateway(lab.east, text, SECRETS)
    east.start()
    away(lab)
    with Capture(lab.east) as wire:
        west.start()
        assert "leak guard: in place" in west.status()
        there(lab)
        for _ in range(3):
            lab.sunset.run("ping", "-c", "1", "-W", "0.2", "10.2.0.2", check=False)
        west.wait_tunnels()
        wait_for("traffic", lambda: ping(lab.sunset, "10.2.0.2", 1).received, 15, 0.2)
        assert_quiet(wire, INNER)


class Script:
    """An init script on west, run by a shell."""

    def __init__(self, west: Gateway, shell: str, name: str = "ipsec") -> None:
        self.west, self.words = west, (*shell.split(), str(ROOT / "initscripts" / name))

    def __call__(self, *words: str, **environment: str) -> int:
        env = {**self.west.env, **environment}
        return self.west.host.run(*self.words, *words, check=False, env=env).returncode


def test_the_init_script(lab: Lab) -> None:
    """Exit codes are those of LSB 5, init script actions; traffic in between."""
    text = conn("net", NET4, auto="start")
    west, east = Gateway(lab.west, text, SECRETS), Gateway(lab.east, text, SECRETS)
    east.start()
    script = Script(west, "dash")
    assert script() == script("frob") == script("start", "now") == 2
    assert script("status") == 3
    assert script("start") == script("status") == 0
    west.wait_tunnels()
    assert_ping(lab.sunset, "10.2.0.2")
    assert script("stop") == 0 and script("status") == 3
    assert "10.2.0.0" not in lab.west.run("nft", "list", "ruleset").stdout


def test_the_init_script_restarts_what_runs(lab: Lab) -> None:
    west = Gateway(lab.west, conn("net", NET4, auto="route"), SECRETS)
    script = Script(west, "dash")
    assert script("condrestart") == script("stop") == 0 and not west.pid
    west.start()
    pid = west.pid
    assert script("start") == 0 and west.pid == pid
    assert script("force-reload") == 0 and west.pid not in (0, pid)
    west.kill()
    assert script("status") == 1 and script("stop") == 0
    (west.dir / "ipsec.conf").unlink()
    assert script("start") == 6


def test_init_scripts_in_the_smallest_shell(lab: Lab) -> None:
    west = Gateway(lab.west, conn("net", NET4, auto="route"), SECRETS)
    script, guard = Script(west, "busybox sh"), Script(west, "busybox sh", "ipsec-guard")
    assert guard() == 2 and guard("stop") == 0
    assert guard("start") == 0 and "10.2.0.0" in lab.west.run("nft", "list", "ruleset").stdout
    assert script("start") == script("status") == script("stop") == 0
    assert "10.2.0.0" not in lab.west.run("nft", "list", "ruleset").stdout
    (west.dir / "ipsec.conf").unlink()
    assert guard("start") == 0
    places = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    if shutil.which("ipsec", path=places) is None:
        assert [script(verb, PATH="/bin") for verb in ("start", "status", "stop")] == [5, 4, 0]
