# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP, small packets and round trips through two gateways: plain forwarding, ours, strongSwan's kernel-libipsec.

    sunset ----lan---- west =======wan======= east ----lan---- sunrise

All on the same topology and machine, in turn, several rounds; load comes from sunset and sunrise.
Run it alone: `python -m tests.bench.throughput [ROUNDS [SECONDS [WORD ...]]]`, as root; with words only the cases whose
name has one of them.
"""

from __future__ import annotations

import os
import re
import socket
import statistics
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from tests.bench.gateways import FAR4, FAR6, ours, plain, strongswan
from tests.bench.machine import describe, spread
from tests.netns.lab import Lab
from tests.netns.traffic import iperf3

OTHERS = 10000
IMIX = ((1400, 1), (576, 4), (64, 7))
"""Octets of IP packets and how many of each: the simple IMIX."""
TICKS = os.sysconf("SC_CLK_TCK")

Measure = Callable[[Lab, float], float]


def stream(lab: Lab, seconds: float, streams: int = 1, target: str = FAR4) -> float:
    """Gbit/s of TCP."""
    return iperf3(lab.sunset, lab.sunrise, target, seconds, options=("-P", str(streams))) / 1000


SENDER = """
import ctypes, socket, sys, time
dst, size, seconds, joined = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.c_void_p),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((dst, 7777))
sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
if joined > 1:
    sock.setsockopt(socket.IPPROTO_UDP, 103, size)  # UDP_SEGMENT
data = ctypes.create_string_buffer(size * joined)
vector = Vector(ctypes.addressof(data), size * joined)
count = 64 if joined == 1 else 1
messages = (Message * count)()
for each in messages:
    each.iov, each.iovlen = ctypes.addressof(vector), 1
send = ctypes.CDLL(None).sendmmsg
end = time.monotonic() + seconds
while time.monotonic() < end:
    send(sock.fileno(), messages, count, 0)
"""


def datagrams(lab: Lab, seconds: float, size: int, joined: int = 1) -> float:
    """Thousands of UDP packets a second that arrive when one sender sends as fast as it can.

    `joined`: so many in one UDP_SEGMENT message, as a host with that offload does; 1: each alone.
    """
    with lab.sunrise.inside():
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sink:
        # Nobody reads: what arrives is counted by the kernel, and no reader takes the gateways' processor.
        sink.bind((FAR4, 7777))
        before = _arrived(lab)
        words = (FAR4, str(size - 28), str(seconds), str(joined))
        lab.sunset.run(sys.executable, "-c", SENDER, *words, timeout=seconds * 10 + 30)
        return (_arrived(lab) - before) / seconds / 1000


def _arrived(lab: Lab) -> int:
    """UDP datagrams that reached sunrise, whether or not somebody read them in time."""
    names, values = (
        line.split() for line in lab.sunrise.run("cat", "/proc/net/snmp").stdout.splitlines() if line.startswith("Udp:")
    )
    counters = dict(zip(names, values, strict=True))
    return int(counters["InDatagrams"]) + int(counters["RcvbufErrors"])


def imix(lab: Lab, seconds: float) -> float:
    """Gbit/s of a mix of datagrams as one would be sent after the other, from the rates of its sizes."""
    time = sum(count / datagrams(lab, seconds / len(IMIX), size) for size, count in IMIX)
    return sum(size * 8 * count for size, count in IMIX) / time / 1e6


def round_trip(lab: Lab, seconds: float) -> float:
    """Microseconds of a flood ping's average round trip: the next goes when the answer is there."""
    done = lab.sunset.run("ping", "-f", "-q", "-c", str(int(seconds * 2000)), FAR4, timeout=seconds * 60 + 30)
    found = re.search(r"= [\d.]+/([\d.]+)/", done.stdout)
    if found is None:
        raise RuntimeError(done.stdout)
    return float(found[1]) * 1000


def cost(lab: Lab, seconds: float) -> float:
    """Seconds of a core that both gateways' processes together use for a gigabit."""
    before = _used(lab)
    rate = stream(lab, seconds)
    return (_used(lab) - before) / (rate * seconds)


def _used(lab: Lab) -> float:
    total = 0
    for pid in (*lab.west.pids(), *lab.east.pids()):
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(words[11]) + int(words[12])
    return total / TICKS


Gateways = Callable[[], AbstractContextManager[Lab]]
GCM = partial(ours, esp="aes_gcm128")
CASES: dict[str, tuple[Gateways, Measure]] = {
    "Gbit/s, plain forwarding": (plain, stream),
    "Gbit/s, strongSwan kernel-libipsec, aes128gcm16": (strongswan, stream),
    "Gbit/s, ours, aes_gcm128": (GCM, stream),
    f"Gbit/s, ours with {OTHERS} other conns routed and guarded": (partial(GCM, OTHERS), stream),
    "Gbit/s, ours, 8 streams": (GCM, partial(stream, streams=8)),
    "Gbit/s, ours, IPv6 in IPv4": (partial(GCM, six=True), partial(stream, target=FAR6)),
    "Gbit/s, ours, raw ESP": (partial(GCM, encapsulation="no"), stream),
    "Gbit/s, ours, aes_gcm256": (partial(ours, esp="aes_gcm256"), stream),
    "Gbit/s, ours, aes128-sha1": (partial(ours, esp="aes128-sha1"), stream),
    "Gbit/s, ours, chacha20_poly1305": (partial(ours, esp="chacha20_poly1305"), stream),
    "core seconds a Gbit, strongSwan": (strongswan, cost),
    "core seconds a Gbit, ours": (GCM, cost),
    "kpackets/s of 64 octets, plain forwarding": (plain, partial(datagrams, size=64)),
    "kpackets/s of 64 octets, strongSwan": (strongswan, partial(datagrams, size=64)),
    "kpackets/s of 64 octets, ours": (GCM, partial(datagrams, size=64)),
    "kpackets/s of 64 octets, 50 a message, strongSwan": (strongswan, partial(datagrams, size=64, joined=50)),
    "kpackets/s of 64 octets, 50 a message, ours": (GCM, partial(datagrams, size=64, joined=50)),
    "Gbit/s of IMIX, strongSwan": (strongswan, imix),
    "Gbit/s of IMIX, ours": (GCM, imix),
    "us a flood ping's round trip, plain forwarding": (plain, round_trip),
    "us a flood ping's round trip, strongSwan": (strongswan, round_trip),
    "us a flood ping's round trip, ours": (GCM, round_trip),
}
RATIOS = (
    # What, by what, wanted.
    ("Gbit/s, ours, aes_gcm128", "Gbit/s, strongSwan kernel-libipsec, aes128gcm16", "at least 13"),
    ("Gbit/s, ours, aes_gcm128", "Gbit/s, plain forwarding", "at least 0.35"),
    ("Gbit/s, ours, raw ESP", "Gbit/s, strongSwan kernel-libipsec, aes128gcm16", "at least 6"),
    (f"Gbit/s, ours with {OTHERS} other conns routed and guarded", "Gbit/s, ours, aes_gcm128", "at least 0.95"),
    ("kpackets/s of 64 octets, ours", "kpackets/s of 64 octets, strongSwan", "at least 8"),
    (
        "kpackets/s of 64 octets, 50 a message, ours",
        "kpackets/s of 64 octets, 50 a message, strongSwan",
        "at least 8",
    ),
    ("us a flood ping's round trip, ours", "us a flood ping's round trip, strongSwan", "under 0.4"),
)


def main(rounds: int = 3, seconds: float = 4, *words: str) -> dict[str, list[float]]:
    """Measure and print; a figure a round of each case."""
    print(f"machine: {describe()}\n{rounds} rounds of {seconds:g} s: median (lowest-highest)")
    chosen = {name: case for name, case in CASES.items() if not words or any(word in name for word in words)}
    got: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, (gateways, measure) in chosen.items():
            with gateways() as lab:
                got[name].append(measure(lab, seconds))
    for name, values in got.items():
        print(f"| {name} | {spread(values)} |")
    middle = {name: statistics.median(values) for name, values in got.items()}
    for what, by, wanted in RATIOS:
        if what in middle and by in middle:
            print(f"| {what}: over {by.partition(', ')[2]} | {middle[what] / middle[by]:.2f} | {wanted} |")
    sys.stdout.flush()
    return got


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:2]), *(float(a) for a in sys.argv[2:3]), *sys.argv[3:])
