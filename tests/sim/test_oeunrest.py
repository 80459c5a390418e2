# SPDX-License-Identifier: GPL-2.0-or-later
"""Two gateways with closed groups for themselves and for a host behind each; either loses its line or all it knew, at
any point of a negotiation: nothing goes in clear, and each of the four flows is back at once when the cause is gone.

`make soak-sim` takes many more seeds.
"""

from __future__ import annotations

import random

import pytest

from openswan.base.said import Said
from openswan.engine.events import NetworkState
from openswan.engine.settings import Settings
from tests.sim.net import PERFECT, Faults
from tests.sim.pair import EAST, WEST, Inner, Pair, SimHost
from tests.sim.test_groups import ready
from tests.sim.test_oegateway import BEHIND, HOST, INSIDE, both_for_all, lan, meets

SOON = 3.0
"""Seconds after the cause is gone."""
CHUNK = 10
LULLS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Seconds between two causes: within a negotiation, or when all is quiet."""
SECRET = Settings(crash_secret=b"what outlives all of it")


def flows(pair: Pair) -> tuple[tuple[SimHost, SimHost, str, str], ...]:
    west, east = pair.west, pair.east
    return (
        (west, east, WEST, EAST),
        (west, east, INSIDE, BEHIND),
        (east, west, EAST, WEST),
        (east, west, BEHIND, INSIDE),
    )


def reboot(host: SimHost, net: str) -> None:
    host.boot()
    for line in (HOST, lan(net, name="lan")):
        ready(host, line, private="192.0.2.0/24\n198.51.100.0/24\n", lan="10.0.0.0/8\n")


def cut(pair: Pair, host: SimHost) -> None:
    """Its line is down: its address has gone, and nothing arrives anywhere."""
    host.post(NetworkState((), ()))
    pair.net.faults = Faults(loss=1.0)


def mend(pair: Pair, host: SimHost) -> None:
    pair.net.faults = PERFECT
    host.post(host.network())


def talk(pair: Pair, dice: random.Random, seconds: float) -> None:
    """All four flows, for so long."""
    end = pair.net.now + seconds
    while pair.net.now < end:
        pair.run(dice.uniform(0.01, 0.05))
        for host, _, src, dst in flows(pair):
            pair.send(host, src, dst)


def back(pair: Pair) -> float:
    """Seconds until each flow has delivered something new."""
    begun, sent = pair.net.now, dict[tuple[str, str], list[Inner]]()
    silent = {(src, dst) for _, _, src, dst in flows(pair)}
    while silent and pair.net.now < begun + 4 * SOON:
        pair.run(0.05)
        for host, far, src, dst in flows(pair):
            if (src, dst) in silent:
                sent.setdefault((src, dst), []).append(pair.send(host, src, dst))
                if any(each in far.klips.delivered for each in sent[src, dst]):
                    silent.discard((src, dst))
    return pair.net.now - begun


def story(seed: int) -> Pair:
    """Three causes, each when nobody expects it; AssertionError when a promise is broken."""
    dice = random.Random(seed)
    pair = both_for_all(SECRET)
    talk(pair, dice, dice.choice(LULLS[:5]))
    for _ in range(3):
        host, net = dice.choice(((pair.west, "10.1.0.0/16"), (pair.east, "10.2.0.0/16")))
        if dice.choice((True, False)):
            reboot(host, net)
        else:
            cut(pair, host)
            pair.run(dice.uniform(0.1, 3.0))
            mend(pair, host)
        talk(pair, dice, dice.choice(LULLS))
    took = back(pair)
    lines = "\n".join(line for host in (pair.west, pair.east) for line in (f"--- {host.name}", *host.lines))
    assert took <= SOON, f"seed {seed}: {took:.1f} s\n{lines}"
    assert not any("is in use for" in line for line in (*pair.west.lines, *pair.east.lines)), f"seed {seed}\n{lines}"
    assert pair.west.clear == pair.east.clear == [], f"seed {seed}\n{lines}"
    return pair


@pytest.mark.parametrize("seed", range(0, 60, CHUNK))
def test_all_is_back_whatever_was_lost_in_the_middle_of_it(seed: int) -> None:
    for each in range(seed, seed + CHUNK):
        story(each)


def test_a_pair_that_failed_because_the_line_was_cut_is_tried_again_when_it_is_back() -> None:
    """Not after the back-off: that is for peers which are silent."""
    pair = both_for_all(SECRET)
    pair.send(pair.west, INSIDE, BEHIND)
    pair.run(0.06)
    cut(pair, pair.west)
    pair.run(1.0)
    assert not isinstance(meets(pair.west, INSIDE, BEHIND), Said)
    mend(pair, pair.west)
    late = pair.send(pair.west, INSIDE, BEHIND)
    assert pair.run(1.0, lambda: late in pair.east.klips.delivered)
    pair.sane()


def test_what_a_pair_asks_for_on_an_ike_sa_that_the_peer_has_lost_is_asked_for_on_another() -> None:
    """East has lost its line and all SAs with it; west asks for its host's tunnel on what it believes in."""
    pair = both_for_all(SECRET)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.run(3.0)
    cut(pair, pair.east)
    pair.run(1.0)
    mend(pair, pair.east)
    late = pair.send(pair.west, INSIDE, BEHIND)
    assert pair.run(1.0, lambda: late in pair.east.klips.delivered)
    assert not any("negotiation failed" in line for line in pair.west.lines)
    pair.sane()
