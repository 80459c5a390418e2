# SPDX-License-Identifier: GPL-2.0-or-later
"""Links of every kind on a stock kernel: they come, go and come again with another address, and our daemon follows.

sunset ----lan---- west (ours) =======wan======= isp                       road (ours) --- 10.2.0.1
                   192.0.2.1           192.0.2.2 203.0.113.1 ====link==== %defaultroute
                                                 198.51.100.1 ---wire---- 198.51.100.2

One daemon lives through all links. It pings sunset all the time, fifty times a second and with a mark in each packet;
what isp sees of it on any of its interfaces is looked through afterwards.

What tunnels for others inside, GRE and L2TP, runs over `wire` in transport mode: isp is libreswan then.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

import pytest

from tests.netns.capture import QUIET, classify
from tests.netns.conns import SECRETS, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.libreswan import BEGIN
from tests.netns.stock import Stock
from tests.netns.traffic import assert_ping, learn_path, ping

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600), pytest.mark.xdist_group("kernelpeer")]

ENDS = {"leftid": "@west", "leftsubnet": "10.1.0.0/24", "authby": "secret"}
NETS = {
    "net": {**ENDS, "rightid": "@road", "rightsubnet": "10.2.0.0/24"},
    "roam": {**ENDS, "rightid": "@roam", "rightsubnet": "10.3.0.0/24", "mobike": "yes"},
}
"""Conns between west and road: one begins anew where road's address is another one, one moves."""
MARK = b"leak" * 6
CARRIER = """
ip link add wire type veth peer name wire netns road
ip addr add 198.51.100.1/30 dev wire; ip link set wire up
ip -n road addr add 198.51.100.2/30 dev wire; ip -n road link set wire up
"""
VERSIONS = ("insist", "never")
"""`ikev2=` of both ends of conns in transport mode."""
CARRIED = {"gre": ("gre", "gre"), "l2tp": ("17/1701", "17/1701")}
"""`leftprotoport=` and `rightprotoport=` of what tunnels by itself."""
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
        "pppd pty 'nsenter -t 1 -n pppd notty nodetach noauth noccp linkname isp 203.0.113.1:{address}' \\\n"
        " noauth noccp noipdefault defaultroute linkname road updetach logfile /tmp/ppp.log",
        "kill $(head -n 1 /run/ppp-road.pid); while pgrep -x pppd; do sleep 0.1; done",
    ),
    "gre": Link(
        "gre7",
        "ip link add gre7 type gre local 198.51.100.1 remote 198.51.100.2; ip addr add 203.0.113.1/24 dev gre7\n"
        "ip link set gre7 up",
        "ip link add gre7 type gre local 198.51.100.2 remote 198.51.100.1; ip addr add {address}/24 dev gre7\n"
        "ip link set gre7 up; ip route add default via 203.0.113.1",
        "ip link del gre7",
        "ip link del gre7",
    ),
}


def ends(kind: str, version: str) -> tuple[str, str]:
    """Addresses of isp and road on `wire`: each conn in transport mode has a /30 of its own."""
    at = 4 + 4 * (2 * list(CARRIED).index(kind) + VERSIONS.index(version))
    return f"198.51.100.{at + 1}", f"198.51.100.{at + 2}"


def carriers(auto: str) -> str:
    """Conns in transport mode for what tunnels by itself; the one text serves isp and road."""
    base = {"leftid": "@isp", "rightid": "@road", "type": "transport", "authby": "secret", "auto": auto}
    text = ""
    for kind, version in product(CARRIED, VERSIONS):
        (left, right), (ours, theirs) = ends(kind, version), CARRIED[kind]
        more = {"ikev2": version, "leftprotoport": ours, "rightprotoport": theirs}
        text += conn(f"{kind}-{version}", base, left=left, right=right, **more)
    return text


class Stage:
    """West, and road behind whatever link is there."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.guest = Stock(lab.west)
        self.guest.sh(CARRIER)
        self.guest.sh("ip -n road addr add 10.3.0.1/24 dev lan")
        for net in ("203.0.113.0/24", "198.51.100.0/24"):
            lab.west.ip("route", "add", net, "via", "192.0.2.2")
        here = {"left": "192.0.2.1", "right": "%any", "auto": "add"}
        self.west = Gateway(lab.west, "".join(conn(name, base, **here) for name, base in NETS.items()), SECRETS)
        self.west.start()
        self.guest.put("/etc/road/ipsec.secrets", f"{SECRETS}\n".encode())
        there = {"left": "192.0.2.1", "right": "%defaultroute", "auto": "start"}
        text = setup(interfaces="%defaultroute") + "".join(conn(name, base, **there) for name, base in NETS.items())
        for kind, version in product(CARRIED, VERSIONS):
            isp, road = ends(kind, version)
            self.guest.sh(f"ip addr add {isp}/30 dev wire; ip -n road addr add {road}/30 dev wire")
        text += carriers("route")
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
        """Wait until sunset reaches what is behind road by either conn, then see that it goes on."""
        for target in ("10.2.0.1", "10.3.0.1"):
            wait_for(f"{what}, to {target}", lambda: not ping(self.lab.sunset, target, 1).lost, PATIENCE, 0.1)  # noqa: B023
            assert_ping(self.lab.sunset, target)

    @contextmanager
    def watched(self, device: str = "any") -> Iterator[list[bytes]]:
        """The frames that isp has seen meanwhile on a device, its orders excepted, are in the list afterwards."""
        seen: list[bytes] = []
        self.guest.sh(
            f"(tcpdump --immediate-mode -U -nni {device} -w /tmp/wire.pcap not tcp port 7 > /tmp/tcpdump.log 2>&1 &)\n"
            "while ! grep -q listening /tmp/tcpdump.log; do sleep 0.1; done"
        )
        try:
            yield seen
        finally:
            self.guest.sh("pkill -x tcpdump; while pgrep -x tcpdump; do sleep 0.1; done")
        seen += frames(base64.b64decode(self.guest.sh("base64 /tmp/wire.pcap; rm /tmp/wire.pcap /tmp/tcpdump.log")))

    @contextmanager
    def pinging(self) -> Iterator[None]:
        """road pings sunset meanwhile, with MARK in each packet."""
        order = f"ping -q -i 0.02 -p {MARK[:4].hex()} -I 10.2.0.1 10.1.0.2"
        self.guest.sh(f"(ip netns exec road {order} > /tmp/pings.log 2>&1 &)")
        try:
            yield
        finally:
            self.guest.sh("pkill -INT -x ping")

    def libreswan(self) -> None:
        """isp has libreswan running."""
        secrets = "cp /etc/road/ipsec.secrets /etc/; chmod 600 /etc/ipsec.secrets\n"
        if "pluto.pid" not in self.guest.sh("ls /run/pluto"):
            head = "config setup\n    uniqueids=yes\n    ikev1-policy=accept\n\n"
            self.guest.put("/etc/ipsec.conf", f"{head}{carriers('add')}".encode())
            self.guest.sh(f"{secrets}{BEGIN}", PATIENCE)


def frames(pcap: bytes) -> list[bytes]:
    """The frames of a capture; those of any interface (LINKTYPE_LINUX_SLL2) with an Ethernet header for their own."""
    ethernet = pcap[20:24] == b"\1\0\0\0"
    assert pcap[:4] == b"\xd4\xc3\xb2\xa1" and (ethernet or pcap[20:24] == b"\x14\x01\0\0")
    found, at = [], 24
    while at + 16 <= len(pcap):
        length = int.from_bytes(pcap[at + 8 : at + 12], "little")
        packet = pcap[at + 16 : at + 16 + length]
        found.append(packet if ethernet else bytes(12) + packet[:2] + packet[20:])
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


@pytest.mark.matrix
@pytest.mark.parametrize("name", LINKS)
def test_a_link_comes_and_goes_and_comes_again(stage: Stage, name: str) -> None:
    link, guest = LINKS[name], stage.guest
    guest.sh(link.make)
    try:
        guest.road(link.up.format(address="203.0.113.7"))
        stage.answers("a tunnel over the link")
        with stage.watched() as seen, stage.pinging():
            stage.answers("a tunnel beside pings")
            before = stage.lines()
            guest.road(link.down)
            stage.logged(f"shutting down interface ipsec0/{link.name} 203.0.113.7:500", before)
            begun = time.monotonic()
            guest.road(link.up.format(address="203.0.113.9"))
            stage.answers("a tunnel over the link that has come again")
            print(f"{name}: {time.monotonic() - begun:.1f} s")
            learn_path(stage.lab.sunset, "10.2.0.1", 1400)
            assert_ping(stage.lab.sunset, "10.2.0.1", size=1300)
        print(guest.sh("tail -3 /tmp/pings.log"))
        assert guest.sh("cat /run/road/pluto.pid") == stage.pid
        stage.logged(f"adding interface ipsec0/{link.name} 203.0.113.9:500", before)
        assert "203.0.113.9[@road]" in stage.west.status() and "203.0.113.9[@roam]" in stage.west.status()
        stage.logged('"roam" #', before)
        stage.logged("our address has changed from 203.0.113.7 to 203.0.113.9: moving", before)
        assert_sealed(seen, "203.0.113.7", "203.0.113.9")
    finally:
        guest.road(link.down, check=False)
        guest.sh(link.remove, check=False)


@pytest.mark.long
def test_a_second_way_out_takes_over_and_gives_back(stage: Stage) -> None:
    """A line of a better metric that goes and comes, as with a mobile phone behind it."""
    guest, line = stage.guest, LINKS["ppp"]
    guest.road("ip route add default via 198.51.100.1 metric 500")
    try:
        stage.answers("a tunnel over the wire")
        before = stage.lines()
        with stage.watched() as seen, stage.pinging():
            # pppd leaves other default routes alone, whatever their metric.
            guest.road(line.up.format(address="203.0.113.11") + "\nip route add default dev ppp0 metric 100")
            stage.logged("our address has changed from 198.51.100.2 to 203.0.113.11: moving", before)
            stage.answers("a tunnel over the line")
            guest.road(line.down)
            stage.logged("our address has changed from 203.0.113.11 to 198.51.100.2: moving", before)
            stage.answers("a tunnel over the wire again")
        assert_sealed(seen, "203.0.113.11", "198.51.100.2")
    finally:
        guest.road(line.down, check=False)
        guest.road("ip route del default via 198.51.100.1 metric 500", check=False)


def assert_sealed(seen: list[bytes], *addresses: str) -> None:
    """ESP from each address, and no ping of road's in any packet, whatever that is wrapped in."""
    told = [classify(frame) for frame in seen]
    for address in addresses:
        assert [kind for kind, source, _, _ in told if source == address and kind.startswith("esp")], address
    assert not [frame for frame in seen if MARK in frame]
    inner = ("10.1.0.", "10.2.0.", "10.3.0.")
    assert not [each for each in told if each[1].startswith(inner) or each[2].startswith(inner)]
    # Later fragments are those of datagrams whose beginning is told apart too.
    allowed = QUIET | {"fragment-17", "fragment-50"}
    assert not [each for each in told if addresses[-1] in each[1:3] and each[0] not in allowed]


@pytest.mark.long
@pytest.mark.matrix
@pytest.mark.parametrize("version", VERSIONS)
def test_gre_in_transport_mode(stage: Stage, version: str) -> None:
    guest, (isp, road) = stage.guest, ends("gre", version)
    stage.libreswan()
    make = "ip link add gre9 type gre local {} remote {}; ip addr add 172.16.9.{}/30 dev gre9; ip link set gre9 up"
    guest.sh(make.format(isp, road, 1))
    try:
        guest.road(make.format(road, isp, 2))
        with stage.watched("wire") as seen:
            order = f"ping -c 1 -W {PATIENCE if version == 'insist' else 2} -p {MARK[:4].hex()} 172.16.9.1"
            said = guest.road(order, PATIENCE + 10, check=False)
            if version == "insist":
                assert " 0% packet loss" in said, said  # the very first packet has waited for the tunnel
            else:
                wait_for("an answer", lambda: " 0% packet loss" in guest.road(order, check=False), PATIENCE, 0.2)
            said = guest.sh(f"ping -c 20 -i 0.02 -W 5 -s 1400 -p {MARK[:4].hex()} 172.16.9.2")
            assert " 0% packet loss" in said, said
        assert_only_esp(seen, road)
    finally:
        guest.road("ip link del gre9", check=False)
        guest.sh("ip link del gre9")


L2TP = {
    "lns.conf": """[global]
listen-addr = {isp}
[lns default]
ip range = 10.9.0.2-10.9.0.9
local ip = 10.9.0.1
length bit = yes
pppoptfile = /tmp/lns.ppp
""",
    "lns.ppp": "name isp\nauth\nrequire-mschap-v2\nnoccp\nmtu 1400\nmru 1400\n",
    "lac.conf": """[global]
listen-addr = {road}
[lac isp]
lns = {isp}
autodial = yes
length bit = yes
pppoptfile = /tmp/lac.ppp
""",
    "lac.ppp": "name road\nnoauth\nnoipdefault\nnoccp\nmtu 1400\nmru 1400\n",
}
"""Files below /tmp for xl2tpd and the pppd that it starts, at both ends."""


@pytest.mark.long
@pytest.mark.matrix
@pytest.mark.parametrize("version", VERSIONS)
def test_l2tp_in_transport_mode(stage: Stage, version: str) -> None:
    guest, (isp, road) = stage.guest, ends("l2tp", version)
    stage.libreswan()
    for name, text in L2TP.items():
        guest.put(f"/tmp/{name}", text.format(isp=isp, road=road).encode())
    guest.put("/etc/ppp/chap-secrets", b'road isp "on the line" *\n')
    order = "(xl2tpd -D -c /tmp/{0}.conf -p /run/{0}.pid -C /run/{0}.ctl > /tmp/{0}.log 2>&1 &)"
    guest.sh(f"modprobe -a l2tp_ppp pppox; {order.format('lns')}")
    try:
        with stage.watched("wire") as seen:
            guest.road(order.format("lac"))
            wait_for(
                "an address from the LNS",
                lambda: "10.9.0.2" in guest.sh("ip -n road addr show ppp0", check=False),
                PATIENCE,
                0.5,
            )
            said = guest.road(f"ping -c 20 -i 0.02 -W 5 -s 1372 -p {MARK[:4].hex()} 10.9.0.1")
            assert " 0% packet loss" in said, said
        assert_only_esp(seen, road)
    finally:
        print(guest.sh("kill $(cat /run/lac.pid /run/lns.pid); tail -n 20 /tmp/lac.log /tmp/lns.log", check=False))
        guest.sh("while pgrep -x 'pppd|xl2tpd'; do sleep 0.1; done", check=False)


def assert_only_esp(seen: list[bytes], road: str) -> None:
    """Of road the wire has seen ESP and IKE. libreswan may answer in clear once Quick Mode has given it the way in."""
    told = [(*classify(frame), frame.hex()) for frame in seen]
    assert [each for each in told if each[1] == road and each[0].startswith("esp")]
    assert not [each for each in told if each[1] == road and each[0] not in QUIET]
    assert not [each for each in told if each[1] == road and MARK.hex() in each[-1]]


OFFLOAD = """
ip netns add inner; ip netns add gate; ip netns add far
ip -n gate link add lan type veth peer name eth0 netns inner
ip -n gate link add wan type veth peer name eth0 netns far
ip -n inner addr add 10.5.0.2/24 dev eth0; ip -n far addr add 10.6.0.2/24 dev eth0
ip -n gate addr add 10.5.0.1/24 dev lan; ip -n gate addr add 10.6.0.1/24 dev wan
for ns in inner gate far; do for dev in lo eth0 lan wan; do ip -n $ns link set $dev up 2>/dev/null; done; done
ip -n inner route add default via 10.5.0.1; ip -n far route add default via 10.6.0.1
ip netns exec gate sysctl -qw net.ipv4.ip_forward=1
ip netns exec gate nft -f /tmp/offload.nft
(ip netns exec far {python} /tmp/echo.py > /dev/null 2>&1 &)
"""
FLOWTABLE = """
table inet fast {
    flowtable shortcut { hook ingress priority 0; devices = { lan, wan }; }
    chain forward {
        type filter hook forward priority 0; policy accept;
        ct state established flow add @shortcut
    }
}
"""
ECHO = """
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("10.6.0.2", 7777))
while True:
    s.sendto(*s.recvfrom(100))
"""
ASK = """
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("10.5.0.2", 7777))
s.settimeout(0.5)
heard = 0
for number in range(10):
    s.sendto(b"leak", ("10.6.0.2", 7777))
    try:
        s.recv(100)
        heard += 1
    except OSError:
        pass
print(heard)
"""
GUARD = """
import sys
from ipaddress import ip_network
from pathlib import Path
from openswan.engine.effects import GuardEntry
from openswan.host.conntrack import Conntrack
from openswan.host.guard.guard import Guard
from openswan.policy.selector import FlowKey
nets = ip_network("10.5.0.0/24"), ip_network("10.6.0.0/24")
guard = Guard.open("nft", Path("/run/gate"), last="last" in sys.argv)
guard.set("site", (GuardEntry(FlowKey(*nets), "ipsec0"),))
if "flush" in sys.argv:
    Conntrack().flush([nets])
print(guard.counters())
guard.close("clear" not in sys.argv)
"""


@pytest.mark.long
def test_a_flow_that_was_offloaded_before_the_guard_came(stage: Stage) -> None:
    """nft's flowtable takes it past FORWARD and POSTROUTING; the last guard is behind that, and a flush ends it."""
    guest = stage.guest
    for name, text in (("offload.nft", FLOWTABLE), ("echo.py", ECHO), ("ask.py", ASK), ("guard.py", GUARD)):
        guest.put(f"/tmp/{name}", text.encode())
    guest.sh(OFFLOAD.format(python=sys.executable))

    def asked() -> int:
        return int(guest.sh(f"ip netns exec inner {sys.executable} /tmp/ask.py"))

    def guard(*words: str) -> str:
        return guest.sh(f"ip netns exec gate {sys.executable} /tmp/guard.py {' '.join(words)}", PATIENCE)

    wait_for("an answer", lambda: asked() == 10, PATIENCE, 0.1)
    assert "[OFFLOAD]" in guest.sh("ip netns exec gate cat /proc/net/nf_conntrack")
    guard()
    assert asked() == 10, "the first guard does not see it"
    guard("last")
    assert asked() == 0
    assert "'last4': 10" in guard("last", "clear"), "each of them was stopped there"
    assert asked() == 10
    guard("flush")
    assert asked() == 0, "without its entry the flow is no shortcut's any more"
