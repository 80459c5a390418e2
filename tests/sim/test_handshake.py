# SPDX-License-Identifier: GPL-2.0-or-later
"""Handshakes over bad networks: up on both sides with the same keys, or failed on both with nothing left."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.engine.settings import Settings
from openswan.plane.commands import Direction
from openswan.policy.connection import Auth
from tests.sim.net import Faults
from tests.sim.pair import EAST, EAST_NET, WEST_NET, Pair, end, make_pair, rfc3110, rsa_key, rsa_secrets, tunnel

SEEDS = 1200
CHUNK = 50


def story(seed: int) -> Pair:
    """One handshake whose every circumstance follows from the seed; returns when all has settled."""
    dice = random.Random(f"handshake {seed}")
    faults = Faults(
        loss=dice.uniform(0.0, 0.3),
        delay=(0.001, dice.choice((0.02, 0.2))),
        reorder=dice.choice((0.0, 0.1, 0.3)),
        duplicate=dice.choice((0.0, 0.1, 0.3)),
        corrupt=dice.choice((0.0, 0.0, 0.05)),
        mtu=dice.choice((576, 1500)),
    )
    nat, both = dice.random() < 0.2, dice.random() < 0.25
    rsa = dice.random() < 0.05
    settings = Settings(force_busy=dice.random() < 0.2)
    secrets = {"west_secrets": rsa_secrets(1), "east_secrets": rsa_secrets(2)} if rsa else {}
    pair = make_pair(seed, faults, nat=nat, settings=settings, **secrets)
    more = {"dpd_delay": 15.0, "retransmit_timeout": dice.choice((8.0, 30.0)), "keying_tries": 1, "rekey": False}
    west, east = tunnel(nat=nat, **more)
    if rsa:
        west, east = (
            replace(
                it,
                auth=Auth.RSASIG,
                left=replace(it.left, rsa_keys=(rfc3110(rsa_key(1)),)),
                right=replace(it.right, rsa_keys=(rfc3110(rsa_key(2)),)),
            )
            for it in (west, east)
        )
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    if both and not nat:
        pair.net.at(dice.uniform(0.0, 0.1), lambda: void(pair.east.request("initiate", name="net-net")))
    settle(pair)
    return pair


def void(_: object) -> None:
    return None


def settle(pair: Pair) -> None:
    """Run until both ends agree, or a long time has passed (liveness checks clear up what only one end has)."""
    pair.run(300.0, lambda: pair.net.now > 5.0 and settled(pair) and not halfway(pair))


def halfway(pair: Pair) -> bool:
    """Is anything still being negotiated?"""
    return any(
        ike.established is None or ike.closing or ike.attempts
        for host in (pair.west, pair.east)
        for ike in host.pluto.core.states.ikes.values()
    )


def settled(pair: Pair) -> bool:
    both = pair.up() and pair.agreed() and mirrored(pair)
    return both or (pair.west.empty() and pair.east.empty())


def mirrored(pair: Pair) -> bool:
    """Has each SA of one end its other half at the other?"""
    west, east = pair.west.klips, pair.east.klips
    return west.keys(Direction.IN) == east.keys(Direction.OUT) and west.keys(Direction.OUT) == east.keys(Direction.IN)


def check(pair: Pair, seed: int) -> bool:
    """What must be true at the end; whether the tunnel is up."""
    pair.sane()
    assert settled(pair), f"seed {seed}: neither up on both sides nor gone from both"
    if not pair.up():
        assert not pair.west.up() and not pair.east.up()
        return False
    pair.send(pair.west, "10.1.0.5", "10.2.0.6")
    pair.send(pair.east, "10.2.0.6", "10.1.0.5")
    pair.run(1.0)
    assert pair.missing() == [], f"seed {seed}"
    return True


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_up_on_both_sides_or_gone_from_both(first: int) -> None:
    up = sum(check(story(seed), seed) for seed in range(first, first + CHUNK))
    assert up > CHUNK // 2, f"only {up} of {CHUNK} came up"


def test_on_a_good_network_it_takes_two_round_trips() -> None:
    pair = make_pair(1)
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    client = pair.west.request("initiate", name="net-net")
    assert pair.run(1.0, pair.up)
    assert len(pair.net.transcript) == 4
    assert client in pair.west.finished
    codes = [code for code, _ in pair.west.whack[client] if code not in (0, 2)]
    assert codes[:2] == [133, 134] and set(codes[2:]) == {4}
    assert pair.west.updowns == ["up-client net-net", "prepare-client net-net", "route-client net-net"]
    assert set(pair.west.guards) == set(pair.east.guards) == {"net-net"}


@pytest.mark.parametrize("seed", (3, 77, 512))
def test_a_run_replays_from_its_seed(seed: int) -> None:
    first, second = story(seed), story(seed)
    assert first.digest() == second.digest()
    assert first.west.lines == second.west.lines
    assert first.west.klips.keys(Direction.IN) == second.west.klips.keys(Direction.IN)
    assert first.digest() != story(seed + 1).digest()


def test_a_wrong_key_fails_on_both_sides_and_leaves_nothing() -> None:
    from tests.sim.pair import psk

    pair = make_pair(1, east_secrets=psk("@east", "@west", b"something else"))
    west, east = tunnel(keying_tries=1)
    pair.west.load(west)
    pair.east.load(east)
    client = pair.west.request("initiate", name="net-net")
    pair.run(200.0)
    assert pair.west.whack[client][-1][0] == 224
    assert client in pair.west.finished
    assert pair.west.empty() and pair.east.empty()
    assert not pair.west.up() and not pair.east.up()
    pair.sane()


def test_nobody_answers() -> None:
    pair = make_pair(1)
    pair.west.load(tunnel(keying_tries=1)[0])
    pair.net.cut.add(pair.east.address)
    client = pair.west.request("initiate", name="net-net")
    pair.run(100.0)
    (code, text), (_, remedy) = pair.west.whack[client][-2:]
    assert code == 31 and "max number of retransmissions" in text
    assert "see whether 198.51.100.7 runs" in remedy and "say ikev2=no in this conn" in remedy
    assert client in pair.west.finished and pair.west.empty()
    assert "net-net" in pair.west.guards, "fail closed"


def test_tries_go_on_for_ever_unless_told_otherwise() -> None:
    pair = make_pair(1)
    pair.west.load(tunnel(retransmit_timeout=5.0)[0])
    pair.net.cut.add(pair.east.address)
    client = pair.west.request("initiate", name="net-net")
    pair.run(600.0)
    assert client in pair.west.finished
    assert any(
        "starting keying attempt 2 of an unlimited number, but releasing whack" in t for _, t in pair.west.whack[client]
    )
    pair.net.cut.clear()
    pair.east.load(tunnel()[1])
    assert pair.run(600.0, pair.up)


def test_a_stranger_finds_no_connection() -> None:
    pair = make_pair(1)
    pair.west.load(tunnel(keying_tries=1)[0])
    pair.east.load(replace(tunnel()[1], left=end("203.0.113.77", WEST_NET, "@west")))
    client = pair.west.request("initiate", name="net-net")
    pair.run(100.0)
    assert client in pair.west.finished
    (code, _), (_, remedy) = pair.west.whack[client][-2:]
    assert code == 214 and "say ikev2=no in this conn" in remedy
    assert pair.east.empty()
    assert any("no connection has been authorized" in line for line in pair.east.lines)


def test_wrong_selectors_leave_nothing() -> None:
    pair = make_pair(1)
    west, east = tunnel(keying_tries=1)
    pair.west.load(west)
    pair.east.load(replace(east, right=replace(east.right, subnet=end(EAST, "10.77.0.0/16").subnet)))
    client = pair.west.request("initiate", name="net-net")
    pair.run(100.0)
    assert client in pair.west.finished
    assert pair.west.whack[client][-1][0] not in (0, 2, 4)
    assert pair.west.empty() and pair.east.empty()
    assert any("no connection is known for" in line for line in pair.east.lines)
    assert ip_address(EAST) not in pair.net.cut and EAST_NET
