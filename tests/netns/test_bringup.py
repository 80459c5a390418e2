# SPDX-License-Identifier: GPL-2.0-or-later
"""First packets that meet a conn while it is brought up: none is lost, none shows on the wire.

sunset ----lan---- west =======wan======= east ----lan---- sunrise

Both gateways have a packet filter that lets their own network out and nothing in: what comes by the tunnel, answers
included, passes because leftfirewall=yes, or a script of the user's, opens the filter, and not before.
"""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, NET4, conn
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.pair import Pair, pair
from tests.netns.traffic import Pings, ping

PROMPT = 1.0
"""Seconds within which a first packet has been answered."""
SLOW = 1.5
"""Seconds a script takes that does more than the default command: longer than the peer is kept waiting gladly."""
VERSIONS = {"ikev2": {}, "ikev1": {"keyexchange": "ikev1"}}
ENDS = {"west": ("sunset", "10.2.0.2"), "east": ("sunrise", "10.1.0.2")}
"""Whose host begins, and whom it calls."""
each_version = pytest.mark.parametrize("version", VERSIONS)
each_end = pytest.mark.parametrize("first", ENDS)


def closed(host: Host) -> None:
    """A filter without memory: what the network behind sends may leave, IKE and ESP may come."""
    for rule in (
        "-P FORWARD DROP",
        "-A FORWARD -i lan -j ACCEPT",
        "-A INPUT -p udp -m multiport --dports 500,4500 -j ACCEPT",
        "-A INPUT -p esp -j ACCEPT",
        "-P INPUT DROP",
    ):
        host.run("iptables-nft", *rule.split())


DEFAULT_LATE = f"""#!/bin/sh
[ $PLUTO_VERB != up-client ] || sleep {SLOW}
exec ipsec _updown "$@"
"""
OWN_LATE = f"""#!/bin/sh
case $PLUTO_VERB in
up-client) sleep {SLOW}; exec iptables-nft -I FORWARD -i ipsec0 -s $PLUTO_PEER_CLIENT -d $PLUTO_MY_CLIENT -j ACCEPT ;;
route-client) exec ip route replace $PLUTO_PEER_CLIENT dev $PLUTO_INTERFACE table 50 ;;
esac
"""
"""Does without leftfirewall=yes."""


def trapped(lab: Lab, version: str, slow: tuple[str, ...] = (), script: str = DEFAULT_LATE) -> Pair:
    """Both ends trap, and open their filters when the tunnel comes; those named take their time over it."""
    path = lab.dir / "slow"
    path.write_text(script)
    path.chmod(0o755)
    texts = []
    for name, host in (("west", lab.west), ("east", lab.east)):
        closed(host)
        more = {"leftfirewall": "yes", "rightfirewall": "yes"}
        if name in slow:
            more = {"leftupdown": str(path), "rightupdown": str(path), **(more if script == DEFAULT_LATE else {})}
        texts.append(conn("net", NET4, auto="route", **VERSIONS[version], **more))
    both = pair(lab, texts[0], texts[1])
    for host in (lab.west, lab.east):
        wait_for("the route", lambda h=host: "dev ipsec0" in h.ip("route", "show", "table", "50", check=False), 20)
    return both


def echoes(lab: Lab, first: str, count: int = 1, wait: float = 3) -> Pings:
    """Pings from behind that gateway, ten in a second."""
    name, target = ENDS[first]
    return ping(lab[name], target, count, interval=0.1, wait=wait)


def connects(lab: Lab, first: str) -> float:
    """Seconds until a TCP connection stood that was begun behind that gateway; its SYN is not sent again before one."""
    name, target = ENDS[first]
    far = lab.sunrise if first == "west" else lab.sunset
    with far.inside():
        listener = socket.create_server((target, 5555))
    with lab[name].inside():
        s = socket.socket()
    with listener, s:
        s.settimeout(8)
        begin = time.monotonic()
        s.connect((target, 5555))
        return time.monotonic() - begin


@pytest.mark.matrix
@each_version
@each_end
def test_the_first_ping_is_answered_at_once(lab: Lab, version: str, first: str) -> None:
    trapped(lab, version)
    with Capture(lab.west) as wire:
        begin = time.monotonic()
        seen = echoes(lab, first)
        took = time.monotonic() - begin
        assert_quiet(wire, INNER)
    assert seen.lost == 0 and took < PROMPT, (seen.text, took)


@pytest.mark.matrix
@each_version
@each_end
def test_the_first_syn_is_answered_at_once(lab: Lab, version: str, first: str) -> None:
    """A SYN that was lost would come again after a second."""
    trapped(lab, version)
    with Capture(lab.west) as wire:
        assert connects(lab, first) < PROMPT
        assert_quiet(wire, INNER)


@pytest.mark.matrix
@each_version
@pytest.mark.parametrize("slow", ["west", "east", "west and east"])
@each_end
def test_a_command_that_takes_long_loses_nothing(lab: Lab, version: str, slow: str, first: str) -> None:
    """While it runs the filter is closed to what comes; packets come all the time, and all are answered."""
    trapped(lab, version, tuple(slow.split(" and ")))
    with Capture(lab.west) as wire:
        seen = echoes(lab, first, 30, wait=5)
        assert_quiet(wire, INNER)
    assert seen.lost == 0, seen.text


@pytest.mark.matrix
@each_version
@each_end
def test_what_a_script_opens_by_itself_is_waited_for(lab: Lab, version: str, first: str) -> None:
    trapped(lab, version, ("west", "east"), OWN_LATE)
    with Capture(lab.west) as wire:
        seen = echoes(lab, first, 30, wait=5)
        assert_quiet(wire, INNER)
    assert seen.lost == 0, seen.text


@pytest.mark.matrix
@each_version
@pytest.mark.parametrize("slow", ["", "west and east"])
def test_both_ends_begin_at_once(lab: Lab, version: str, slow: str) -> None:
    trapped(lab, version, tuple(slow.split(" and ")) if slow else ())
    with Capture(lab.west) as wire, ThreadPoolExecutor() as pool:
        seen = list(pool.map(lambda first: echoes(lab, first, 30, wait=5), ENDS))
        assert_quiet(wire, INNER)
    assert [each.lost for each in seen] == [0, 0], [each.text for each in seen]
