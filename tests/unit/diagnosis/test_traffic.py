# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes while the tunnel is up."""

from dataclasses import replace
from typing import Any

import pytest

from openswan.diagnosis.facts import Facts
from openswan.diagnosis.firewall import read_iptables
from tests.unit.diagnosis.world import codes, down, first, up


def counted(**what: Any) -> Facts:
    """Counters changed: `out=5`, or `inward={...}` for the row of the inbound SA."""
    facts = up()
    rows = []
    for row in facts.sas:
        changed = {**row, **what.get("inward", {})} if row["direction"] == "in" else {**row, **what.get("outward", {})}
        rows.append(changed)
    return replace(facts, sas=tuple(rows))


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (counted(inward={"packets": 0}), "nothing-in"),
        (counted(outward={"packets": 0}), "nothing-out"),
        (counted(inward={"auth_failures": 100}), "in-auth-failures"),
        (counted(inward={"selector_failures": 100}), "in-selector-failures"),
        (counted(inward={"replays": 100}), "in-replays"),
        (counted(outward={"path_mtu": 900}), "narrow-path"),
    ],
)
def test_counters(facts: Facts, code: str) -> None:
    assert codes(facts) == [code]


def test_nat_and_filters_on_the_way_into_the_tunnel() -> None:
    nat = read_iptables("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j MASQUERADE\n")
    found = first(replace(up(), firewall=nat))
    assert found.code == "masquerade"
    assert found.remedy == "iptables -t nat -I POSTROUTING -s 10.1.0.0/24 -d 10.2.0.0/24 -j ACCEPT"
    drop = read_iptables("*filter\n:FORWARD DROP [0:0]\n")
    assert first(replace(up(), firewall=drop)).remedy == "iptables -I FORWARD -o ipsec0 -j ACCEPT"
    rule = read_iptables("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -s 10.2.0.0/24 -j DROP\n")
    assert first(replace(up(), firewall=rule)).remedy == "iptables -D FORWARD -s 10.2.0.0/24 -j DROP"


def test_what_the_guard_holds_back() -> None:
    facts = replace(down(("failed", '"net" #1: x')), guard={"out": 50})
    assert "guarded" in codes(facts) and "guarded" not in codes(replace(up(), guard={"out": 50}))
