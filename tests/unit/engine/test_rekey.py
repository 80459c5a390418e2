# SPDX-License-Identifier: GPL-2.0-or-later
"""When SAs are replaced."""

from dataclasses import replace

import pytest

from openswan.base.entropy import SeededRng
from openswan.engine.rekey import schedule
from tests.sim.pair import make_pair, tunnel

POLICY = replace(tunnel()[0], rekey_margin=540.0, rekey_fuzz=1.0)


def test_the_margin_is_fuzzed_upwards_only() -> None:
    rng = SeededRng(1)
    plans = [schedule(POLICY, 28800.0, True, rng) for _ in range(200)]
    early = [plan.replace for plan in plans if plan.replace is not None]
    assert len(early) == 200
    assert all(28800 - 1080 <= when <= 28800 - 540 for when in early)
    assert max(early) - min(early) > 400
    assert {plan.expire for plan in plans} == {28800.0}


def test_without_fuzz_it_is_exact_and_a_responder_waits_longer() -> None:
    policy = replace(POLICY, rekey_fuzz=0.0)
    assert schedule(policy, 3600.0, True, SeededRng(1)).replace == 3060.0
    assert schedule(policy, 3600.0, False, SeededRng(1)).replace == 3330.0


@pytest.mark.parametrize("lifetime", (1.0, 60.0, 600.0))
def test_a_margin_larger_than_the_lifetime_is_cut(lifetime: float) -> None:
    plan = schedule(POLICY, lifetime, True, SeededRng(1))
    assert plan.replace is not None and lifetime / 2 <= plan.replace < lifetime


def test_rekey_no() -> None:
    plan = schedule(replace(POLICY, rekey=False), 3600.0, True, SeededRng(1))
    assert plan.replace is None and plan.expire == 3600.0


def test_a_refused_rekeying_is_tried_again_while_the_sa_lives() -> None:
    pair = make_pair(1)
    options = {"ipsec_lifetime": 100.0, "rekey_margin": 50.0, "rekey_fuzz": 0.0, "retransmit_timeout": 5.0}
    west, east = tunnel(**options)
    pair.west.load(west)
    pair.east.load(replace(east, rekey=False, ipsec_lifetime=3600.0))
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    # The responder forgets its algorithms for a while: what it is asked for finds no acceptable proposal.
    (machine,) = [ike.machine for ike in pair.east.pluto.core.states.ikes.values()]
    (child,) = machine.children.values()
    good = child.policy
    child.policy = replace(
        good, proposals=(replace(good.proposals[0], encr=(replace(good.proposals[0].encr[0], key_bits=256),)),)
    )
    pair.run(70.0)
    assert pair.west.events.count("rekey-failed") >= 1
    child.policy = good
    first = set(pair.west.klips.by_spi)
    pair.run(30.0)
    assert pair.up() and not first & set(pair.west.klips.by_spi)
    pair.sane()
