# SPDX-License-Identifier: GPL-2.0-or-later
"""Several workers on real queues and sockets: inbound of one peer spreads, order is kept, refusals fall back.

host A ----lan---- west =======wan======= east ----lan---- host B
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.bench.staticgate import Lab, Setup
from tests.netns.test_engine import ping, tcp

pytestmark = [pytest.mark.netns, pytest.mark.timeout(100)]

SEND = """
import socket, struct, sys, time
dst, count = sys.argv[1], int(sys.argv[2])
v6 = ":" in dst
socks = []
for n in range(8):
    s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((dst, 7000 + n))
    s.setsockopt(17, 103, 100)  # UDP_SEGMENT
    socks.append(s)
for at in range(0, count, 20):
    for s in socks:
        s.send(b"".join(struct.pack("!I", at + n).ljust(100) for n in range(20)))
    time.sleep(0.002)
"""
RECEIVE = """
import select, socket, struct, sys
count = int(sys.argv[1])
socks = []
for n in range(8):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    s.bind(("::", 7000 + n))
    socks.append(s)
print("ready", flush=True)
got, swapped = [0] * 8, 0
last = [-1] * 8
while sum(got) < 8 * count:
    ready = select.select(socks, [], [], 3)[0]
    if not ready:
        break
    for s in ready:
        n = socks.index(s)
        number = struct.unpack_from("!I", s.recv(2000))[0]
        swapped += number < last[n]
        last[n] = number
        got[n] += 1
print(sum(got), swapped, flush=True)
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(f"oC{os.getpid() % 100000}") as made:
        yield made


def numbered(lab: Lab, dst: str, count: int = 2000) -> tuple[int, int]:
    """(received, out of order) of eight flows of numbered datagrams, sent as super-packets from A to B."""
    server = subprocess.Popen(
        ["ip", "netns", "exec", lab.ns("b"), sys.executable, "-c", RECEIVE, str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    lab.run("a", sys.executable, "-c", SEND, dst, str(count))
    out, _ = server.communicate(timeout=30)
    got, swapped = out.split()
    return int(got), int(swapped)


@pytest.mark.matrix
@pytest.mark.parametrize("outer", [4, 6])
def test_inbound_of_one_peer_spreads_over_workers_by_sa_and_order_is_kept(lab: Lab, outer: int) -> None:
    # An SA pair for each of eight nets of B's, all between the same two outer addresses and ports.
    lab.start(Setup(outer=outer, workers=2, nets=8))
    for n in range(8):
        lab.run("b", "ip", "addr", "add", f"10.2.{n + 1}.2/24", "dev", "lo")
    for n in range(8):
        assert ping(lab, f"10.2.{n + 1}.2")
    for n in range(4):
        got, swapped = numbered(lab, f"10.2.{n + 1}.2", 1000)
        assert got > 7500 and swapped == 0
    west, east = lab.finish()
    for report in (west, east):
        assert set(report["drops"]) <= {"NO_EROUTE"}, report["drops"]  # type: ignore[call-overload]
    # Both of east's workers opened packets, each those of its own SAs.
    opened: list[int] = east["workers"]  # type: ignore[assignment]
    assert len(opened) == 2 and min(opened) > 1000, opened
    assert west["lanes"] == east["lanes"] == 2


def test_a_kernel_that_refuses_queues_and_groups_gets_one_of_each(lab: Lab) -> None:
    lab.start(Setup(workers=2, lanes=1))
    assert ping(lab, "10.2.0.2") and ping(lab, "2001:db8:2::2")
    assert tcp(lab, "10.2.0.2")["sum_received"]["bytes"] > 1 << 20
    for dst in ("10.2.0.2", "2001:db8:2::2"):
        got, swapped = numbered(lab, dst, 500)
        assert got > 3600 and swapped == 0
    west, _ = lab.finish()
    assert west["lanes"] == 1 and west["devices"][0]["queues"] == 1  # type: ignore[index]


def test_tcpdump_on_ipsec0_shows_plaintext_with_all_offloads_on(lab: Lab) -> None:
    lab.start(Setup(workers=2))
    assert ping(lab, "10.2.0.2")
    seen: dict[str, str] = {}
    watchers = {
        who: subprocess.Popen(
            ["ip", "netns", "exec", lab.ns(who), "tcpdump", "-lnnv", "-s", "96", "-i", "ipsec0", "-c", "4000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for who in ("west", "east")
    }
    time.sleep(1)
    assert tcp(lab, "10.2.0.2")["sum_received"]["bytes"] > 1 << 20
    assert numbered(lab, "10.2.0.2", 200)[0] > 1400
    for who, watcher in watchers.items():
        watcher.terminate()
        seen[who] = watcher.communicate(timeout=10)[0]
    for who in ("west", "east"):
        assert "10.1.0.2." in seen[who] and "ESP" not in seen[who]
        # Super-packets are shown whole, both ways: those the host gives and those the engine makes.
        lengths = [
            int(word.rstrip(":"))
            for line in seen[who].splitlines()
            for word in line.rpartition(" length ")[2:]
            if word.rstrip(":").isdecimal()
        ]
        assert max(lengths) > 10000, who
    west, east = lab.finish()
    for report in (west, east):
        assert report["devices"][0]["offloads"] == ["TSO", "USO"]  # type: ignore[index]
