# SPDX-License-Identifier: GPL-2.0-or-later
"""Two packet engines with keys given by hand, no IKE, each in a namespace of its own.

    host A ----lan---- west =======wan======= east ----lan---- host B
    10.1.0.2     10.1.0.1 192.0.2.1     192.0.2.2 10.2.0.1   10.2.0.2
    2001:db8:1::2    ::1  2001:db8:0::1      ::2  2001:db8:2::1   ::2

`python -m tests.bench.staticgate JSON` is one gateway: it says "ready", waits until its standard input ends, and then
prints its counters as JSON.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import IO

from openswan.base.address import Endpoint
from openswan.base.marks import DEFAULT_MARKS
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.host.ikesock import Kind, open_group, open_socket
from openswan.klips.engine import Klips
from openswan.plane.commands import (
    AddSa,
    AttachDevice,
    AttachPass,
    AttachSocket,
    Direction,
    Encap,
    SetEroute,
)
from openswan.policy.selector import FlowKey, Selector

LANS = {"west": ("10.1.0.0/24", "2001:db8:1::/64"), "east": ("10.2.0.0/24", "2001:db8:2::/64")}
OUTER = {4: {"west": "192.0.2.1", "east": "192.0.2.2"}, 6: {"west": "2001:db8::1", "east": "2001:db8::2"}}
KEYS = {
    "aes_gcm_16": (20, "", 0),
    "chacha20_poly1305": (36, "", 0),
    "aes_cbc": (16, "hmac_sha2_256_128", 32),
}
TUNSETIFF = 0x400454CA
FLAGS = 0x0001 | 0x0100 | 0x1000 | 0x4000  # IFF_TUN, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR


@dataclass(frozen=True)
class Setup:
    """What both gateways must agree on."""

    me: str = "west"
    outer: int = 4
    udp: bool = True
    cipher: str = "aes_gcm_16"
    provider: str = "auto"
    workers: int = 0
    others: int = 0
    """SA pairs and eroutes of other connections beside the one measured."""
    nets: int = 0
    """SA pairs, each for a net 10.2.N.0/24 of east's from 1."""
    lanes: int = 0
    """Queues of the TUN and sockets of the endpoint; 0: one a worker."""
    esn: bool = False
    mtu: int = 1500
    passing: bool = False
    """The gateways pass instead of encrypting: %pass eroutes, raw sockets, marked packets routed out of the wan."""


def tun(name: str) -> int:
    """A TUN of our own namespace."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), FLAGS))
    return fd


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True)


def load(klips: Klips, s: Setup) -> None:
    """SAs and eroutes of both families' nets, and of the other connections."""
    him = "east" if s.me == "west" else "west"
    mine, his = (ip_address(OUTER[s.outer][who]) for who in (s.me, him))
    key_len, integ, auth_len = KEYS[s.cipher]
    encap = Encap(4500, 4500) if s.udp else None

    def pair(number: int, local: list[str], remote: list[str]) -> None:
        spis = {"west": 0x1000 + 2 * number, "east": 0x1001 + 2 * number}
        ours = [Selector.of(ip_network(net)) for net in local]
        theirs = [Selector.of(ip_network(net)) for net in remote]
        for direction in Direction:
            out = direction is Direction.OUT
            dst, src = (his, mine) if out else (mine, his)
            spi = spis[him if out else s.me]
            pairs = list(zip(ours, theirs, strict=True)) if out else list(zip(theirs, ours, strict=True))
            klips.execute(
                AddSa(
                    Said(IpProtocol.ESP, spi, dst),
                    src,
                    direction,
                    s.cipher,
                    (spi.to_bytes(4, "big") * 16)[:key_len],
                    integ,
                    (spi.to_bytes(4, "big") * 16)[:auth_len],
                    esn=s.esn,
                    encap=encap,
                    peer_said=Said(IpProtocol.ESP, spis[s.me if out else him], mine if out else his),
                    selectors=tuple(pairs),
                )
            )
        for a, b in zip(local, remote, strict=True):
            klips.execute(SetEroute(FlowKey(ip_network(a), ip_network(b)), Said(IpProtocol.ESP, spis[him], his)))

    pair(0, list(LANS[s.me]), list(LANS[him]))
    for n in range(1, s.nets + 1):
        low, high = LANS["west"][0], f"10.2.{n}.0/24"
        pair(0x8000 + n, [low if s.me == "west" else high], [high if s.me == "west" else low])
    for n in range(1, s.others + 1):
        low, high = (
            f"172.{16 + (n >> 12)}.{n >> 4 & 255}.{(n & 15) << 4}/28",
            f"172.{24 + (n >> 12)}.{n >> 4 & 255}.{(n & 15) << 4}/28",
        )
        pair(n, [low if s.me == "west" else high], [high if s.me == "west" else low])


def let_through(klips: Klips, me: str, him: str) -> None:
    """%pass for both families' nets, on raw sockets whose mark chooses the way out of the wan."""
    for family, option, version in ((socket.AF_INET, (socket.IPPROTO_IP, 3), 4), (socket.AF_INET6, (41, 36), 6)):
        raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        raw.setsockopt(*option, 1)  # IP_HDRINCL, IPV6_HDRINCL
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, DEFAULT_MARKS.own)
        klips.execute(AttachPass(version, raw.fileno()))
        raw.close()
    for mine, his, version in zip(LANS[me], LANS[him], (4, 6), strict=True):
        klips.execute(SetEroute(FlowKey(ip_network(mine), ip_network(his)), Shunt.PASS))
        ip(f"-{version}", "route", "add", his, "via", OUTER[version][him], "table", "77")
        ip(f"-{version}", "rule", "add", "fwmark", hex(DEFAULT_MARKS.own), "lookup", "77")


def gateway(s: Setup) -> None:
    """Be one gateway until standard input ends."""
    him = "east" if s.me == "west" else "west"
    klips = Klips(s.provider, s.workers)
    lanes = s.lanes or klips.workers
    queues = tuple(tun("ipsec0") for _ in range(lanes))
    ip("link", "set", "ipsec0", "mtu", str(s.mtu), "up", "txqueuelen", "1000")
    klips.execute(AttachDevice("ipsec0", "wan", queues, s.mtu))
    local = Endpoint(ip_address(OUTER[s.outer][s.me]), 4500 if s.udp else 0)
    group = open_group(local.address, local.port, lanes) if s.udp else (open_socket(Kind.ESP, local.address, 0),)
    klips.execute(AttachSocket(local, tuple(each.fileno() for each in group), s.mtu, len(group) > 1))
    if s.passing:
        let_through(klips, s.me, him)
    else:
        load(klips, s)
    for net in LANS[him]:
        ip("route", "replace", net, "dev", "ipsec0")
    for n in range(1, s.nets + 1):
        ip("route", "replace", f"10.2.{n}.0/24", *(["dev", "ipsec0"] if s.me == "west" else ["via", "10.2.0.2"]))
    klips.start()
    print("ready", flush=True)
    sys.stdin.read()
    klips.stop()
    report = {
        "drops": {reason.name: count for reason, count in klips.drops().items() if count},
        "sas": [(str(v.said), v.packets, v.octets) for v in klips.sas()[:2]],
        "devices": [dataclasses.asdict(v) for v in klips.devices()],
        "eroutes": len(klips.eroutes()),
        "lanes": len(group),
        "workers": [sum(each) for each in klips.worker_packets()],
        "traps": sum(v.target is Shunt.TRAP for v in klips.eroutes()),
    }
    print(json.dumps(report), flush=True)


class Lab:
    """The four namespaces; `prefix` keeps them apart from anybody else's."""

    def __init__(self, prefix: str = "oC") -> None:
        self.prefix = prefix
        self.gates: list[subprocess.Popen[str]] = []

    def ns(self, who: str) -> str:
        """A namespace's name."""
        return self.prefix + who

    def run(self, who: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program there."""
        return subprocess.run(
            ["ip", "netns", "exec", self.ns(who), *words], check=check, capture_output=True, text=True, timeout=90
        )

    def __enter__(self) -> Lab:
        for who in ("a", "west", "east", "b"):
            subprocess.run(["ip", "netns", "del", self.ns(who)], capture_output=True, check=False)
            ip("netns", "add", self.ns(who))
            ip("-n", self.ns(who), "link", "set", "lo", "up")
        for one, dev, other in (("west", "wan", "east"), ("west", "lan", "a"), ("east", "lan", "b")):
            ip("link", "add", dev, "netns", self.ns(one), "type", "veth", "peer", "name", dev, "netns", self.ns(other))
        for who, dev, v4, v6 in (
            ("west", "wan", "192.0.2.1/24", "2001:db8::1/64"),
            ("east", "wan", "192.0.2.2/24", "2001:db8::2/64"),
            ("west", "lan", "10.1.0.1/24", "2001:db8:1::1/64"),
            ("east", "lan", "10.2.0.1/24", "2001:db8:2::1/64"),
            ("a", "lan", "10.1.0.2/24", "2001:db8:1::2/64"),
            ("b", "lan", "10.2.0.2/24", "2001:db8:2::2/64"),
        ):
            ip("-n", self.ns(who), "addr", "add", v4, "dev", dev)
            ip("-n", self.ns(who), "addr", "add", v6, "dev", dev, "nodad")
            ip("-n", self.ns(who), "link", "set", dev, "up")
        for who, via4, via6 in (("a", "10.1.0.1", "2001:db8:1::1"), ("b", "10.2.0.1", "2001:db8:2::1")):
            ip("-n", self.ns(who), "route", "add", "default", "via", via4)
            ip("-n", self.ns(who), "-6", "route", "add", "default", "via", via6)
        for who in ("west", "east"):
            for setting in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0"):
                self.run(who, "sysctl", "-qw", setting)
        return self

    def start(self, setup: Setup) -> None:
        """Start both gateways."""
        for who in ("west", "east"):
            words = json.dumps(dataclasses.asdict(dataclasses.replace(setup, me=who)))
            gate = subprocess.Popen(
                ["ip", "netns", "exec", self.ns(who), sys.executable, "-m", "tests.bench.staticgate", words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.gates.append(gate)
        for gate in self.gates:
            line = _out(gate).readline()
            if line.strip() != "ready":
                raise RuntimeError(f"a gateway did not start: {line!r}")

    def finish(self) -> list[dict[str, object]]:
        """Stop both; their reports."""
        reports = []
        for gate in self.gates:
            out, _ = gate.communicate(timeout=30)
            reports.append(json.loads(out))
        self.gates.clear()
        return reports

    def __exit__(self, *why: object) -> None:
        for gate in self.gates:
            gate.kill()
            gate.wait()
        for who in ("a", "west", "east", "b"):
            subprocess.run(["ip", "netns", "del", self.ns(who)], capture_output=True, check=False)


def _out(gate: subprocess.Popen[str]) -> IO[str]:
    if gate.stdout is None:
        raise RuntimeError("the gateway has no output")
    return gate.stdout


if __name__ == "__main__":
    gateway(Setup(**json.loads(sys.argv[1])))
