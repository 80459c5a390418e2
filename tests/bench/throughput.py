# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP through two gateways: plain forwarding, ours, ours with thousands of other conns, strongSwan's kernel-libipsec.

    sunset ----lan---- west =======wan======= east ----lan---- sunrise

All on the same topology and machine, in turn, several rounds; iperf3 runs on sunset and sunrise.
Run it alone: `python -m tests.bench.throughput [ROUNDS [SECONDS]]`, as root.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

from tests.bench.machine import describe, spread
from tests.netns.conns import NET4, conn
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import pair
from tests.netns.strongswan import SECRET, StrongSwan
from tests.netns.traffic import assert_ping, iperf3

OTHERS = 5000


def measure(lab: Lab, seconds: float, streams: int = 1) -> float:
    """Gbit/s from sunset to sunrise."""
    assert_ping(lab.sunset, "10.2.0.2")
    return iperf3(lab.sunset, lab.sunrise, "10.2.0.2", seconds, options=("-P", str(streams))) / 1000


def plain(seconds: float) -> float:
    """No IPsec at all."""
    with Lab() as lab:
        return measure(lab, seconds)


def ours(seconds: float, more: str = "", streams: int = 1, **keywords: str) -> float:
    """Two of our gateways; `more` conns beside the one measured."""
    with Lab() as lab:
        text = conn("net", NET4, auto="add", **keywords)
        both = pair(lab, text + more)
        if more:
            wait_for("all traps", lambda: both.west.ipsec("eroute").stdout.count("%trap") >= OTHERS, 120, 1)
            wait_for("all traps", lambda: both.east.ipsec("eroute").stdout.count("%trap") >= OTHERS, 120, 1)
        both.up("net")
        return measure(lab, seconds, streams)


def others() -> str:
    """That many conns to the same peer, each routed and guarded."""
    return "".join(
        conn(
            f"other{n}",
            NET4,
            leftsubnet=f"172.{16 + (n >> 12)}.{n >> 4 & 255}.{(n & 15) << 4}/28",
            rightsubnet=f"172.{24 + (n >> 12)}.{n >> 4 & 255}.{(n & 15) << 4}/28",
            auto="route",
        )
        for n in range(OTHERS)
    )


def strongswan(seconds: float) -> float:
    """charon with kernel-libipsec on both sides, AES-GCM like ours."""

    def text(me: str, him: str, mine: str, his: str) -> str:
        child = f"net {{ local_ts = {mine}\n remote_ts = {his}\n esp_proposals = aes256gcm16\n }}"
        return (
            f"connections {{ lab {{\n version = 2\n local_addrs = {me}\n remote_addrs = {him}\n"
            f" local {{ auth = psk\n }}\n remote {{ auth = psk\n }}\n children {{ {child} }}\n }} }}\n{SECRET}"
        )

    with Lab() as lab:
        west = StrongSwan(lab.west, text("192.0.2.1", "192.0.2.2", "10.1.0.0/24", "10.2.0.0/24"))
        StrongSwan(lab.east, text("192.0.2.2", "192.0.2.1", "10.2.0.0/24", "10.1.0.0/24"))
        west.initiate("net")
        return measure(lab, seconds)


CASES: dict[str, Callable[[float], float]] = {
    "plain forwarding, no IPsec": plain,
    "strongSwan kernel-libipsec, aes256gcm16": strongswan,
    "ours, aes_gcm256, UDP 4500": lambda s: ours(s, esp="aes_gcm256"),
    f"ours, the same with {OTHERS} other conns": lambda s: ours(s, others(), esp="aes_gcm256"),
    "ours, aes_gcm256, UDP 4500, 4 streams": lambda s: ours(s, streams=4, esp="aes_gcm256"),
    "ours, aes_gcm256, raw ESP": lambda s: ours(s, esp="aes_gcm256", encapsulation="no"),
    "ours, aes128-sha1, UDP 4500": lambda s: ours(s, esp="aes128-sha1"),
    "ours, chacha20_poly1305, UDP 4500": lambda s: ours(s, esp="chacha20_poly1305"),
}


def main(rounds: int = 3, seconds: float = 4) -> dict[str, list[float]]:
    """Measure and print; Gbit/s a round of each case."""
    print(f"machine: {describe()}\n{rounds} rounds of {seconds:g} s, Gbit/s: median (lowest-highest)")
    got: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, case in CASES.items():
            got[name].append(case(seconds))
    for name, values in got.items():
        print(f"| {name} | {spread(values)} |", flush=True)
    names = list(CASES)
    middle = {name: statistics.median(values) for name, values in got.items()}
    print(f"ours over strongSwan: {middle[names[2]] / middle[names[1]]:.1f} (wanted: 4)")
    print(f"kept with {OTHERS} other conns: {middle[names[3]] / middle[names[2]]:.2f} (wanted: 0.8)")
    return got


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:3]))
