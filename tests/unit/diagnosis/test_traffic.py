# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes while the tunnel is up."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.diagnosis.facts import Facts, Line, Peer
from openswan.diagnosis.firewall import read_iptables
from openswan.diagnosis.judge import judge
from openswan.diagnosis.traffic import blocked_by_guard
from openswan.diagnosis.xfrmpolicies import read_policies
from tests.unit.diagnosis.world import CONF, HIM, NOW, codes, config, down, first, up


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
    late = replace(facts, guard={"out4": 50, "last4": 7, "last6": 2})
    (found,) = blocked_by_guard(late)
    assert found.evidence[0].endswith("59 packets") and found.evidence[1].startswith("9 of them at the last guard")


def test_up_here_alone() -> None:
    """The peer answers no ping and sends nothing: it has forgotten us, or is gone."""
    silent = {"net": Peer(address=HIM, answers={500: False, 4500: False})}
    facts = replace(counted(inward={"packets": 0}), peers=silent)
    assert first(facts).code == "stale-sa" and "start IPsec on the peer" in first(facts).remedy
    assert codes(replace(facts, peers={"net": Peer(address=HIM)})) == ["nothing-in"]
    assert first(replace(counted(inward={"idle": 30.0}), peers=silent)).code == "stale-sa"
    assert codes(replace(up(), peers=silent)) == []


def test_policies_of_the_kernel_for_what_a_conn_carries() -> None:
    other = read_policies("src 10.1.0.0/24 dst 10.2.0.0/16\n\tdir out priority 7 ptype main\n")
    elsewhere = read_policies("src 10.3.0.0/24 dst 10.2.0.0/16\n\tdir out priority 7\n")
    facts = up()
    found = first(replace(facts, machine=replace(facts.machine, policies=other)))
    assert found.code == "kernel-policy" and "ip xfrm policy delete src 10.1.0.0/24" in found.remedy
    assert codes(replace(facts, machine=replace(facts.machine, policies=elsewhere))) == []


def test_up_without_an_eroute() -> None:
    assert first(replace(up(), eroutes=())).code == "no-eroute"
    assert codes(replace(up(), eroutes=({"serial": 2}, {"serial": 9}))) == []


def test_the_gateways_own_packets() -> None:
    away = config(CONF.replace("10.1.0.0/24", "10.9.0.0/24"))
    facts = replace(counted(outward={"packets": 0}, inward={"packets": 0}), config=away, address=ip_address("10.2.0.9"))
    found = next(one for one in judge(facts) if one.code == "own-address")
    assert "leftsourceip=10.9.0.1" in found.remedy
    assert "own-address" not in codes(replace(facts, address=None))
    assert "own-address" not in codes(replace(facts, config=config()))


@pytest.mark.parametrize(("source", "code"), [("", "black-hole"), (", says a router", "narrow-path")])
def test_a_path_that_takes_little(source: str, code: str) -> None:
    line = Line(NOW - 5, "", f"path to {HIM} takes packets of 900 octets, the interface 1500{source}")
    assert codes(replace(counted(outward={"path_mtu": 900}), log=(line,))) == [code]
