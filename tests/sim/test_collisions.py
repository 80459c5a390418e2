# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything at once: both ends rekey, close and renew at the same moment, over links that lose up to 30%, reorder and
repeat, behind NATs that forget and with addresses that change (RFC 7296 2.8.1, 2.8.2, 2.23, 2.25).

Whatever happens, in the end each SA has its other half and nothing is left over; and a packet that the network could
deliver has arrived, held for a while perhaps, unless an end had to take the other for dead.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from openswan.engine.statedb import ChildState, IkeState
from tests.sim.net import Faults, Nat
from tests.sim.pair import EAST, EAST_NET, WEST_NET, Esp, Inner, Pair, SimHost, conn, end, make_pair
from tests.sim.test_handshake import halfway, mirrored
from tests.sim.test_rekey import EAST_HOST, WEST_HOST, ikes, void

SEEDS = 60
CHUNK = 10
LIFE = 120.0
"""Seconds in which things happen; then the network is good and all settles."""


@dataclass
class Story:
    """One life; everything in it follows from the seed."""

    seed: int
    pair: Pair
    dice: random.Random
    nat: Nat | None = None
    moves: int = 0
    collisions: int = 0
    log: list[str] = field(default_factory=list)

    def at(self, when: float, what: str, action: Callable[[], None]) -> None:
        """Something happens at an instant."""
        self.log.append(f"{when:.3f} {what}")
        self.pair.net.at(when, action)


def living(host: SimHost) -> tuple[list[ChildState], list[IkeState]]:
    states = host.pluto.core.states
    children = [c for c in states.children.values() if not c.closing and not c.ike.closing]
    standing = [i for i in states.ikes.values() if i.established is not None and not i.machine.provisional]
    return children, [i for i in standing if not i.closing]


def ask(host: SimHost, what: str) -> None:
    """Have one end begin something now, whatever else is going on."""
    pluto, core = host.pluto, host.pluto.core
    core.now = host.net.now
    children, found = living(host)
    if what == "rekey child" and children:
        pluto.brain.lifetimes.rekey_child(children[-1])
    elif what == "rekey every child":
        for child in children:
            pluto.brain.lifetimes.rekey_child(child)
    elif what == "rekey ike" and found:
        pluto.brain.lifetimes._rekey_ike(found[-1])
    elif what == "renew":
        host.request("initiate", name="net-net")
    effects, core.effects = core.effects, []
    for effect in effects:
        host.perform(effect)
    host._arm()


WHAT = ("rekey child", "rekey ike", "rekey every child", "renew")
PAIRS = tuple((a, b) for a in WHAT for b in WHAT if not a == b == "renew")


def collide(story: Story, when: float) -> None:
    """Both ends begin something within one round trip of each other."""
    west, east = story.dice.choice(PAIRS)
    story.collisions += 1
    story.at(when, f"west: {west}", lambda: ask(story.pair.west, west))
    story.at(when + story.dice.choice((0.0, 0.005, 0.03, 0.08)), f"east: {east}", lambda: ask(story.pair.east, east))


def move(story: Story, when: float, number: int) -> None:
    """West is somewhere else from now on."""

    def gone() -> None:
        west, net = story.pair.west, story.pair.net
        net.detach(west.address)
        west.address = ip_address(f"192.0.2.{100 + number}")
        net.attach(west.address, west.receive)
        if story.nat is not None:
            story.nat.serve(west.address)
        west.post(west.network())

    story.moves += 1
    story.at(when, "west moves", gone)


def live(seed: int) -> Story:
    """Bring a tunnel up, let everything happen to it, then let it settle."""
    dice = random.Random(f"collisions {seed}")
    loss = dice.uniform(0.0, 0.3)
    faults = Faults(
        loss, (0.005, dice.choice((0.02, 0.06))), dice.choice((0.0, 0.1, 0.3)), dice.choice((0.0, 0.1, 0.3))
    )
    behind = dice.random() < 0.4
    pair = make_pair(seed, faults, nat=behind)
    story = Story(seed, pair, dice, pair.net.nats.get(pair.west.address) if behind else None)
    more = {
        "ipsec_lifetime": dice.choice((60.0, 3600.0)),
        "ike_lifetime": dice.choice((80.0, 7200.0)),
        "rekey_margin": 25.0,
        "rekey_fuzz": dice.choice((0.0, 1.0)),
        "retransmit_timeout": 120.0,
        "dpd_delay": 30.0,
    }
    moves = dice.random() < 0.3
    left, right = end("%defaultroute", WEST_NET, "@west"), end(EAST, EAST_NET, "@east")
    pair.west.load(conn("net-net", left, right, **more))
    pair.east.load(conn("net-net", end("%any", WEST_NET, "@west"), right, **more))
    pair.west.request("initiate", name="net-net")
    assert pair.run(900.0, lambda: pair.up() and pair.agreed() and not halfway(pair)), f"seed {seed}: not up"
    pair.run(1.0)
    start = pair.net.now
    for _ in range(dice.randint(3, 7)):
        collide(story, start + dice.uniform(0.0, LIFE))
    if story.nat is not None:
        for _ in range(dice.randint(0, 3)):
            story.at(start + dice.uniform(0.0, LIFE), "the NAT forgets", story.nat.rebind)
    if moves:
        for number in range(dice.randint(1, 2)):
            move(story, start + LIFE * (0.3 + 0.4 * number) + dice.uniform(0.0, 10.0), number)
    for n in range(int(LIFE)):
        pair.net.at(start + n + 0.013, lambda: void(pair.send(pair.west, WEST_HOST, EAST_HOST)))
        pair.net.at(start + n + 0.517, lambda: void(pair.send(pair.east, EAST_HOST, WEST_HOST)))
    pair.run(LIFE + 1.0)
    return story


def settle(story: Story) -> None:
    """The network is good from now on: both ends come to the same end."""
    pair = story.pair
    pair.net.faults = Faults()
    quiet = lambda: pair.up() and pair.agreed() and mirrored(pair) and not halfway(pair)  # noqa: E731
    pair.run(400.0, lambda: quiet() and not any(i.machine.provisional for h in (pair.west, pair.east) for i in ikes(h)))
    assert quiet(), f"seed {story.seed}: no agreement\n" + "\n".join(sorted(story.log))


def excused(story: Story) -> set[Inner]:
    """Packets that the network had nowhere to deliver to."""
    return {body.inner for body in story.pair.net.undelivered if isinstance(body, Esp) and body.inner is not None}


MOVED = "an address changed"
DEAD = "an end took the other for dead"
EXPIRED = "an SA could not be rekeyed in time"


def gave_up(pair: Pair) -> bool:
    """Did so many datagrams in a row get lost that an end took the other for dead?"""
    return any("max number of retransmissions" in line for line in pair.west.lines + pair.east.lines)


def excuses(story: Story) -> tuple[str, ...]:
    """Why packets may be missing; the last two happen when too many datagrams in a row are lost."""
    expired = any("SA expired" in line for line in story.pair.west.lines + story.pair.east.lines)
    reasons = {MOVED: bool(story.moves), DEAD: gave_up(story.pair), EXPIRED: expired}
    return tuple(why for why, holds in reasons.items() if holds)


def check(seed: int) -> tuple[int, tuple[str, ...]]:
    """One seed; how many collisions there were, and what excuses it from losing nothing, if anything does."""
    story = live(seed)
    settle(story)
    pair = story.pair
    pair.sane()
    reasons = excuses(story)
    if not reasons:
        missing = [inner for inner in pair.missing() if inner not in excused(story)]
        assert not missing, f"seed {seed}: {missing[:3]}\n" + "\n".join(sorted(story.log))
    pair.sent.clear()
    for _ in range(3):
        pair.send(pair.west, WEST_HOST, EAST_HOST)
        pair.run(0.2)
        pair.send(pair.east, EAST_HOST, WEST_HOST)
        pair.run(0.2)
    assert pair.missing() == [], f"seed {seed}: after all has settled"
    return story.collisions, reasons


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_collides_both_ends_agree_and_nothing_is_lost(first: int) -> None:
    results = [check(seed) for seed in range(first, first + CHUNK)]
    assert sum(collisions for collisions, _ in results) >= 3 * CHUNK
    assert sum(DEAD in reasons or EXPIRED in reasons for _, reasons in results) <= CHUNK // 3
