# SPDX-License-Identifier: GPL-2.0-or-later
"""Opportunistic encryption at speed: pairs at once, first packets, traffic in clear, new destinations, forged triggers.

`python -m tests.bench.oe [pairs] [delay] [clear] [new] [forged] [SECONDS]`, as root; all of it without arguments.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from tests.bench.machine import describe, resident, spent
from tests.bench.many import row
from tests.bench.oeworld import APART, EAST, Ears, OeWorld, Slow, datagram, decided, oe_world, raw_socket, settled
from tests.netns.lab import Lab, LabError, wait_for
from tests.netns.traffic import assert_ping

PAIRS = 1000
FIRSTS = 300
DECIDED = 100_000
NEW, FORGED = 10_000, 20_000
RTT = 0.001
QUIET = 10.0
"""Seconds without another tunnel after which no more are waited for: their pairs have been decided otherwise."""


def pairs() -> None:
    """A thousand pairs of hosts, each with a first packet of its own, all at once."""
    with oe_world(failure="drop") as world:
        ears, sock = Ears(world.lab.sunrise), raw_socket(world.lab.sunset)
        before = [spent(gateway.pid) for gateway in (world.west, world.east)]
        begin = time.monotonic()
        for n in range(PAIRS):
            target = f"10.2.{1 + n // 250}.{1 + n % 250}"
            sock.sendto(datagram(f"10.1.{1 + n // 250}.{1 + n % 250}", target), (target, 0))
        made, last = 0, begin
        while made < PAIRS and time.monotonic() < last + QUIET:
            time.sleep(0.05)
            if (now := world.tunnels()) > made:
                made, last = now, time.monotonic()
        took = [spent(gateway.pid) - then for gateway, then in zip((world.west, world.east), before, strict=True)]
        time.sleep(1.0)
    each = " and ".join(f"{1000 * seconds / PAIRS:.1f}" for seconds in took)
    row(f"{PAIRS:,} pairs of hosts at once: up between two gateways; the last one; first packets that arrived;"
        " processor time of each daemon for one",
        f"{made:,}; {last - begin:.1f} s; {ears.count:,}; {each} ms", "all; 8 s; all; 5 ms")  # fmt: skip


def delay() -> None:
    """What the first packet of a pair waits longer than the next, one pair after the other."""
    added, ears = [], None
    with oe_world("routed") as world:
        Slow(world.lab.r1, RTT / 2)
        ears, sock = Ears(world.lab.sunrise), raw_socket(world.lab.sunset)
        for n in range(FIRSTS):
            target = f"10.2.{1 + n // 250}.{1 + n % 250}"
            for count in (1, 2, 3):
                sock.sendto(datagram("10.1.0.2", target), (target, 0))
                wait_for("it", lambda: len(ears.delays.get(target, ())) >= count, 8, 0.001)  # noqa: B023
            first, _, later = ears.delays[target]
            added.append(first - later)
    added.sort()
    p50, p99 = added[len(added) // 2] * 1000, added[len(added) * 99 // 100] * 1000
    row(f"delay added to the first packet at {1000 * RTT:g} ms RTT, p50; p99 of {FIRSTS}", f"{p50:.1f}; {p99:.1f} ms",
        "15; 60 ms")  # fmt: skip


def throughput(lab: Lab, target: str = "192.0.2.2", seconds: int = 4) -> float:
    """Gbit/s of TCP from sunset; 0 when the connection does not come to an end."""
    try:
        done = lab.sunset.run("iperf3", "-J", "-c", target, "-t", str(seconds), timeout=seconds + 10)
    except subprocess.TimeoutExpired:
        return 0.0
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]) / 1e9


def serve(lab: Lab, name: str = "east") -> subprocess.Popen[str]:
    """iperf3 on a host."""
    server = lab[name].start("iperf3", "-s")
    lab.at_close(server.kill)
    time.sleep(0.5)
    return server


def clear() -> None:
    """Forwarding without us, and of a pair in clear beside a hundred thousand that are decided; three times each."""
    with Lab() as lab:
        serve(lab)
        assert_ping(lab.sunset, "192.0.2.2")
        without = [throughput(lab) for _ in range(3)]
    with oe_world() as world:
        serve(world.lab)
        # East's own address has no group: it goes past us like what is decided to, so the pair is one of a group.
        world.lab.east.ip("route", "add", "local", "100.128.255.1", "dev", "lo")
        world.lab.east.ip("addr", "add", "100.128.255.1/32", "dev", "lo")
        sock, sent = raw_socket(world.lab.sunset), 0
        while sent < DECIDED:
            for _ in range(15):
                target = f"100.{129 + (sent >> 16)}.{sent >> 8 & 255}.{sent & 255}"
                sock.sendto(datagram("10.1.0.2", target), (target, 0))
                sent += 1
            time.sleep(0.012)
        settled(world, 60)
        known = decided(world)
        world.lab.sunset.run("ping", "-c", "1", "-W", "5", "100.128.255.1")
        with_us = [throughput(world.lab, "100.128.255.1") for _ in range(3)]
    ratio = statistics.median(with_us) / statistics.median(without)
    row(f"TCP in clear past {known:,} decided pairs; without us; ratio",
        f"{statistics.median(with_us):.2f}; {statistics.median(without):.2f} Gbit/s; {ratio:.2f}", "0.95")  # fmt: skip


def beside_packets(lab: Lab) -> float:
    """Gbit/s of TCP through a tunnel while as many packets pass by that nothing has to be decided about.

    Sender, receiver and both gateways share the cores of one machine: what the flood itself takes of them is not ours.
    """
    lab.west.ip("route", "add", APART, "via", EAST["direct"])
    flood = lab.sunset.start(sys.executable, "-m", "tests.bench.oeworld", "send", "apart", str(NEW), "8")
    time.sleep(1.5)
    found = throughput(lab, "10.2.0.2")
    flood.communicate()
    return found


def new(seconds: int) -> None:
    """Ten thousand new destinations a second, a tenth of them able; a tunnel that stood before carries on."""
    with oe_world() as world:
        lab, ears = world.lab, Ears(world.lab.sunrise)
        assert_ping(lab.sunset, "10.2.0.2")
        serve(lab, "sunrise")
        alone, beside, before = throughput(lab, "10.2.0.2"), beside_packets(lab), resident(world.west.pid)
        flow = lab.sunset.start("ping", "-i", "0.02", "-c", str(seconds * 50), "-q", "10.2.0.2")
        flood = lab.sunset.start(sys.executable, "-m", "tests.bench.oeworld", "send", "new", str(NEW), str(seconds))
        had, begin, most, meanwhile = world.tunnels(), time.monotonic(), 0.0, 0.0
        while flood.poll() is None:
            most = max(most, resident(world.west.pid))
            if not meanwhile and time.monotonic() - begin > seconds / 2:
                meanwhile = throughput(lab, "10.2.0.2")
            time.sleep(0.5)
        sent, took = int(flood.communicate()[0].split()[-1]), time.monotonic() - begin
        made = world.tunnels() - had
        lost = flow.communicate(timeout=60)[0]
        settle_and_tell(world, sent, took, made, most - before, ears.count)
        row("of a tunnel that stood: lost; throughput of TCP over that beside as many packets that no group is about",
            f"{lost[lost.index('received') + 10 : lost.index('packet loss')].strip()}; {meanwhile / beside:.2f}",
            "0%; 0.9")  # fmt: skip
        row("its throughput alone; beside as many packets that no group is about; in the flood",
            f"{alone:.2f}; {beside:.2f}; {meanwhile:.2f} Gbit/s", "-")  # fmt: skip


def settle_and_tell(world: OeWorld, sent: int, took: float, made: int, grown: float, heard: int) -> None:
    """The rows of a flood of new destinations, and that the gateway still works."""
    row(f"new destinations a second for {took:.0f} s", f"{sent / took:,.0f}", f"{NEW:,}")
    row("of them set up, a second; their first packets", f"{made / took:.0f}; {heard:,}", "100")
    try:
        settled(world, 60)
        rest = "all settled"
    except LabError:
        rest = "some still held after 60 s"
    counters = world.west.json("whack", "--counters")
    tracked = world.west.host.run("cat", "/proc/sys/net/netfilter/nf_conntrack_count").stdout.strip()
    row("dropped for want of room; the rest; connections tracked",
        f"{counters['interception']}; {rest}; {tracked}", "counted; failureshunt; few")  # fmt: skip
    row("resident memory grew by", f"{grown:.0f} MB", "bounded")


def forged(seconds: int) -> None:
    """Clear packets to west in the name of ever new hosts of a group; west's own set-ups go on."""
    with oe_world(own="100.128.0.0/10\n") as world:
        lab, ears, sock = world.lab, Ears(world.lab.sunrise), raw_socket(world.lab.sunset)
        before = resident(world.west.pid)
        flood = lab.east.start(sys.executable, "-m", "tests.bench.oeworld", "send", "forged", str(FORGED), str(seconds))
        time.sleep(2.0)
        asked = []
        while flood.poll() is None:
            target = f"10.2.{1 + len(asked) // 250}.{1 + len(asked) % 250}"
            sock.sendto(datagram("10.1.0.2", target), (target, 0))
            asked.append(target)
            time.sleep(0.25)
        time.sleep(5.0)
        sent = int(flood.communicate()[0].split()[-1])
        took = sorted(ears.delays[each][0] for each in asked if each in ears.delays)
        up = world.tunnels()
        row(f"forged triggers a second for {seconds} s", f"{sent / seconds:,.0f}", f"{FORGED:,}")
        row("honest set-ups meanwhile; their first packet, median",
            f"{up} of {len(asked)}; {took[len(took) // 2] * 1000:.0f} ms", "99%")  # fmt: skip
        row("resident memory grew by", f"{resident(world.west.pid) - before:.0f} MB", "bounded")


def main(words: list[str]) -> None:
    """Measure and print."""
    print(f"machine: {describe()}", flush=True)
    seconds = next((int(word) for word in words if word.isdecimal()), 60)
    chosen = [word for word in words if not word.isdecimal()] or ["pairs", "delay", "clear", "new", "forged"]
    for name, measure in {"pairs": pairs, "delay": delay, "clear": clear}.items():
        if name in chosen:
            measure()
    for name, flood in {"new": new, "forged": forged}.items():
        if name in chosen:
            flood(seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
