# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway under 20,000 forged first messages a second: do honest peers get in, does traffic flow, does memory stay?

`python -m tests.bench.flood [RATE [SECONDS]]`, as root. West forges in the name of 10.200.0.0/13 and is an honest peer
at the same time; both gateways, the sender and the pings share the machine's cores.
"""

from __future__ import annotations

import os
import random
import re
import socket
import struct
import sys
import time

from openswan.crypto import dh
from openswan.host.entropy import SystemRng
from openswan.ike.v2.negotiate import offer
from openswan.policy.algorithms import DEFAULT_IKE
from openswan.wire.header import NO_SPI, Flags, Header
from openswan.wire.message import Message
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.numbers import DhId, ExchangeType, ProtocolId
from openswan.wire.whack import encode_request
from tests.bench.machine import describe, resident
from tests.bench.many import UP, Tail, conns, loaded, row
from tests.netns.conns import NET4, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for

PACKETS = 8192
TARGET = "192.0.2.2"


def forged() -> list[bytes]:
    """Whole IPv4 packets, each from a source and with an SPI of its own; all would be taken if they were honest."""
    pair = dh.generate("x25519", SystemRng())
    packets = []
    for _ in range(PACKETS):
        header = Header(os.urandom(8), NO_SPI, ExchangeType.IKE_SA_INIT, Flags.INITIATOR)
        payloads = (offer(DEFAULT_IKE, ProtocolId.IKE), Ke(DhId(31), pair.public), Nonce(os.urandom(32)))
        data = Message(header, payloads).emit()
        source = f"10.{200 + random.randrange(8)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        udp = struct.pack("!HHHH", random.randrange(1024, 65536), 500, 8 + len(data), 0) + data
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
        packets.append(ip + socket.inet_aton(source) + socket.inet_aton(TARGET) + udp)
    return packets


def send(rate: int, seconds: float) -> int:
    """Send at that rate, in steps of a millisecond; how many went out."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    packets, sent = forged(), 0
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        due = int(passed * rate)
        while sent < due:
            sock.sendto(packets[sent % PACKETS], (TARGET, 0))
            sent += 1
        time.sleep(0.001)
    return sent


def main(rate: int = 20_000, length: int = 60) -> None:
    """Measure and print."""
    print(f"machine: {describe()}")
    peers = 2 * length
    with Lab() as lab:
        anybody = conn("anybody", NET4, left="%any", leftsubnet="", leftid="", rightid="@gate", auto="add")
        east = Gateway(lab.east, conns(peers + 1, "add") + anybody, SECRETS)
        west = Gateway(lab.west, conns(peers + 1, "add"), SECRETS)
        lab.east.ip("route", "add", "10.200.0.0/13", "via", "192.0.2.1")
        for each in (east, west):
            each.start()
            loaded(each, peers + 1)
        first = peers
        near, far = (f"10.{base}.{first >> 4}.{((first & 15) << 4) + 1}" for base in (16, 32))
        lab.west.ip("addr", "add", f"{near}/28", "dev", "lan")
        lab.east.ip("addr", "add", f"{far}/28", "dev", "lan")
        west.up(f"peer{first}")
        before = resident(east.pid)
        tail = Tail(west.run_dir / "pluto.log", UP)
        already = tail.look()[UP]
        pings = lab.west.start("ping", "-i", "0.02", "-c", str(length * 50), "-q", "-I", near, far)
        flood = lab.west.start(sys.executable, "-m", "tests.bench.flood", "send", str(rate), str(length))
        time.sleep(2.0)
        times = []
        for n in range(peers - 8):
            begin = time.monotonic()
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.connect(str(west.run_dir / "pluto.ctl"))
                sock.sendall(encode_request("initiate", name=f"peer{n}", asynchronous=True))
                while sock.recv(65536):
                    pass
            wanted = already + len(times) + 1
            try:
                wait_for("the tunnel", lambda wanted=wanted: tail.look()[UP] >= wanted, 5.0, 0.01)  # type: ignore[misc]
                times.append(time.monotonic() - begin)
            except Exception:
                already -= 1
            time.sleep(max(0.0, 0.45 - (time.monotonic() - begin)))
            if flood.poll() is not None:
                break
        asked = n + 1
        sent = int(flood.communicate(timeout=30)[0].split()[-1])
        lost = re.search(r"([\d.]+)% packet loss", pings.communicate(timeout=60)[0])
        grown = resident(east.pid) - before
        times.sort()
        row(f"forged IKE_SA_INIT a second for {length} s", f"{sent / length:,.0f}", f"{rate:,}")
        row("honest set-ups within 5 s", f"{len(times)} of {asked}; median {times[len(times) // 2]:.3f} s", "99%")
        row("pings lost in an established tunnel", f"{lost[1] if lost else '?'}%", "0")
        row("resident memory grew by", f"{grown:.1f} MB ({len(times)} tunnels among it)", "10 MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        print(send(int(sys.argv[2]), float(sys.argv[3])))
    else:
        main(*(int(a) for a in sys.argv[1:3]))
