# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard as text."""

from __future__ import annotations

from ipaddress import ip_network

from openswan.host.guard.model import element, items
from openswan.host.guard.rules import CHAINS
from openswan.host.guard.text import element_text, rule_text, ruleset, sayable
from openswan.policy.selector import FlowKey


def texts(key: FlowKey) -> set[tuple[str, str]]:
    return {element_text(element(plane, key.src.version, box)) for plane, item in items(key) for box in item.shapes()}


def test_elements_read_as_nft_writes_them() -> None:
    lan, far = ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24")
    assert texts(FlowKey(lan, far)) == {("rl4", "10.2.0.0/24 . 10.1.0.0/24")}
    assert texts(FlowKey(lan, far, 6, 0, 80)) == {
        ("port4", "10.2.0.0/24 . 10.1.0.0/24 . 6 . 80 . 0-65535"),
        ("frag4", "10.2.0.0/24 . 10.1.0.0/24 . 6"),
    }
    assert texts(FlowKey(lan, ip_network("0.0.0.0/0"))) == {
        ("lr4", "10.1.0.0/24 . 0.0.0.0-10.0.255.255"),
        ("lr4", "10.1.0.0/24 . 10.1.1.0-255.255.255.255"),
    }


def test_every_rule_has_words_and_only_quotes_are_unsayable() -> None:
    lines = ruleset().splitlines()
    for chain in CHAINS:
        for rule in chain.rules:
            assert any(line.strip().lstrip("# ") == rule_text(rule) for line in lines)
            assert sayable(rule) or chain.name.endswith("-quote")
