# SPDX-License-Identifier: GPL-2.0-or-later
"""Daemons that die without a word, interfaces that go away and come back: on real wires, nothing in clear.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import time

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import pair
from tests.netns.traffic import assert_ping, ping


def test_a_killed_daemon_is_noticed_by_the_first_packet(lab: Lab) -> None:
    """East only answers. West's next packet meets a daemon without memory, which proves that it has none."""
    both = pair(lab, conn("net", NET4, auto="add", leftid="@west", rightid="@east"))
    both.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    assert (both.east.dir / "ipsec.d" / "crash-detection-secret").stat().st_mode & 0o777 == 0o600
    with Capture(lab.west) as wire:
        both.east.kill()
        both.east.start()
        begun = time.monotonic()
        lab.sunset.run("ping", "-c", "1", "-W", "0.2", "10.2.0.2", check=False)
        wait_for("the proof", lambda: "crash detection token proves" in both.west.log(), 5, 0.02)
        both.settle()
        took = time.monotonic() - begun
        assert_ping(lab.sunset, "10.2.0.2")
        assert_ping(lab.sunrise, "10.1.0.2")
        assert_quiet(wire, INNER)
    assert took < 4, took


def test_an_interface_goes_down_and_comes_back(lab: Lab) -> None:
    """Without a restart; what is sent meanwhile leaves nowhere in clear."""
    here = {"left": "%defaultroute", "leftid": "@west", "rightid": "@east", "auto": "start"}
    west = Gateway(lab.west, conn("net", NET4, **here), SECRETS)
    east = Gateway(lab.east, conn("net", NET4, left="%any", leftid="@west", rightid="@east", auto="add"), SECRETS)
    east.start()
    west.start()
    west.wait_tunnels()
    east.wait_tunnels()
    assert_ping(lab.sunset, "10.2.0.2")
    pid = west.pid
    with Capture(lab.east) as wire:
        lab.west.ip("link", "set", "wan", "down")
        wait_for("west to notice", lambda: "shutting down interface" in west.log(), 5, 0.1)
        lab.sunset.run("ping", "-c", "2", "-i", "0.2", "-W", "0.3", "10.2.0.2", check=False)
        lab.west.ip("link", "set", "wan", "up")
        lab.west.ip("route", "replace", "default", "via", "192.0.2.2", "dev", "wan")
        west.wait_tunnels()
        wait_for("traffic", lambda: ping(lab.sunset, "10.2.0.2", 1).received, 15, 0.2)
        assert_quiet(wire, INNER)
    # Another address, without MOBIKE: a new negotiation from there.
    lab.west.sysctl(ipv4__conf__all__promote_secondaries=1)
    lab.west.ip("addr", "add", "192.0.2.44/24", "dev", "wan")
    lab.west.ip("addr", "del", "192.0.2.1/24", "dev", "wan")
    lab.west.ip("route", "replace", "default", "via", "192.0.2.2", "dev", "wan", "src", "192.0.2.44")
    wait_for("the tunnel from the new address", lambda: "192.0.2.44" in east.ipsec("spi").stdout, 15, 0.2)
    wait_for("traffic", lambda: ping(lab.sunset, "10.2.0.2", 1).received, 15, 0.2)
    assert west.pid == pid
