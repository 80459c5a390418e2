# SPDX-License-Identifier: GPL-2.0-or-later
"""Two gateways whose keys a signed DNS has, and as many hosts behind them as there are addresses.

sunset ---lan--- west ========wan======= east ----lan---- sunrise        Unbound on west and east, NSD on ns
10.1.0.0/16                                              10.2.0.0/16
                 west's groups for sunset:  10.2.0.0/16 has east as its gateway, by a wildcard;
                                            100.128.0.0/10 has nothing and ends at east
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from openswan.base.errors import HostError
from openswan.host.nfqueue import NfQueue
from tests.bench.many import UP, Tail
from tests.netns.conns import conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.test_oedns import BEHIND, HERE, REVERSE, ipseckey, world_of
from tests.netns.traffic import udp_socket

PORT = 7001
WEST = "192.0.2.1"
EAST = {"direct": "192.0.2.2", "routed": "198.51.100.2"}
OPEN = "100.128.0.0/10"
APART = "101.0.0.0/8"
"""Where packets end that no group is about."""
EARS = 64 << 20
"""Octets of a receiver's buffer."""


@dataclass
class OeWorld:
    """Both gateways, started and trapping."""

    lab: Lab
    west: Gateway
    east: Gateway
    up: Tail = field(init=False)
    """Tunnels that west has had."""

    def __post_init__(self) -> None:
        self.up = Tail(self.west.run_dir / "pluto.log", UP)

    def tunnels(self) -> int:
        """How many by now."""
        return self.up.look()[UP]


@contextmanager
def oe_world(shape: str = "direct", own: str = "", failure: str = "passthrough") -> Iterator[OeWorld]:
    """The world; `own` are targets of west itself, `failure` is what becomes of hosts' packets without a tunnel."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("west", "east")}
    far = EAST[shape]
    zones = {
        "10.in-addr.arpa": ipseckey("*.1", keys["west"], WEST) + ipseckey("*.2", keys["east"], far),
        REVERSE: ipseckey(1, keys["west"]) + ipseckey(2, keys["east"]),
        BEHIND: ipseckey(2, keys["east"]),
        "100.in-addr.arpa": "",
    }
    with Lab(shape) as lab:
        world = world_of(lab, zones=zones)
        for near, gateway, net in ((lab.sunset, lab.west, "10.1"), (lab.sunrise, lab.east, "10.2")):
            gateway.ip("route", "add", f"{net}.0.0/16", "via", f"{net}.0.2")
            near.ip("route", "add", "local", f"{net}.0.0/16", "dev", "lo")
        for net in (OPEN, APART):
            lab.east.ip("route", "add", "blackhole", net)
        lan = {"failureshunt": failure, "auto": "route"}
        theirs = conn("lan", HERE, leftsubnet="10.2.0.0/16", **lan)
        ours = conn("lan", HERE, leftsubnet="10.1.0.0/16", **lan)
        east = world.host("east", keys["east"], more=theirs, lan="10.1.0.0/16\n", private=f"{WEST}\n")
        west = world.host("west", keys["west"], more=ours, lan=f"10.2.0.0/16\n{OPEN}\n", private_or_clear=own)
        yield OeWorld(lab, west, east)


class Ears:
    """Hears datagrams for any address of a host; what they begin with is when they were sent."""

    def __init__(self, host: Host) -> None:
        self.delays: dict[str, list[float]] = {}
        """By the address they were for: seconds each was under way."""
        self.count = 0
        self._socket = udp_socket(host, "0.0.0.0", PORT)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, EARS)  # SO_RCVBUFFORCE
        self._socket.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        self._socket.settimeout(0.2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()
        host.lab.at_close(self.close)

    def _hear(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError):
                data, extra, _, _ = self._socket.recvmsg(2048, 64)
                now = time.monotonic_ns()
                self.count += 1
                address = socket.inet_ntoa(extra[0][2][8:12])
                self.delays.setdefault(address, []).append((now - int.from_bytes(data[:8], "big")) / 1e9)

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join(2)
        self._socket.close()


def datagram(src: str, dst: str, port: int = PORT) -> bytes:
    """A whole IPv4 packet that says when it was made."""
    data = time.monotonic_ns().to_bytes(8, "big") + bytes(56)
    udp = struct.pack("!HHHH", port, port, 8 + len(data), 0) + data
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
    return head + socket.inet_aton(src) + socket.inet_aton(dst) + udp


def raw_socket(host: Host | None = None) -> socket.socket:
    """Takes whole packets, whatever their source."""
    if host is None:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with host.inside():
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def send(what: str, rate: int, seconds: float) -> int:
    """How many packets went: `new` to ever new destinations, one in ten of them able; `apart` to as many that no group
    is about; `forged` to west, from ever new sources."""
    sock, sent, begin = raw_socket(), 0, time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        due = int(passed * rate)
        while sent < due:
            n = sent // 10 if sent % 10 == 0 else sent
            tail = f"{n >> 8 & 255}.{n & 255}"
            if what == "forged":
                packet = datagram(f"100.{128 + (sent >> 16 & 63)}.{sent >> 8 & 255}.{sent & 255}", WEST)
            elif what == "apart":
                packet = datagram("10.1.0.2", f"101.{sent >> 16 & 255}.{sent >> 8 & 255}.{sent & 255}")
            elif sent % 10 == 0:
                packet = datagram("10.1.0.2", f"10.2.{tail}")
            else:
                packet = datagram("10.1.0.2", f"100.{128 + (n >> 16 & 63)}.{tail}")
            with suppress(OSError):
                sock.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
            sent += 1
        time.sleep(0.001)
    return sent


class Slow:
    """Every packet that a router forwards waits for so long: a wire of that length, by the kernel's queue."""

    QUEUE = 77

    def __init__(self, router: Host, seconds: float) -> None:
        self._seconds = seconds
        for command in ("iptables", "ip6tables"):
            router.run(command, "-t", "mangle", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", str(self.QUEUE))
        with router.inside():
            self._queue = NfQueue(self.QUEUE, 4096, False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        router.lab.at_close(self.close)

    def _run(self) -> None:
        waiting: list[tuple[float, int]] = []
        while not self._stop.is_set():
            with suppress(BlockingIOError, HostError):
                waiting += [(time.monotonic() + self._seconds, each.id) for each in self._queue.read()]
            while waiting and waiting[0][0] <= time.monotonic():
                self._queue.verdict(waiting.pop(0)[1], True)
            self._queue.flush()
            time.sleep(0.00005)

    def close(self) -> None:
        """Let nothing through any more."""
        self._stop.set()
        self._thread.join(2)
        self._queue.close()


def decided(world: OeWorld) -> int:
    """Pairs that west's kernel knows."""
    return world.west.host.run("nft", "list", "map", "ip", "openswan_oe", "decided").stdout.count(" . ") - 1


def settled(world: OeWorld, patience: float = 30.0) -> None:
    """Wait until nothing is held or called any more."""
    wait_for("an end of set-ups", lambda: world.west.json("status")["interception"]["held"] == 0, patience, 1.0)


if __name__ == "__main__":
    print(send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
