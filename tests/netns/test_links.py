# SPDX-License-Identifier: GPL-2.0-or-later
"""Links of every kind on a stock kernel: they come, go and come again with another address, and our daemon follows.

sunset ----lan---- west (ours) =======wan======= isp                       road (ours) --- 10.2.0.1
                   192.0.2.1           192.0.2.2 203.0.113.1 ====link==== %defaultroute
                                                 198.51.100.1 ---wire---- 198.51.100.2

One daemon lives through all links. It pings sunset all the time, fifty times a second and with a mark in each packet;
what isp sees of it on any of its interfaces is looked through afterwards.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.netns.capture import QUIET, classify
from tests.netns.conns import SECRETS, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.stock import Stock
from tests.netns.traffic import assert_ping, ping

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600), pytest.mark.xdist_group("kernelpeer")]

ENDS = {
    "leftid": "@west",
    "leftsubnet": "10.1.0.0/24",
    "rightid": "@road",
    "rightsubnet": "10.2.0.0/24",
    "authby": "secret",
}
MARK = b"leak" * 6
CARRIER = """
ip link add wire type veth peer name wire netns road
ip addr add 198.51.100.1/30 dev wire; ip link set wire up
ip -n road addr add 198.51.100.2/30 dev wire; ip -n road link set wire up
"""
PATIENCE = 60
"""Seconds for what takes two in an emulated machine that has a processor to itself."""


@dataclass(frozen=True)
class Link:
    """How isp and road are joined, as orders in the guest; `{address}` is what road gets."""

    name: str
    """Of road's interface."""
    make: str
    """isp's side."""
    up: str
    down: str
    remove: str = ":"


LINKS = {
    "vlan": Link(
        "vlan7",
        "ip link add link wire name vlan7 type vlan id 7; ip addr add 203.0.113.1/24 dev vlan7; ip link set vlan7 up",
        "ip link add link wire name vlan7 type vlan id 7; ip addr add {address}/24 dev vlan7; ip link set vlan7 up\n"
        "ip route add default via 203.0.113.1",
        "ip link set vlan7 down; sleep 1; ip link del vlan7",
        "ip link del vlan7",
    ),
    # isp's end of the line is a pppd that road's starts on a pseudo-terminal, and hands road its address.
    "ppp": Link(
        "ppp0",
        ":",
        "pppd pty 'nsenter -t 1 -n pppd notty nodetach noauth noccp linkname isp 203.0.113.1:{address}' noauth noccp \\\n"
        " noipdefault defaultroute linkname road updetach logfile /tmp/ppp.log",
        "kill $(head -n 1 /run/ppp-road.pid); while pgrep -x pppd; do sleep 0.1; done",
    ),
}


class Stage:
    """West, and road behind whatever link is there."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.guest = Stock(lab.west)
        self.guest.sh(CARRIER)
        lab.west.ip("route", "add", "203.0.113.0/24", "via", "192.0.2.2")
        self.west = Gateway(lab.west, conn("net", ENDS, left="192.0.2.1", right="%any", auto="add"), SECRETS)
        self.west.start()
        self.guest.put("/etc/road/ipsec.secrets", f"{SECRETS}\n".encode())
        text = setup(interfaces="%defaultroute") + conn(
            "net", ENDS, left="192.0.2.1", right="%defaultroute", auto="start"
        )
        self.guest.put("/etc/road/ipsec.conf", text.encode())
        self.guest.road("chmod 600 /etc/road/ipsec.secrets; ipsec setup start", 120)
        self.pid = self.guest.sh("cat /run/road/pluto.pid")

    def lines(self) -> int:
        """How many lines road's log has."""
        return int(self.guest.sh("wc -l < /run/road/pluto.log"))

    def logged(self, text: str, since: int) -> None:
        """Wait until road's log says so, in a line after the first `since`."""
        order = f"tail -n +{since + 1} /run/road/pluto.log"
        wait_for(f"'{text}' in road's log", lambda: text in self.guest.sh(order, check=False), PATIENCE, 0.2)

    def answers(self, what: str) -> None:
        """Wait until sunset reaches what is behind road, then see that it goes on."""
        wait_for(what, lambda: not ping(self.lab.sunset, "10.2.0.1", 1).lost, PATIENCE, 0.1)
        assert_ping(self.lab.sunset, "10.2.0.1")

    @contextmanager
    def watched(self) -> Iterator[list[bytes]]:
        """road pings without end; afterwards the frames that isp has seen, its orders excepted, are in the list."""
        seen: list[bytes] = []
        self.guest.sh(
            "rm -f /tmp/wire.pcap; (tcpdump -U -nni any -w /tmp/wire.pcap not tcp port 7 > /tmp/tcpdump.log 2>&1 &)\n"
            "while ! grep -q listening /tmp/tcpdump.log; do sleep 0.1; done\n"
            f"(ip netns exec road ping -q -i 0.02 -p {MARK[:4].hex()} -I 10.2.0.1 10.1.0.2 > /tmp/pings.log 2>&1 &)"
        )
        try:
            yield seen
        finally:
            self.guest.sh("pkill -INT -x ping; pkill -x tcpdump; while pgrep -x tcpdump; do sleep 0.1; done")
        seen += frames(base64.b64decode(self.guest.sh("base64 /tmp/wire.pcap; rm /tmp/tcpdump.log")))


def frames(pcap: bytes) -> list[bytes]:
    """The frames of a capture on any interface (LINKTYPE_LINUX_SLL2), each with an Ethernet header instead."""
    assert pcap[:4] == b"\xd4\xc3\xb2\xa1" and pcap[20:24] == b"\x14\x01\0\0"
    found, at = [], 24
    while at + 16 <= len(pcap):
        length = int.from_bytes(pcap[at + 8 : at + 12], "little")
        packet = pcap[at + 16 : at + 16 + length]
        found.append(bytes(12) + packet[:2] + packet[20:])
        at += 16 + length
    return found


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with Lab("vm") as lab:
        yield Stage(lab)


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """The stage; both logs are shown when the test fails."""
    try:
        yield _stage
    finally:
        print(_stage.guest.log(), _stage.west.log(), sep="\n")


@pytest.mark.parametrize("name", LINKS)
def test_a_link_comes_and_goes_and_comes_again(stage: Stage, name: str) -> None:
    link, guest = LINKS[name], stage.guest
    guest.sh(link.make)
    try:
        guest.road(link.up.format(address="203.0.113.7"))
        stage.answers("a tunnel over the link")
        with stage.watched() as seen:
            stage.answers("a tunnel beside pings")
            before = stage.lines()
            guest.road(link.down)
            stage.logged(f"shutting down interface ipsec0/{link.name} 203.0.113.7:500", before)
            begun = time.monotonic()
            guest.road(link.up.format(address="203.0.113.9"))
            stage.answers("a tunnel over the link that has come again")
            print(f"{name}: {time.monotonic() - begun:.1f} s")
        print(guest.sh("tail -3 /tmp/pings.log"))
        assert guest.sh("cat /run/road/pluto.pid") == stage.pid
        stage.logged(f"adding interface ipsec0/{link.name} 203.0.113.9:500", before)
        assert "203.0.113.9[@road]" in stage.west.status()
        assert_sealed(seen)
    finally:
        guest.road(link.down, check=False)
        guest.sh(link.remove, check=False)


def assert_sealed(seen: list[bytes]) -> None:
    """ESP from both addresses, and no ping of road's in any packet, whatever that is wrapped in."""
    told = [classify(frame) for frame in seen]
    for address in ("203.0.113.7", "203.0.113.9"):
        assert [kind for kind, source, _, _ in told if source == address and kind.startswith("esp")], address
    assert not [frame for frame in seen if MARK in frame]
    inner = ("10.1.0.", "10.2.0.")
    assert not [each for each in told if each[1].startswith(inner) or each[2].startswith(inner)]
    assert not [each for each in told if "203.0.113.9" in each[1:3] and each[0] not in QUIET]
