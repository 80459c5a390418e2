# SPDX-License-Identifier: GPL-2.0-or-later
"""Manually keyed conns and the tables changed by hand, between two real gateways.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import os

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, NET6, conn
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import Pair, pair
from tests.netns.traffic import assert_ping, learn_path, ping, transfer


def keyed(name: str, base: dict[str, str], **more: str) -> str:
    """A manually keyed conn with fresh keys of AES-256 and SHA2-256."""
    values = {name: value for name, value in base.items() if name != "authby"}
    values |= {"espenckey": "0x" + os.urandom(32).hex(), "espauthkey": "0x" + os.urandom(32).hex()}
    return conn(name, values, **{"spibase": "0x200", "esp": "aes256-sha2_256", **more})


HOSTS = {"leftsubnet": "", "rightsubnet": "", "type": "transport"}
AH = {"ah": "hmac-sha1-96", "ahkey": "0x" + os.urandom(20).hex()}


def everywhere(both: Pair, *words: str) -> None:
    for gateway in (both.east, both.west):
        gateway.ipsec("manual", *words)


@pytest.mark.matrix
@pytest.mark.parametrize("family", [4, 6])
def test_a_tunnel_comes_and_goes_without_a_packet_in_clear(lab: Lab, family: int) -> None:
    base, far = (NET4, "10.2.0.2") if family == 4 else (NET6, "2001:db8:2::2")
    both = pair(lab, keyed("net", base))
    with Capture(lab.west) as wire:
        everywhere(both, "--up", "net")
        learn_path(lab.sunset, far, 1472)
        for size in (56, 1400, 4000):
            assert_ping(lab.sunset, far, 2, size=size)
        assert transfer(lab.sunset, lab.sunrise, far, 1 << 20).intact
        assert "manual; up" in both.west.ipsec("manual", "--status").stdout
        done = both.west.ipsec("manual", "--up", "net", check=False)
        assert done.returncode == 1 and "is up already" in done.stderr
        # Down: the route and the guard stay, nothing gets through and nothing gets out.
        both.west.ipsec("manual", "--down", "net")
        assert ping(lab.sunset, far, 3, wait=0.3).received == 0
        assert not both.west.eroutes() and "spi" not in both.west.ipsec("spi").stdout
        both.west.ipsec("manual", "--up", "net")
        # The peer's replay window has seen these sequence numbers already, which is why keys should last one life only.
        both.east.ipsec("manual", "--down", "net")
        both.east.ipsec("manual", "--up", "net")
        assert_ping(lab.sunset, far, 2)
        wire.close()
        assert_quiet(wire, INNER)
        assert wire.count()["esp"] > 20
    everywhere(both, "--delete", "net")
    assert both.west.ipsec("manual", "--status").stdout == ""
    assert ping(lab.sunset, far, 2).lost == 0


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("more", "kind"), [(HOSTS, "esp"), ({**HOSTS, **AH}, "proto-51"), (AH, "proto-51"), ({**AH, "esp": ""}, "proto-51")]
)
def test_transport_mode_and_ah(lab: Lab, more: dict[str, str], kind: str) -> None:
    both = pair(lab, keyed("net", NET4, **more))
    host = "type" in more
    near, far, there = (lab.west, lab.east, "192.0.2.2") if host else (lab.sunset, lab.sunrise, "10.2.0.2")
    with Capture(lab.west) as wire:
        everywhere(both, "--up", "net")
        assert_ping(near, there, 2)
        assert transfer(near, far, there, 1 << 20).intact
        wire.close()
        # AH does not hide anything, so only what it stands in counts.
        kinds = wire.count()
    assert kinds[kind] > 100 and not set(kinds) - {kind, "arp", "nd", "mld"}, kinds
    assert len(both.west.ipsec("spigrp").stdout.splitlines()) == 2


def test_what_is_refused(lab: Lab) -> None:
    both = pair(
        lab, keyed("net", NET4) + keyed("again", NET4, leftsubnet="10.9.0.0/24") + keyed("gcm", NET4, esp="aes_gcm")
    )
    both.west.ipsec("manual", "--up", "net")
    for name, why in (("again", "SA already in use.  Delete old one first."), ("gcm", "is refused for manual keying")):
        done = both.west.ipsec("manual", "--up", name, check=False)
        assert done.returncode == 1 and why in done.stderr, done.stderr
    assert len(both.west.eroutes()) == 1
    done = both.west.ipsec("auto", "--add", "net", check=False)
    assert done.returncode and "use ipsec manual --up net" in done.stderr


def test_conns_that_come_up_with_the_daemon(lab: Lab) -> None:
    both = pair(lab, keyed("net", NET4, auto="manual"))
    both.settle()
    assert_ping(lab.sunset, "10.2.0.2")


def test_interfaces_by_hand(lab: Lab) -> None:
    """ipsec1 on a line that comes and goes."""
    both = pair(lab, "")
    west = both.west

    def table() -> str:
        return west.ipsec("tncfg").stdout

    west.ipsec("tncfg", "--create", "ipsec1")
    assert "ipsec1 -> NULL mtu=0(0) -> 0" in table()
    lab.wire("west", "ppp0", "sunset", "line")
    lab.address("west", "ppp0", "198.51.100.1/24")
    wait_for("the line", lambda: "ppp0" in west.log(), 5)
    west.ipsec("tncfg", "--attach", "--virtual", "ipsec1", "--physical", "ppp0")
    assert "ipsec1 -> ppp0" in table() and "ipsec0 -> wan" in table()
    lab.west.ip("link", "del", "ppp0")
    wait_for("the line's end", lambda: "ipsec1 -> NULL" in table(), 5)
    lab.wire("west", "ppp0", "sunset", "line", 1400)
    lab.address("west", "ppp0", "198.51.100.1/24")
    wait_for("the line's return", lambda: "ipsec1 -> ppp0 mtu=1400(1400) -> 1400" in table(), 5)
    done = west.ipsec("tncfg", "--attach", "--virtual", "ipsec2", "--physical", "nowhere", check=False)
    assert done.returncode == 1 and "there is no interface nowhere" in done.stderr
    west.ipsec("tncfg", "--detach", "--virtual", "ipsec1")
    assert "ipsec1 -> NULL" in table()
    west.ipsec("tncfg", "--delete", "--virtual", "ipsec1")
    assert "ipsec1" not in table() and "ipsec1" not in lab.west.ip("link")
    done = west.ipsec("tncfg", "--delete", "--virtual", "ipsec0", check=False)
    assert done.returncode == 1 and "asks for ipsec0" in done.stderr


def test_klipsdebug_tells_what_is_dropped(lab: Lab) -> None:
    both = pair(lab, keyed("net", NET4))
    both.west.ipsec("klipsdebug", "--set", "tunnel-xmit")
    both.west.ipsec("manual", "--route", "net")
    assert ping(lab.sunset, "10.2.0.2", 3, wait=0.2).received == 0
    wait_for("a line", lambda: "klips_debug:xmit: shunt SA of DROP or no eroute: dropping. (" in both.west.log(), 5)
    assert "debug_tunnel_xmit=00000001." in both.west.ipsec("klipsdebug").stdout
