# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs at the operator's word."""

from __future__ import annotations

import pytest

from openswan.base.log import Rc
from openswan.base.said import Said, Shunt
from tests.sim.pair import EAST, WEST, SimHost, make_pair
from tests.sim.test_groups import BLOCK, PERMISSIVE, PRIVATE, both, ready, target


def last(host: SimHost, client: int) -> tuple[int, str]:
    return host.whack[client][-1]


def test_a_pair_is_tried_without_a_packet() -> None:
    pair = both(PRIVATE, PRIVATE)
    client = pair.west.request("oppo", here=WEST, there=EAST)
    assert client not in pair.west.finished and target(pair.west, EAST) is Shunt.HOLD
    assert pair.run(3.0, lambda: client in pair.west.finished)
    assert last(pair.west, client) == (Rc.SUCCESS, f"{WEST} -> {EAST}: encrypted, grade null")
    assert isinstance(target(pair.west, EAST), Said) and isinstance(target(pair.east, WEST), Said)
    again = pair.west.request("oppo", here=WEST, there=EAST)
    assert pair.run(3.0, lambda: again in pair.west.finished)
    assert (Rc.LOG, "rekeying existing instance") in [(c, t.split(": ")[-1]) for c, t in pair.west.whack[again]]
    pair.sane()


def test_a_deaf_peer_is_tried_again_at_once_when_somebody_says_so() -> None:
    pair = both(PERMISSIVE, PERMISSIVE)
    pair.east.say("unroute", name=PERMISSIVE.name)
    pair.send(pair.west, WEST, EAST)
    pair.run(30.0)
    assert target(pair.west, EAST) is Shunt.PASS
    client = pair.west.request("oppo", here=WEST, there=EAST)
    pair.run(10.0)
    code, text = last(pair.west, client)
    assert client in pair.west.finished and code == Rc.OPPOFAILURE and text.startswith(f"{WEST} -> {EAST}: ")
    pair.east.say("route", name=PERMISSIVE.name)
    client = pair.west.request("oppo", here=WEST, there=EAST)
    assert pair.run(5.0, lambda: client in pair.west.finished) and last(pair.west, client)[0] == Rc.SUCCESS
    pair.sane()


def test_a_pair_is_forgotten_at_both_ends() -> None:
    pair = both(PRIVATE, PRIVATE)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    assert pair.west.say("deletepair", here=WEST, there=EAST) == [(Rc.LOG, f"{WEST} -> {EAST}: forgotten")]
    assert target(pair.west, EAST) is Shunt.TRAP and pair.west.pluto.brain.pairs.machine.pairs == {}
    pair.run(2.0)
    assert not pair.west.klips.sas and not pair.east.klips.sas and target(pair.east, WEST) is Shunt.TRAP
    [(code, text)] = pair.west.say("deletepair", here=WEST, there=EAST)
    assert code == Rc.UNKNOWN_NAME and text.startswith("nothing is known of")
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.sane()


def test_down_of_a_group_forgets_what_was_decided() -> None:
    pair = make_pair()
    ready(pair.west, PERMISSIVE, private_or_clear="198.51.100.0/24\n")
    pair.send(pair.west, WEST, EAST)
    pair.run(20.0)
    assert target(pair.west, EAST) is Shunt.PASS
    pair.west.say("terminate", name=PERMISSIVE.name)
    assert target(pair.west, EAST) is Shunt.TRAP and pair.west.pluto.brain.pairs.machine.pairs == {}
    pair.send(pair.west, WEST, EAST)
    pair.run(1.0)
    assert target(pair.west, EAST) is Shunt.HOLD, "tried again, for it is not deaf any more"
    pair.sane()


@pytest.mark.parametrize(
    ("here", "there", "code", "why"),
    [
        ("0.0.0.0", EAST, Rc.WHACK_PROBLEM, "impossible IP address"),
        (WEST, "2001:db8::1", Rc.WHACK_PROBLEM, "are of different families"),
        (WEST, "somebody", Rc.WHACK_PROBLEM, "whack error: "),
        (WEST, "203.0.113.1", Rc.OPPOFAILURE, "no routed template covers this pair"),
        ("192.0.2.99", EAST, Rc.OPPOFAILURE, "no routed template covers this pair"),
        (WEST, "192.0.2.50", Rc.OPPOFAILURE, "always refused"),
    ],
    ids=["nowhere", "families", "no-address", "no-line", "not-us", "block"],
)
def test_what_cannot_be(here: str, there: str, code: int, why: str) -> None:
    pair = make_pair()
    ready(pair.west, PRIVATE, BLOCK, private="198.51.100.0/24\n", block="192.0.2.0/24\n")
    [(got, text)] = pair.west.say("oppo", here=here, there=there)
    assert got == code and why in text
    pair.west.say("unlisten")
    [(got, text)] = pair.west.say("oppo", here=WEST, there=EAST)
    assert got == Rc.DEAF and text.startswith("need --listen")
    assert pair.west.say("deletepair")[0][0] == Rc.WHACK_PROBLEM
