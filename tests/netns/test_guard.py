# SPDX-License-Identifier: GPL-2.0-or-later
"""The leak guard alone, watched from the wire: no daemon, no tunnel, everything done to push packets out in clear.

LAN host H                 gateway G                    peer P
10.1.0.10 ---- 10.1.0.1 lan | wan 203.0.113.1 ---- 203.0.113.2, and 10.2.0.1 behind it
fd01::10  ---- fd01::1                fd03::1 ---- fd03::2,     and fd02::1  behind it
                     ipsec0 (a TUN nobody reads)
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from pyroute2 import netns as namespaces

from openswan.base.errors import HostError
from openswan.engine.effects import GuardEntry
from openswan.host.guard.guard import Guard
from openswan.host.rtnetlink import Rtnetlink
from openswan.policy.selector import FlowKey

pytestmark = pytest.mark.netns
SECRET = b"NOTFORTHEWIRE"
LAN, FAR = (ip_network("10.1.0.0/24"), ip_network("fd01::/64")), (ip_network("10.2.0.0/24"), ip_network("fd02::/64"))
TARGET = {4: "10.2.0.1", 6: "fd02::1"}
HOST = {4: "10.1.0.10", 6: "fd01::10"}
INSIDE = {4: "10.1.0.1", 6: "fd01::1"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
PORT = 7777


def sh(command: str, check: bool = True) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread lives in a namespace for a while."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespaces.setns(name)
        yield
    finally:
        namespaces.setns(home)
        os.close(home)


class Net:
    def __init__(self, tag: str) -> None:
        self.h, self.g, self.p = (f"ofF{tag}{which}" for which in "hgp")

    def build(self) -> None:
        self.remove()
        for name in (self.h, self.g, self.p):
            sh(f"ip netns add {name}; ip -n {name} link set lo up")
            sh(f"ip netns exec {name} sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")
        sh(f"ip -n {self.h} link add eth0 type veth peer name lan netns {self.g}")
        sh(f"ip -n {self.g} link add wan type veth peer name eth0 netns {self.p}")
        addresses = {
            self.h: {"eth0": ("10.1.0.10/24", "fd01::10/64")},
            self.g: {"lan": ("10.1.0.1/24", "fd01::1/64"), "wan": ("203.0.113.1/24", "fd03::1/64")},
            self.p: {"eth0": ("203.0.113.2/24", "fd03::2/64"), "lo": ("10.2.0.1/32", "fd02::1/128")},
        }
        for name, devices in addresses.items():
            for device, each in devices.items():
                for address in each:
                    sh(f"ip -n {name} addr add {address} dev {device}")
                sh(f"ip -n {name} link set {device} up")
        sh(f"ip -n {self.h} route add default via 10.1.0.1; ip -n {self.h} -6 route add default via fd01::1")
        sh(f"ip -n {self.g} route add default via 203.0.113.2; ip -n {self.g} -6 route add default via fd03::2")
        sh(f"ip -n {self.p} route add 10.1.0.0/24 via 203.0.113.1; ip -n {self.p} -6 route add fd01::/64 via fd03::1")
        sh(f"ip netns exec {self.g} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        sh(f"ip -n {self.g} tuntap add ipsec0 mode tun; ip -n {self.g} link set ipsec0 up")

    def remove(self) -> None:
        for name in (self.h, self.g, self.p):
            sh(f"ip netns del {name}", check=False)


class Capture:
    """What an interface sees, by a packet socket of our own."""

    def __init__(self, namespace: str, device: str) -> None:
        with inside(namespace):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.sock.bind((device, 3))
        self.sock.setblocking(False)

    def wanted(self, count: int, wait: float = 3.0) -> list[bytes]:
        """What came in since the last call, waited for until there is so much: neighbours may have to be found."""
        end = time.monotonic() + wait
        found = self.plaintext()
        while len(found) < count and time.monotonic() < end:
            found += self.plaintext(0.05)
        return found

    def plaintext(self, wait: float = 0.25) -> list[bytes]:
        """Frames that came in since the last call and should not have been there."""
        time.sleep(wait)
        inner = [ip_address(each).packed for each in (*TARGET.values(), *HOST.values(), *INSIDE.values())]
        found = []
        while True:
            try:
                frame, (_, _, kind_of_packet, _, _) = self.sock.recvfrom(65536)
            except BlockingIOError:
                return found
            kind = frame[12:14]
            if kind_of_packet == socket.PACKET_OUTGOING or kind not in (b"\x08\x00", b"\x86\xdd"):
                continue
            if kind == b"\x86\xdd" and frame[20:22] == b"\x3a\xff" and 133 <= frame[54] <= 137:
                continue  # neighbour discovery, which no router forwards (RFC 4861 section 6.1)
            source, target = (frame[26:30], frame[30:34]) if kind == b"\x08\x00" else (frame[22:38], frame[38:54])
            if SECRET in frame or source in inner or target in inner:
                found.append(frame)


@pytest.fixture(scope="module")
def net(worker_id: str = "m") -> Iterator[Net]:
    one = Net(f"{os.getpid() % 10000}")
    one.build()
    yield one
    one.remove()


@pytest.fixture(params=["nft", "iptables"])
def guarded(request: pytest.FixtureRequest, net: Net, tmp_path: Path) -> Iterator[tuple[Net, Guard, Capture]]:
    with inside(net.g):
        guard = Guard.open(request.param, tmp_path, last=False)
        guard.set("site", tuple(GuardEntry(FlowKey(a, b), "ipsec0") for a, b in zip(LAN, FAR, strict=True)))
    yield net, guard, Capture(net.p, "eth0")
    with inside(net.g):
        guard.close(False)
        sh("nft flush ruleset")


def say(namespace: str, version: int, source: str, size: int = 100, target: str = "", device: str = "", mark: int = 0,
        port: int = PORT) -> None:  # fmt: skip
    """UDP from a bound socket; what the guard drops the sender may be told."""
    with inside(namespace), socket.socket(FAMILY[version], socket.SOCK_DGRAM) as sock:
        if device:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if mark:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        sock.bind((source, 0))
        for _ in range(3):
            try:
                sock.sendto((SECRET * (size // len(SECRET) + 1))[:size], (target or TARGET[version], port))
            except OSError:
                pass


def everything_out(net: Net) -> None:
    for version in (4, 6):
        for size in (100, 4000):
            say(net.h, version, HOST[version], size)
            say(net.g, version, INSIDE[version], size)
            say(net.g, version, INSIDE[version], size, device="wan")
        sh(f"ip netns exec {net.h} ping -c 1 -W 0.1 -p {SECRET.hex()} {TARGET[version]}", check=False)


def nothing(net: Net) -> None:
    """Leave it as it is."""


def command(*lines: str) -> Callable[[Net], None]:
    def run(net: Net) -> None:
        for line in lines:
            sh(line.format(g=net.g, ip=f"ip -n {net.g}", x=f"ip netns exec {net.g}"))

    return run


MISHAPS = {
    "no route into ipsec0": nothing,
    "a foreign rule before ours": command(
        "{ip} route add 10.2.0.0/24 dev ipsec0 table 50; {ip} rule add pref 5000 lookup 50",
        "{ip} rule add pref 5 lookup main",
    ),
    "ipsec0 down": command("{ip} route add 10.2.0.0/24 dev ipsec0", "{ip} link set ipsec0 down"),
    "ipsec0 gone": command("{ip} route add 10.2.0.0/24 dev ipsec0", "{ip} link del ipsec0"),
    "source NAT": command("{x} iptables -t nat -A POSTROUTING -j MASQUERADE",
                          "{x} ip6tables -t nat -A POSTROUTING -j MASQUERADE"),
    "a mark somebody else sets": command("{x} iptables -t mangle -I PREROUTING -j MARK --set-mark 0x1000"),
    "address change": command("{ip} addr del 203.0.113.1/24 dev wan; {ip} addr add 203.0.113.9/24 dev wan",
                              "{ip} route replace default via 203.0.113.2"),
}  # fmt: skip
REPAIR = (
    "{ip} rule del pref 5; {ip} rule del pref 5000; {ip} route flush table 50; {ip} tuntap add ipsec0 mode tun;"
    "{ip} link set ipsec0 up; {ip} route del 10.2.0.0/24; {ip} addr del 203.0.113.9/24 dev wan;"
    "{ip} addr add 203.0.113.1/24 dev wan; {ip} route replace default via 203.0.113.2;"
    "{x} iptables -t mangle -D PREROUTING -j MARK --set-mark 0x1000;"
    "{x} iptables -t nat -D POSTROUTING -j MASQUERADE; {x} ip6tables -t nat -D POSTROUTING -j MASQUERADE"
)


@pytest.mark.matrix
@pytest.mark.parametrize("mishap", MISHAPS)
def test_nothing_leaves_in_clear(guarded: tuple[Net, Guard, Capture], mishap: str) -> None:
    net, guard, wire = guarded
    try:
        MISHAPS[mishap](net)
        wire.plaintext(0)
        everything_out(net)
        assert wire.plaintext() == []
        with inside(net.g):
            assert guard.check()
            if mishap == "no route into ipsec0":
                counters = guard.counters()
                assert counters["out4"] and counters["out6"]
    finally:
        sh(REPAIR.format(ip=f"ip -n {net.g}", x=f"ip netns exec {net.g}"), check=False)


def test_without_it_all_that_leaks(net: Net) -> None:
    """The same traffic and the same eyes see plenty when nothing guards."""
    wire = Capture(net.p, "eth0")
    everything_out(net)
    leaked = wire.plaintext()
    assert {frame[12:14] for frame in leaked} == {b"\x08\x00", b"\x86\xdd"} and len(leaked) > 40


def test_what_is_not_protected_passes(guarded: tuple[Net, Guard, Capture]) -> None:
    net, _guard, wire = guarded
    sh(f"ip netns exec {net.h} ping -c 1 -W 4 203.0.113.2; ip netns exec {net.h} ping -c 1 -W 4 fd03::2")
    sh(f"ip netns exec {net.g} ping -c 1 -W 4 203.0.113.2; ip netns exec {net.g} ping -c 1 -W 4 fd03::2")
    wire.plaintext(0)
    say(net.g, 4, INSIDE[4], mark=0x1000)
    assert len(wire.wanted(3)) == 3, "our own sockets' mark is exempt"


def test_nothing_enters_in_clear(guarded: tuple[Net, Guard, Capture]) -> None:
    net, guard, _wire = guarded
    lan = Capture(net.h, "eth0")
    with inside(net.g):
        local = [socket.socket(FAMILY[v], socket.SOCK_DGRAM) for v in (4, 6)]
    for sock, version in zip(local, (4, 6), strict=True):
        sock.bind((INSIDE[version], PORT))
        sock.setblocking(False)
    for version in (4, 6):
        for port in (PORT, 500, 4500):
            for target in (HOST[version], INSIDE[version]):
                if port == PORT or target == HOST[version]:
                    say(net.p, version, TARGET[version], target=target, port=port)
    assert lan.plaintext() == []
    for sock in local:
        with pytest.raises(BlockingIOError):
            sock.recv(100)
        sock.close()
    with inside(net.g):
        counters = guard.counters()
    assert counters["in4"] >= 12 and counters["in6"] >= 12


def quoting_error(version: int) -> bytes:
    """An ICMP error from an address outside the selector about a packet that came out of the tunnel."""
    far, near = (ip_address(each).packed for each in (TARGET[version], HOST[version]))
    if version == 4:
        quoted = struct.pack(">BBHHHBBH", 0x45, 0, 60, 1, 0, 64, 17, 0) + far + near + SECRET
        icmp = struct.pack(">BBHI", 3, 1, 0, 0) + quoted
        total = 0
        for at in range(0, len(icmp) + len(icmp) % 2, 2):
            total += int.from_bytes(icmp[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
        return icmp[:2] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + icmp[4:]
    return struct.pack(">BBHI", 1, 3, 0, 0) + struct.pack(">IHBB", 6 << 28, 20, 17, 64) + far + near + SECRET


@pytest.mark.parametrize("version", [4, 6])
def test_errors_that_quote_a_decrypted_packet_stay_in(guarded: tuple[Net, Guard, Capture], version: int) -> None:
    net, _guard, wire = guarded
    number = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    for target, expected in ((TARGET[version], 0), ("203.0.113.2" if version == 4 else "fd03::2", 1)):
        wire.plaintext(0)
        with inside(net.g), socket.socket(FAMILY[version], socket.SOCK_RAW, number) as sock:
            sock.bind(("203.0.113.1" if version == 4 else "fd03::1", 0))
            message = quoting_error(version)
            if expected:
                message = message.replace(ip_address(TARGET[version]).packed, ip_address(target).packed)
            try:
                sock.sendto(message, (target, 0))
            except PermissionError:
                assert not expected
        assert len(wire.wanted(expected)) == expected


def test_a_killed_holder_leaves_protection_and_the_next_adopts_it(
    guarded: tuple[Net, Guard, Capture], tmp_path: Path
) -> None:
    net, guard, wire = guarded
    guard.backend.close()  # all that a SIGKILL leaves: the descriptors are closed, nothing else happens
    everything_out(net)
    assert wire.plaintext() == []
    with inside(net.g):
        successor = Guard.open(guard.backend.name, tmp_path, last=False)
        assert set(successor.entries()) == {"site"} and successor.check()
        if guard.backend.name == "nft":
            assert successor.counters()["out4"], "adopted, not made anew"
        everything_out(net)
        assert wire.plaintext() == []
        assert successor.prune(()) == ("site",)
        everything_out(net)
        assert wire.plaintext()
        successor.close(True)
        guard.__dict__.update(Guard.open(guard.backend.name, tmp_path, last=False).__dict__)


@contextmanager
def opened(net: Net, backend: str, rundir: Path) -> Iterator[Guard]:
    """A guard in the gateway's namespace, which the body runs outside of."""
    with inside(net.g):
        guard = Guard.open(backend, rundir, last=False)
    try:
        yield guard
    finally:
        with inside(net.g):
            guard.close(False)
            sh("nft flush ruleset")


BACKENDS = pytest.mark.parametrize("backend", ["nft", "iptables"])


@BACKENDS
def test_port_selectors_guard_their_fragments_too(net: Net, tmp_path: Path, backend: str) -> None:
    with opened(net, backend, tmp_path) as guard:
        with inside(net.g):
            keys = [FlowKey(a, b, 17, 0, PORT) for a, b in zip(LAN, FAR, strict=True)]
            guard.set("ports", tuple(GuardEntry(key, "ipsec0") for key in keys))
        wire = Capture(net.p, "eth0")
        everything_out_udp(net, PORT)
        assert wire.plaintext() == []
        for version in (4, 6):
            say(net.h, version, HOST[version], port=PORT + 1)
        assert len(wire.wanted(6)) == 6, "other ports are nobody's business"


def everything_out_udp(net: Net, port: int) -> None:
    for version in (4, 6):
        for size in (100, 4000):
            say(net.h, version, HOST[version], size, port=port)
            say(net.g, version, INSIDE[version], size, port=port)


@BACKENDS
def test_a_default_policy_leaves_the_lan_alone_and_blocks_the_other_family(
    net: Net, tmp_path: Path, backend: str
) -> None:
    with opened(net, backend, tmp_path) as guard:
        with inside(net.g):
            world = GuardEntry(FlowKey(LAN[0], ip_network("0.0.0.0/0")), "ipsec0")
            guard.set("world", (world,), block_families=(6,))
        wire = Capture(net.p, "eth0")
        everything_out(net)
        assert wire.plaintext() == []
        sh(f"ip netns exec {net.h} ping -c 1 -W 4 10.1.0.1; ip netns exec {net.g} ping -c 1 -W 4 10.1.0.10")
        sh(f"ip -n {net.p} -6 neigh flush all; ip -n {net.g} -6 neigh flush all")
        assert " 100% packet loss" in sh(f"ip netns exec {net.p} ping -c 1 -W 0.3 fd03::1", check=False)
        assert "lladdr" in sh(f"ip -n {net.p} -6 neigh show fd03::1"), "neighbours are still found"


def sources(tun: int) -> set[bytes]:
    """Where the secret packets that wait in a TUN say they come from."""
    seen = set()
    while True:
        try:
            packet = os.read(tun, 65536)
        except BlockingIOError:
            return seen
        if packet[0] >> 4 == 4 and SECRET in packet:
            seen.add(packet[12:16])


@BACKENDS
def test_tunnelled_selectors_are_not_masqueraded(net: Net, tmp_path: Path, backend: str) -> None:
    """A MASQUERADE rule that names no device would give tunnelled packets the gateway's own address."""
    with opened(net, backend, tmp_path) as guard:
        sh(f"ip -n {net.g} route add 10.2.0.0/24 dev ipsec0; ip -n {net.g} addr add 192.0.2.77/32 dev ipsec0")
        rule = f"ip netns exec {net.g} iptables -t nat %s POSTROUTING -j MASQUERADE"
        sh(rule % "-A")
        # Read the TUN to give it a carrier, and see what comes out.
        with inside(net.g):
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", b"ipsec0", 0x1001))  # TUNSETIFF
        seen: dict[bool, set[bytes]] = {}
        for exempt in (False, True):
            if exempt:
                with inside(net.g):
                    guard.set("site", (GuardEntry(FlowKey(LAN[0], FAR[0]), "ipsec0"),))
                    guard.backend.follow_nat()
            seen[exempt] = set()
            until = time.monotonic() + 20
            # Until the kernel has noticed its carrier, a device drops what is sent through it.
            while not seen[exempt] and time.monotonic() < until:
                say(net.h, 4, HOST[4], port=PORT + exempt)
                time.sleep(0.1)
                seen[exempt] = sources(tun)
        os.close(tun)
        assert seen[False] == {ip_address("192.0.2.77").packed}
        assert seen[True] == {ip_address(HOST[4]).packed}
        sh(f"ip -n {net.g} route del 10.2.0.0/24; ip -n {net.g} addr del 192.0.2.77/32 dev ipsec0; {rule % '-D'}")


HOLDER = """
import sys, time
from ipaddress import ip_network
from pathlib import Path
from openswan.engine.effects import GuardEntry
from openswan.host.guard.guard import Guard
from openswan.policy.selector import FlowKey
guard = Guard.open("nft", Path(sys.argv[1]))
guard.set("site", (GuardEntry(FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24")), "ipsec0"),))
print("ready", flush=True)
time.sleep(60)
"""


def test_kill_nine(net: Net, tmp_path: Path) -> None:
    """A living owner cannot be robbed; a dead one leaves everything in force."""
    wire = Capture(net.p, "eth0")
    with inside(net.g):
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "ready\n"
        with inside(net.g), pytest.raises(HostError, match="belongs to another process"):
            Guard.open("nft", tmp_path / "other")
        sh(f"ip netns exec {net.g} nft flush ruleset")
    finally:
        holder.kill()
        holder.wait()
    wire.plaintext(0)
    for _ in range(3):
        say(net.h, 4, HOST[4])
        say(net.g, 4, INSIDE[4])
    assert wire.plaintext() == []
    with inside(net.g):
        successor = Guard.open("nft", tmp_path)
        assert set(successor.entries()) == {"site"} and successor.check()
        successor.close(False)


def udp4(source: str, target: str) -> bytes:
    """An IPv4 UDP packet with our marker, as the engine writes decrypted ones."""
    data = struct.pack(">HHHH", 9, PORT, 8 + len(SECRET), 0) + SECRET
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), 7, 0, 64, 17, 0)
    head += ip_address(source).packed + ip_address(target).packed
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + head[12:] + data


@BACKENDS
def test_what_was_decrypted_goes_home_and_not_back_to_the_wire(net: Net, tmp_path: Path, backend: str) -> None:
    """Somebody's rule with a default route would send the LAN's own packets out again, in clear."""
    packet = udp4(TARGET[4], HOST[4])
    wire, lan = Capture(net.p, "eth0"), Capture(net.h, "eth0")
    with opened(net, backend, tmp_path) as guard:
        with inside(net.g):
            guard.set("site", (GuardEntry(FlowKey(LAN[0], FAR[0]), "ipsec0"),))
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", b"ipsec0", 0x1001))  # TUNSETIFF
            routes = Rtnetlink()
            homes = routes.homes()
            routes.close()
        assert (LAN[0], "lan") in homes and (LAN[1], "lan") in homes
        assert not [home for home in homes if home[0].prefixlen == 0]
        foreign = f"ip -n {net.g} route add default via 203.0.113.2 table 77; ip -n {net.g} rule add pref 5 lookup 77"
        repair = f"ip -n {net.g} rule del pref 5; ip -n {net.g} route flush table 77"
        try:
            os.write(tun, packet)
            assert len(lan.wanted(1)) == 1
            sh(foreign)
            os.write(tun, packet)
            assert len(wire.wanted(1)) == 1, "nobody has said yet where the LAN is"
            with inside(net.g):
                guard.settle(homes)
                assert guard.check()
            os.write(tun, packet)
            assert wire.plaintext() == []
            os.write(tun, udp4(TARGET[4], "198.51.100.7"))
            assert len(wire.wanted(1)) == 1, "other people's packets go where routes say"
            sh(repair)
            lan.plaintext(0)
            os.write(tun, packet)
            assert len(lan.wanted(1)) == 1
        finally:
            sh(repair, check=False)
            os.close(tun)
