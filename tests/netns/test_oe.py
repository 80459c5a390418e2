# SPDX-License-Identifier: GPL-2.0-or-later
"""Opportunistic encryption between hosts that know nothing of each other but the same few lines of ipsec.conf.

west =======wan======= east ----lan---- sunrise
192.0.2.1        192.0.2.2             10.2.0.2
2001:db8::1      2001:db8::2
"""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.netns.capture import QUIET, Capture, assert_quiet
from tests.netns.conns import conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.test_hostile import inject
from tests.netns.test_leaks import forged
from tests.netns.traffic import Receiver, ping, transfer, udp_socket

HERE = {"left": "%defaultroute", "right": "%opportunisticgroup", "authby": "null", "keyingtries": "1", "auto": "route"}
CONF = (
    conn("private", HERE, failureshunt="drop")
    + conn("private-or-clear", HERE, failureshunt="passthrough")
    + conn("clear-or-private", HERE, type="passthrough")
    + conn("clear", HERE, right="%group", authby="never", type="passthrough")
    + conn("block", HERE, right="%group", authby="never", type="reject")
)
NETS = "192.0.2.0/24\n2001:db8::/64\n"
each_family = pytest.mark.parametrize("target", ["192.0.2.2", "2001:db8::2"], ids=["ipv4", "ipv6"])


def host(lab: Lab, name: str, resolv: str | None = None, more: str = "", **groups: str) -> Gateway:
    """One of our hosts with these files of policy groups, started; `more` are further conns."""
    gateway = Gateway(lab[name], CONF + more, resolv=resolv)
    for group, text in groups.items():
        (gateway.dir / "ipsec.d" / "policies" / group.replace("_", "-")).write_text(text)
    gateway.start()
    return gateway


def trapped(gateway: Gateway, count: int = 2) -> None:
    wait_for("the lines", lambda: gateway.ipsec("eroute").stdout.count("%trap") >= count, 5)


@pytest.mark.matrix
@each_family
@pytest.mark.parametrize("group", ["private", "private_or_clear"])
def test_the_first_ping_is_held_and_answered_encrypted(lab: Lab, group: str, target: str) -> None:
    for name in ("east", "west"):
        trapped(host(lab, name, **{group: NETS}))
    with Capture(lab.west) as wire:
        assert ping(lab.west, target, 3, wait=5).received == 3
        assert_quiet(wire)


def test_a_burst_and_a_connection_lose_nothing(lab: Lab) -> None:
    """Whatever a host sends first, to a peer that only answers, arrives, in order, and none of it in clear."""
    east = host(lab, "east", clear_or_private=NETS)
    west = host(lab, "west", private=NETS)
    trapped(west)
    heard = Receiver(lab.east, "192.0.2.2", 7001)
    s = udp_socket(lab.west, "192.0.2.1")
    with Capture(lab.west) as wire:
        for number in range(40):
            s.sendto(b"<<burst>>" + number.to_bytes(8, "big") + bytes(500), ("192.0.2.2", 7001))
        wait_for("forty datagrams", lambda: len(heard.got) >= 40, 8)
        assert transfer(lab.west, lab.east, "192.0.2.2", 1 << 20, "192.0.2.1").intact
        assert_quiet(wire, markers=[b"<<burst>>"])
    s.close()
    assert heard.numbers(b"<<burst>>") == list(range(40))
    assert east.ipsec("eroute").stdout.count("%pass") == 2, "others still go in clear"


@pytest.mark.long
def test_a_peer_that_cannot_is_dropped_or_let_go_in_clear(lab: Lab) -> None:
    west = host(lab, "west", private="10.2.0.2\n", private_or_clear="192.0.2.0/24\n10.2.0.1\n")
    trapped(west, 3)
    with Capture(lab.west) as wire:
        begun = time.monotonic()
        assert ping(lab.west, "192.0.2.2", 2, wait=6).received == 2, "held for three seconds, then in clear"
        assert time.monotonic() - begun > 2.5
        assert ping(lab.west, "192.0.2.2", 2, wait=1).received == 2
        assert ping(lab.west, "10.2.0.2", 2, wait=5).received == 0
        assert not wire.packets(lambda s: "10.2.0.2" in (s.src, s.dst) and s.kind not in QUIET)
    assert ping(lab.sunrise, "192.0.2.1", 1, wait=0.5).received == 0, "nor does it get in"
    assert "%pass" in west.ipsec("eroute").stdout and "%drop" in west.ipsec("eroute").stdout


@pytest.mark.long
def test_who_is_blocked_gets_no_tunnel(lab: Lab) -> None:
    east = host(lab, "east", block="192.0.2.1\n", private="192.0.2.0/24\n")
    west = host(lab, "west", private="192.0.2.0/24\n")
    trapped(west, 1)
    assert ping(lab.west, "192.0.2.2", 2, wait=5).received == 0
    assert east.json("auto", "--status")["child_sas"] == []


@each_family
def test_a_blocked_service_of_a_host_stays_so_beside_its_tunnel(lab: Lab, target: str) -> None:
    """Before the pair has its tunnel, and with it; what else the two say to each other is encrypted."""
    host(lab, "east", private=NETS)
    trapped(host(lab, "west", private=NETS, block=f"{target} udp 9999\n"))
    source = "192.0.2.1" if target == "192.0.2.2" else "2001:db8::1"
    blocked, other = Receiver(lab.east, target, 9999), Receiver(lab.east, target, 9998)
    with Capture(lab.west) as wire:
        for _ in range(2):
            for port in (9999, 9998):
                with contextlib.suppress(ConnectionError, PermissionError), udp_socket(lab.west, source) as sender:
                    sender.sendto(b"x", (target, port))
            assert ping(lab.west, target, 2, wait=5).received == 2
        wait_for("the datagrams", lambda: len(other.got) == 2, 5)
        assert_quiet(wire)
    assert blocked.got == []


def test_a_killed_host_leaks_nothing_and_comes_back(lab: Lab) -> None:
    east = host(lab, "east", private=NETS)
    west = host(lab, "west", private=NETS)
    trapped(west)
    assert ping(lab.west, "192.0.2.2", 1, wait=5).received == 1
    with Capture(lab.west) as wire:
        west.kill()
        assert ping(lab.west, "192.0.2.2", 2, wait=0.5).received == 0
        west.start()
        trapped(west)
        assert ping(lab.west, "192.0.2.2", 2, wait=8).received == 2
        east.kill()
        east.start()
        wait_for("the way back", lambda: ping(lab.east, "192.0.2.1", 1, wait=1).received == 1, 20)
        assert_quiet(wire)


def test_a_reply_in_clear_for_a_tunnels_pair_is_dropped(lab: Lab) -> None:
    """Also where the group permits clear text: what claims to be the peer, past its tunnel, is not heard."""
    for name in ("east", "west"):
        trapped(host(lab, name, private_or_clear=NETS))
    for near, far in (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")):
        assert ping(lab.west, far, 2, wait=5).received == 2
        heard = Receiver(lab.west, near, 7001)
        with Capture(lab.west) as wire:
            inject(lab.east, [forged(lab.west, far, near, b"<<clear>>")] * 5)
            wait_for("the forgeries on the wire", lambda: len(wire.leaks([], [b"<<clear>>"])) >= 5, 3)
            s = udp_socket(lab.east, far)
            s.sendto(b"<<after>>" + bytes(8), (near, 7001))
            wait_for("what came by the tunnel after them", lambda: heard.got, 5)  # noqa: B023
            s.close()
        assert all(b"<<clear>>" not in data for data in heard.got)
