# SPDX-License-Identifier: GPL-2.0-or-later
"""The rule table keeps its promises of order and scope."""

from __future__ import annotations

from openswan.host.guard.rules import (
    CHAINS,
    MANGLE,
    NAT_CHAINS,
    Guarded,
    Home,
    HopLimit,
    LaterFragment,
    Marked,
    Opening,
    Ours,
    OwnStream,
    Rule,
    Spared,
    Through,
    ToIkePort,
    ToStreamPort,
    set_names,
)

BY_NAME = {chain.name: chain for chain in (*CHAINS, *NAT_CHAINS)}


def reached(name: str) -> set[str]:
    found = {name}
    for rule in BY_NAME[name].rules:
        if rule.action in ("jump", "goto"):
            found |= reached(rule.target)
    return found


def test_chains_stand_before_those_that_jump_to_them() -> None:
    for table in (CHAINS, NAT_CHAINS):
        seen: set[str] = set()
        for chain in table:
            assert {rule.target for rule in chain.rules if rule.action in ("jump", "goto")} <= seen
            seen.add(chain.name)


def test_hooks_are_those_where_nothing_can_slip_past() -> None:
    hooks = {(chain.hook, chain.priority) for chain in CHAINS if chain.hook}
    assert hooks == {(hook, MANGLE) for hook in ("postrouting", "input", "forward", "prerouting")}


def test_forwarded_packets_have_no_exemption_but_the_device() -> None:
    """And the mark that interception has given IKE and ESP of hosts groups are about: it stands for itself alone."""
    through = BY_NAME["through"]
    spared = Rule((Spared(),), "accept")
    assert [rule for rule in through.rules if rule.action == "accept"] == [spared]
    assert through.rules[0].tests == (Through("iifname"),), "what has been decrypted is not spared"
    assert [rule for chain in CHAINS for rule in chain.rules if Spared() in rule.tests] == [spared, spared]
    for rule in BY_NAME["decrypted"].rules:
        assert rule.action == "goto" or isinstance(rule.tests[0], (Through, Home))
    assert not reached("through") & {"dhcp", "neighbours"}
    for rule in BY_NAME["out"].rules[1:]:
        ours = isinstance(rule.tests[0], Ours) or rule == spared
        assert rule.action == "goto" or ours or rule.target == "neighbours"
    # What a router passes on never has the hop limit the neighbours' packets need.
    for rule in BY_NAME["neighbours"].rules:
        assert any(isinstance(test, HopLimit) and test.value in (1, 255) for test in rule.tests)


def test_never_by_port_alone() -> None:
    for chain in CHAINS:
        for rule in chain.rules:
            if any(isinstance(test, (ToIkePort, ToStreamPort, OwnStream)) for test in rule.tests):
                assert chain.hook in ("input", "prerouting")
            if any(isinstance(test, Marked) for test in rule.tests):
                assert any(isinstance(test, Ours) for test in rule.tests)


def test_both_directions_look_into_every_set() -> None:
    for version in (4, 6):
        for direction in ("out", "in"):
            sets = {
                test.set
                for name in reached(f"{direction}{version}")
                for rule in BY_NAME[name].rules
                for test in rule.tests
                if isinstance(test, Guarded)
            }
            assert sets == set(set_names(version))


def test_what_is_open_is_so_for_sockets_of_this_host_and_for_answers() -> None:
    """No chain of forwarded packets leads there, and neither fragments without ports nor new connections get in."""
    out = [rule for rule in BY_NAME["out"].rules if rule.action == "accept" and Ours() in rule.tests]
    assert {test.set for rule in out for test in rule.tests if isinstance(test, Guarded)} == {"open4", "open6"}
    for version in (4, 6):
        assert f"answers{version}" in reached("in") - reached("through")
        *judged, accepted = BY_NAME[f"answers{version}"].rules
        assert {type(rule.tests[0]) for rule in judged} == {LaterFragment, Opening}
        assert {(rule.action, rule.target) for rule in judged} == {("goto", f"in{version}")}
        assert accepted.action == "accept"
