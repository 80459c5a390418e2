# SPDX-License-Identifier: GPL-2.0-or-later
"""Links of every kind on a stock kernel: they come, go and come again with another address, and our daemon follows.

sunset ----lan---- west (ours) =======wan======= isp                       road (ours) --- 10.2.0.1
                   192.0.2.1           192.0.2.2 203.0.113.1 ====link==== %defaultroute

road pings sunset all the time, fifty times a second and with a mark in each packet; what isp sees of it on any of its
interfaces is looked through afterwards.
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


@dataclass(frozen=True)
class Link:
    """How isp and road are joined, as orders in the guest; `{address}` is what road gets."""

    name: str
    """Of road's interface."""
    make: str
    """isp's side."""
    up: str
    down: str
    remove: str = ""


L2TP = """
ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 1 encap udp local {0} remote {1} udp_sport 1701 udp_dport 1701
ip l2tp add session name l2tp1 tunnel_id 1 session_id 1 peer_session_id 1
"""
LINKS = {
    "vlan": Link(
        "vlan7",
        "ip link add link wire name vlan7 type vlan id 7; ip addr add 203.0.113.1/24 dev vlan7; ip link set vlan7 up",
        "ip link add link wire name vlan7 type vlan id 7; ip addr add {address}/24 dev vlan7; ip link set vlan7 up\n"
        "ip route add default via 203.0.113.1",
        "ip link set vlan7 down; sleep 1; ip link del vlan7",
        "ip link del vlan7",
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
        self.guest.put("/etc/ipsec.secrets", f"{SECRETS}\n".encode())
        self.guest.sh("chmod 600 /etc/ipsec.secrets")

    def configure(self, **more: str) -> None:
        """Give road its ipsec.conf and start it anew."""
        text = setup(interfaces="%defaultroute") + conn(
            "net", ENDS, left="192.0.2.1", right="%defaultroute", auto="start", **more
        )
        self.guest.put("/etc/ipsec.conf", text.encode())
        self.guest.road("ipsec setup restart")

    def pid(self) -> str:
        """Of road's daemon."""
        return self.guest.sh("cat /run/pluto/pluto.pid").strip()

    def answers(self, what: str) -> None:
        """Wait until sunset reaches what is behind road, then see that it goes on."""
        wait_for(what, lambda: not ping(self.lab.sunset, "10.2.0.1", 1).lost, 20, 0.1)
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
        stage.configure()
        stage.answers("a tunnel over the link")
        pid = stage.pid()
        with stage.watched() as seen:
            stage.answers("a tunnel beside pings")
            guest.road(link.down)
            wait_for(
                "road to lose its address",
                lambda: "203.0.113.7:500" in guest.sh("grep 'shutting down' /run/pluto/pluto.log", check=False),
                10,
                0.2,
            )
            begun = time.monotonic()
            guest.road(link.up.format(address="203.0.113.9"))
            stage.answers("a tunnel over the link that has come again")
            print(f"{name}: {time.monotonic() - begun:.1f} s")
        print(guest.sh("tail -3 /tmp/pings.log"))
        assert stage.pid() == pid
        status = guest.road("ipsec auto --status")
        assert "===203.0.113.9[@road]" in status and f"interface: {link.name};" in status, status
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
