# SPDX-License-Identifier: GPL-2.0-or-later
"""What an opportunistic set-up costs pluto's brain: two of them in one process, pairs of hosts that meet through both.

`python -m tests.bench.setups [PAIRS [LINES [ORDER]]]`: no root needed, no kernel in it. With LINES, so many of the most
expensive functions by a profile, which itself makes everything about twice as slow; in ORDER, as pstats knows them.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from dataclasses import replace
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from openswan.base.said import Said
from openswan.engine.effects import Effect
from openswan.engine.events import EngineEvent
from openswan.policy.algorithms import DEFAULT_ESP, DEFAULT_IKE, with_esn
from openswan.policy.connection import Connection, ShuntPolicy
from tests.sim.pair import EAST, WEST, Pair, SimHost, make_pair
from tests.sim.test_groups import ready
from tests.sim.test_oedns import secrets
from tests.sim.test_oegateway import lan, publish

PAIRS = 1000
SPACING = 0.005
"""Seconds between two pairs that begin."""


class Meter:
    """A pluto's processor time, its host's kernel not counted."""

    def __init__(self, host: SimHost, profile: cProfile.Profile | None) -> None:
        self.seconds, self.events, self.effects, self.datagrams = 0.0, 0, 0, 0
        self._pluto, self._profile = host.pluto, profile
        self._handle = host.pluto.handle
        host.pluto.handle = self.handle  # type: ignore[method-assign]

    def handle(self, event: EngineEvent, now: float) -> list[Effect]:
        """As Pluto.handle."""
        begin = time.process_time_ns()
        if self._profile is not None:
            self._profile.enable()
        found = self._handle(event, now)
        if self._profile is not None:
            self._profile.disable()
        self.seconds += (time.process_time_ns() - begin) / 1e9
        self.events += 1
        self.effects += len(found)
        self.datagrams += sum(type(one).__name__ == "SendDatagram" for one in found)
        return found


def usual(conn: Connection) -> Connection:
    """With the algorithms that a conn has by itself."""
    return replace(conn, ike_proposals=DEFAULT_IKE, esp_proposals=with_esn(DEFAULT_ESP, (True, False)))


def world(pairs: int) -> Pair:
    """Two gateways that are in the DNS with the hosts behind them."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    pair = make_pair(0, west_secrets=secrets(keys[0]), east_secrets=secrets(keys[1]))
    publish(pair, WEST, keys[0])
    publish(pair, EAST, keys[1])
    for n in range(pairs):
        near, far = hosts(n)
        publish(pair, near, keys[0], WEST)
        publish(pair, far, keys[1], EAST)
    patient: dict[str, Any] = {"retransmit_timeout": 60.0}
    ready(pair.west, usual(lan("10.1.0.0/16", ShuntPolicy.DROP, **patient)), private="10.2.0.0/16\n")
    ready(pair.east, usual(lan("10.2.0.0/16", ShuntPolicy.DROP, **patient)), private="10.1.0.0/16\n")
    return pair


def hosts(n: int) -> tuple[str, str]:
    """The addresses of a pair."""
    return f"10.1.{1 + n // 250}.{1 + n % 250}", f"10.2.{1 + n // 250}.{1 + n % 250}"


def every(pair: Pair, pairs: int) -> bool:
    """Are they all up?"""
    return up(pair.west) == up(pair.east) == pairs


def up(host: SimHost) -> int:
    """Tunnels a host has."""
    return sum(isinstance(each.target, Said) for each in host.klips.eroutes.values())


def measure(pairs: int, profile: cProfile.Profile | None = None) -> None:
    """Have them all meet, and print what that took."""
    pair = world(pairs)
    meters = {host.name: Meter(host, profile) for host in (pair.west, pair.east)}
    for n in range(pairs):
        pair.net.at(pair.net.now + n * SPACING, partial(pair.send, pair.west, *hosts(n)))
    pair.run(pairs * SPACING)
    while not every(pair, pairs) and pair.net.now < pairs * SPACING + 60.0:
        pair.run(1.0)
    for name, meter in meters.items():
        print(
            f"{name}: {up(getattr(pair, name)):,} tunnels; each {1000 * meter.seconds / pairs:.2f} ms,"
            f" {meter.events / pairs:.1f} events, {meter.effects / pairs:.1f} effects,"
            f" {meter.datagrams / pairs:.1f} datagrams"
        )
    pair.sane()


def main(words: list[str]) -> None:
    """Measure and print."""
    numbers = [int(word) for word in words[:2]]
    pairs = numbers[0] if numbers else PAIRS
    if len(numbers) < 2:
        measure(pairs)
        return
    profile = cProfile.Profile()
    measure(pairs, profile)
    pstats.Stats(profile).sort_stats(*words[2:] or ["tottime"]).print_stats(numbers[1])


if __name__ == "__main__":
    main(sys.argv[1:])
