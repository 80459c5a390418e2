# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast many conns load and many tunnels come up, and how much memory the daemon takes.

Run it alone: `python -m tests.bench.scale [ROUNDS]`, as root.
"""

from __future__ import annotations

import sys
import time

from tests.bench.machine import describe, resident, spread
from tests.netns.conns import NET4, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.traffic import assert_ping

MANY = 500


def conns(auto: str) -> str:
    """Five hundred peers at one address, told apart by their identities: each has an IKE SA of its own."""
    text = ""
    for n in range(MANY):
        net = f"172.16.{n >> 4}.{(n & 15) << 4}/28"
        far = f"172.24.{n >> 4}.{(n & 15) << 4}/28"
        text += conn(
            f"peer{n}", NET4, leftid=f"@west{n}", rightid=f"@east{n}", leftsubnet=net, rightsubnet=far, auto=auto
        )
    return text


def load() -> float:
    """Seconds from `ipsec setup start` until all conns are there."""
    with Lab() as lab:
        west = Gateway(lab.west, conns("add"), SECRETS)
        begin = time.monotonic()
        west.start()
        wait_for("all conns", lambda: len(west.status().split("kind=CK_")) > MANY, 60, 0.05)
        return time.monotonic() - begin


def tunnels() -> tuple[float, float]:
    """Seconds from the start of the initiator until both sides have all tunnels, and west's memory then in MB."""
    with Lab() as lab:
        east = Gateway(lab.east, conns("add"), SECRETS)
        west = Gateway(lab.west, conns("start"), SECRETS)
        east.start()
        wait_for("all conns", lambda: len(east.status().split("kind=CK_")) > MANY, 60, 0.2)
        for n in (0, MANY - 1):
            lab.west.ip("addr", "add", f"172.16.{n >> 4}.{((n & 15) << 4) + 1}/28", "dev", "lan")
            lab.east.ip("addr", "add", f"172.24.{n >> 4}.{((n & 15) << 4) + 1}/28", "dev", "lan")
        begin = time.monotonic()
        west.start()
        wait_for("all tunnels", lambda: west.tunnels() >= MANY and east.tunnels() >= MANY, 120, 0.3)
        took = time.monotonic() - begin
        for n in (0, MANY - 1):
            source = f"172.16.{n >> 4}.{((n & 15) << 4) + 1}"
            assert_ping(lab.west, f"172.24.{n >> 4}.{((n & 15) << 4) + 1}", source=source)
        return took, resident(west.pid)


def idle() -> float:
    """Resident MB of a daemon with nothing to do."""
    with Lab() as lab:
        west = Gateway(lab.west, conn("net", NET4, auto="add"), SECRETS)
        west.start()
        time.sleep(1)
        return resident(west.pid)


def main(rounds: int = 3) -> None:
    """Measure and print."""
    print(f"machine: {describe()}\n{rounds} rounds: median (lowest-highest)")
    print(f"| idle daemon | {spread([idle() for _ in range(rounds)], 'MB')} | wanted: under 60 |", flush=True)
    print(f"| {MANY} conns loaded | {spread([load() for _ in range(rounds)], 's')} | wanted: under 2 |", flush=True)
    got = [tunnels() for _ in range(rounds)]
    print(f"| {MANY} IKEv2 PSK tunnels up | {spread([t for t, _ in got], 's')} | wanted: under 10 |")
    print(f"| daemon with {MANY} tunnels | {spread([m for _, m in got], 'MB')} | |", flush=True)


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:2]))
