# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs between the machine and pluto: what simulated hosts do not come to. The rest is tests/sim/test_groups.py."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.base.said import Said, Shunt
from openswan.engine import oeevents as oe
from openswan.engine import pairs as pairs_module
from openswan.engine.oeevents import Pair
from openswan.engine.oeterms import terms_of
from openswan.engine.pairs import LOOK_AT_USE, Pairs
from openswan.engine.timers import Timer
from openswan.policy.connection import Connection
from tests.sim import test_groups as groups
from tests.sim.pair import EAST, WEST, SimHost, make_pair
from tests.sim.pair import Pair as Hosts

PAIR = Pair(ip_address(WEST), ip_address(EAST))


def pairs(host: SimHost) -> Pairs:
    return host.pluto.brain.pairs


def alone(policy: Connection = groups.PRIVATE) -> Hosts:
    """West has a group with east in it, and east answers nothing."""
    hosts = make_pair()
    groups.ready(hosts.west, policy, **{policy.name.replace("-", "_"): "198.51.100.0/24\n"})
    return hosts


def test_a_pair_whose_line_is_gone_is_forgotten_with_its_eroute() -> None:
    hosts = alone()
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(5.0)
    mine = pairs(hosts.west)
    assert mine.shunts == {PAIR: "private#198.51.100.0/24"}
    hosts.west.policies["private"] = ""
    hosts.west.say("rereadgroups")
    assert mine.machine.pairs == {} == mine.shunts
    assert groups.target(hosts.west, EAST) is None


def test_a_line_with_other_terms_begins_anew() -> None:
    hosts = alone()
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(5.0)
    mine = pairs(hosts.west)
    line = hosts.west.pluto.brain.groups.decides(PAIR.src, PAIR.dst)
    assert line is not None and not mine._changed(line, terms_of(line.policy))
    assert mine._changed(line, replace(terms_of(line.policy), hold_timeout=9.0))


def test_what_a_call_that_was_given_up_says_later_changes_nothing() -> None:
    hosts = alone()
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(1.0)
    mine = pairs(hosts.west)
    conn = mine.conns[PAIR]
    mine.conns.pop(PAIR)
    before = mine.machine.pairs[PAIR].state
    mine.failed(conn, "nobody waits for this")
    mine.gone(conn)
    assert mine.machine.pairs[PAIR].state is before


@pytest.mark.parametrize("end", ["the call fails", "its peer is refused"])
def test_what_waits_for_a_tunnel_that_is_never_put_in_place_waits_no_longer(end: str) -> None:
    """The hold has ended while the connection had a child: the shunt counts as soon as that has come to nothing."""
    hosts = alone(groups.PERMISSIVE)
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(1.0)
    mine = pairs(hosts.west)
    conn = mine.conns[PAIR]
    conn.children.add(0)
    hosts.run(4.0)
    state = mine.machine.pairs[PAIR]
    assert state.shunt is Shunt.PASS and groups.target(hosts.west, EAST) is Shunt.HOLD
    conn.children.discard(0)
    ends = {
        "the call fails": lambda: mine.failed(conn, "nobody is there"),
        "its peer is refused": lambda: mine.deeds(oe.Close(PAIR, conn.instance)),
    }
    mine.core.after(Timer.OE_LATER, PAIR, 0.0, ends[end])
    hosts.west.say("status")
    hosts.run(0.1)
    assert groups.target(hosts.west, EAST) is Shunt.PASS


def test_use_is_looked_at_while_there_is_a_pair_and_no_longer() -> None:
    hosts = alone()
    mine = pairs(hosts.west)
    key = (Timer.OE_USE, "")
    assert mine.core.timers.when(key) is None
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(1.0)
    assert mine.core.timers.when(key) is not None
    mine.run(oe.Remove(PAIR))
    hosts.run(LOOK_AT_USE + 1)
    assert mine.core.timers.when(key) is None


def test_a_service_of_a_group_that_looks_for_tunnels_is_left_out_and_said() -> None:
    hosts = make_pair()
    hosts.west.policies = {"private": "198.51.100.0/24 tcp 25\n198.51.100.0/24\n"}
    hosts.west.load(groups.PRIVATE)
    hosts.west.say("route", name="private")
    said = [line for line in hosts.west.lines if "single service" in line]
    assert len(said) == 1 and "private:1: a tunnel is for" in said[0] and "in clear where none is about it" in said[0]
    assert list(hosts.west.pluto.brain.groups.lines["private"]) == ["private#198.51.100.0/24"]
    # A line that becomes one goes, and what was decided by it is forgotten.
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(5.0)
    assert pairs(hosts.west).shunts == {PAIR: "private#198.51.100.0/24"}
    hosts.west.policies["private"] = "198.51.100.0/24 tcp 25\n"
    hosts.west.say("rereadgroups")
    assert hosts.west.pluto.brain.groups.lines["private"] == {} == pairs(hosts.west).shunts
    assert groups.target(hosts.west, EAST) is None


def test_beside_a_service_that_is_left_out_the_pair_has_its_tunnel() -> None:
    hosts = groups.both(groups.PRIVATE, groups.PRIVATE)
    hosts.west.policies["private"] += "198.51.100.0/24 tcp 25\n"
    hosts.west.say("rereadgroups")
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(3.0)
    assert isinstance(groups.target(hosts.west, EAST), Said)


def test_one_instance_whoever_begins() -> None:
    hosts = groups.both(groups.PRIVATE, groups.PRIVATE)
    hosts.send(hosts.west, WEST, EAST)
    hosts.run(3.0)
    conn = pairs(hosts.west).conns[PAIR]
    line = conn.template
    assert line is not None and pairs(hosts.west).instance(line, PAIR) is conn
    assert isinstance(groups.target(hosts.west, EAST), Said)


def test_more_pairs_than_one_slice_are_looked_at_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in clear come first, nothing else is looked at, and other events are handled between."""
    monkeypatch.setattr(pairs_module, "SLICE", 10)
    hosts = make_pair()
    groups.ready(hosts.west, groups.PERMISSIVE, private_or_clear="198.51.100.0/24\n203.0.113.0/24\n")
    for last in range(1, 31):
        hosts.send(hosts.west, WEST, f"198.51.100.{last}")
    hosts.run(20.0)
    hosts.send(hosts.west, WEST, "203.0.113.9")
    for last in range(31, 36):
        hosts.send(hosts.west, WEST, f"198.51.100.{last}")
    mine = pairs(hosts.west)
    assert len(mine.machine.pairs) == 36
    hosts.west.policies["private-or-clear"] = "203.0.113.0/24\n"
    hosts.west.say("rereadgroups")
    left = [p.shunt for p in mine.machine.pairs.values()]
    assert 1 < len(left) < 31 and left.count(Shunt.PASS) == len(left) - 1
    hosts.run(0.01)
    assert [str(pair.dst) for pair in mine.machine.pairs] == ["203.0.113.9"]
    assert not hosts.west.klips.refusals


def test_terms_of_lines_that_are_gone_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_module, "MOST_TERMS", 3)
    hosts, lines = make_pair(), [f"198.51.100.{last}/32" for last in range(1, 6)]
    groups.ready(hosts.west, groups.PRIVATE, private="203.0.113.9/32\n")
    for line in lines:
        hosts.west.policies["private"] = f"{line}\n203.0.113.9/32\n"
        hosts.west.say("rereadgroups")
        hosts.send(hosts.west, WEST, line.removesuffix("/32"))
    mine = pairs(hosts.west)
    assert list(mine._known_terms) == [f"private#{line}" for line in lines[-3:]]
    hosts.send(hosts.west, WEST, "203.0.113.9")
    policy, terms = mine._known_terms["private#203.0.113.9/32"]
    assert terms == terms_of(policy) == mine.machine.pairs[Pair(PAIR.src, ip_address("203.0.113.9"))].terms
    assert len(mine._known_terms) == 3
