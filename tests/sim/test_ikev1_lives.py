# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv1 with everything at once: both ends renew both kinds of SA at the same moment, over links that lose up to 30%,
reorder and repeat, by each mode and proof, behind a NAT or not.

Whatever happens, once the network is good again each SA has its other half, each end uses one ISAKMP SA, which the
other knows, and nothing is left over; and no packet was lost, unless an end had to take the other for dead.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from openswan.ike.v1.quick import OVERDUE
from openswan.ike.v1.quickmodes import SETTLE
from openswan.ike.v1.succession import LINGER
from tests.sim.net import PERFECT, Faults
from tests.sim.pair import Pair, SimHost
from tests.sim.test_ikev1 import isakmp
from tests.sim.test_rekey import EAST_HOST, WEST_HOST, traffic
from tests.sim.v1 import v1_pair, v1_tunnel

SEEDS = 40
ONCE_LOST = (463, 790, 847, 931, 1071, 1344, 1372, 1417, 1621, 1630, 2356, 2605, 2629)
"""Lives among the 3,000 in which an end sent, for seconds, what the other could not read, or no pair was left."""
CHUNK = 5
LIFE = 90.0
"""Seconds in which things happen; then the network is good and all settles."""
DEAD = ("declaring peer dead", "SA expired", "max number of retransmissions")
WHAT = ("child", "isakmp", "both", "up")


@dataclass
class Life:
    """What came of one."""

    pair: Pair
    collisions: int
    excuse: str
    """Why a packet may have been lost; empty: none may."""


def ask(host: SimHost, what: str) -> None:
    """Have one end begin something now, whatever else is going on."""
    pluto, core = host.pluto, host.pluto.core
    core.now = host.net.now
    children = [child for child in core.states.children.values() if not child.closing]
    if what in ("child", "both"):
        for child in children:
            pluto.brain.lifetimes.rekey_child(child)
    if what in ("isakmp", "both"):
        for ike in isakmp(host):
            pluto.brain.lifetimes._rekey_ike(ike)
    if what == "up":
        host.request("initiate", name="net-net")
    effects, core.effects = core.effects, []
    for effect in effects:
        host.perform(effect)
    host._arm()


def live(seed: int) -> Life:
    """Bring a tunnel up, by one end or both, let everything happen to it, then let it settle."""
    dice = random.Random(f"ikev1 {seed}")
    faults = Faults(
        dice.uniform(0.0, 0.3),
        (0.005, dice.choice((0.02, 0.06))),
        dice.choice((0.0, 0.1, 0.3)),
        dice.choice((0.0, 0.1, 0.3)),
        mtu=dice.choice((576, 1500)),
    )
    nat, rsa, aggressive = dice.random() < 0.25, dice.random() < 0.05, dice.random() < 0.2
    pair = v1_pair(seed, faults, nat, rsa)
    west, east = v1_tunnel(
        nat,
        rsa,
        aggressive=aggressive,
        pfs=dice.random() < 0.5,
        ipsec_lifetime=dice.choice((40.0, 3600.0)),
        ike_lifetime=dice.choice((60.0, 7200.0)),
        rekey_margin=25.0,
        rekey_fuzz=dice.choice((0.0, 1.0)),
        retransmit_timeout=30.0,
        dpd_delay=20.0,
    )
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    if not nat and dice.random() < 0.3:
        pair.net.at(dice.uniform(0.0, 0.3), lambda: ask(pair.east, "up"))
    assert pair.run(600.0, lambda: pair.up() and pair.agreed()), f"seed {seed}: not up"
    pair.run(1.0)
    start, collisions = pair.net.now, dice.randint(2, 5)
    for _ in range(collisions):
        when = start + dice.uniform(0.0, LIFE)
        pair.net.at(when, asking(pair.west, dice.choice(WHAT)))
        pair.net.at(when + dice.choice((0.0, 0.005, 0.03, 0.08)), asking(pair.east, dice.choice(WHAT)))
    traffic(pair, LIFE, 1.0)
    excuse = next((line for host in (pair.west, pair.east) for line in host.lines if any(d in line for d in DEAD)), "")
    pair.net.faults = PERFECT
    return Life(pair, collisions, excuse)


def asking(host: SimHost, what: str) -> Callable[[], None]:
    """For later."""
    return lambda: ask(host, what)


def settled(pair: Pair) -> bool:
    """Have both ends the same, and nothing under way?"""
    hosts = (pair.west, pair.east)
    known = [{one.machine.spi_r for one in host.pluto.core.states.ikes.values()} for host in hosts]
    used = [[one.machine for one in isakmp(host)] for host in hosts]
    agreed = all(len(one) == 1 and one[0].spi_r in other for one, other in zip(used, reversed(known), strict=True))
    busy = any(one.busy for end in used for one in end)
    return not busy and agreed and pair.up() and pair.agreed() and both(pair)


def both(pair: Pair) -> bool:
    """Has each pair of SAs its other half?"""
    west, east = (
        {(c.spi_in, c.spi_out) for c in host.pluto.core.states.children.values() if not c.closing}
        for host in (pair.west, pair.east)
    )
    return west == {(out, into) for into, out in east}


def check(seed: int) -> tuple[int, str]:
    """How often both ends began something at once, and why a packet was lost, if one was."""
    life = live(seed)
    pair = life.pair
    pair.run(2 * (LINGER + SETTLE + OVERDUE), lambda: settled(pair))
    assert settled(pair), f"seed {seed}: the ends disagree"
    pair.sane()
    for host in (pair.west, pair.east):
        assert not any("EXPECTATION" in line for line in host.lines), f"seed {seed}"
    lost = pair.missing()
    assert not lost or life.excuse, f"seed {seed}: {len(lost)} packets lost"
    before = len(lost)
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.send(pair.east, EAST_HOST, WEST_HOST)
    pair.run(1.0)
    assert len(pair.missing()) == before, f"seed {seed}: what was settled does not carry"
    return life.collisions, life.excuse if lost else ""


@pytest.mark.parametrize("seed", ONCE_LOST)
def test_lives_in_which_packets_were_once_lost(seed: int) -> None:
    check(seed)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_both_ends_agree_in_the_end(first: int) -> None:
    for seed in range(first, first + CHUNK):
        check(seed)
