# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard of the printed script; tests/netns/test_routes.py sees that it does what the daemon does."""

from __future__ import annotations

from ipaddress import ip_network

from openswan.base.marks import DEFAULT_MARKS
from openswan.cli.updown_guard import guard_elements, guard_rules, guard_text
from openswan.host.guard.text import ruleset
from openswan.policy.selector import FlowKey


def test_every_placeholder_has_its_value() -> None:
    text = guard_text(DEFAULT_MARKS)
    assert not [name for name in ("NFT", "RULESET", "SETS", "JUMPS", "RULES4", "RULES6") if f"@{name}@" in text]
    assert ruleset(devices=("lo",), marks=DEFAULT_MARKS) in text


def test_rules_of_one_selector_are_no_part_of_the_skeleton() -> None:
    rules = [line for line in guard_text(DEFAULT_MARKS).splitlines() if line.startswith("-A")]
    assert rules and not [line for line in rules if "-sel -s" in line]


def test_elements_of_one_flow() -> None:
    flow = FlowKey(ip_network("fd00::/64"), ip_network("fd01::/64"))
    ((name, box),) = guard_elements(flow)
    assert name == "rl6" and len(box) == 2


def test_rules_of_one_flow_for_iptables() -> None:
    flow = FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"), 17, 0, 53)
    assert list(guard_rules(flow)) == [
        "far 10.2.0.0/24",
        "ipsec-out-sel -s 10.1.0.0/24 -d 10.2.0.0/24 -p 17 -f -j DROP",
        "ipsec-in-sel -s 10.2.0.0/24 -d 10.1.0.0/24 -p 17 -f -j DROP",
        "ipsec-out-sel -s 10.1.0.0/24 -d 10.2.0.0/24 -p 17 --dport 53 -j DROP",
        "ipsec-in-sel -s 10.2.0.0/24 -d 10.1.0.0/24 -p 17 --sport 53 -j DROP",
    ]
