# SPDX-License-Identifier: GPL-2.0-or-later
"""Which rule decides about a packet, as nft -j tells it."""

import json
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.diagnosis.firewall import ESP, UDP, Firewall, Packet
from openswan.diagnosis.nftables import read_nft

A, B = ip_address("192.0.2.1"), ip_address("198.51.100.7")
IKE = Packet(UDP, B, A, 500, inward="wan")
CHAIN = {"family": "inet", "table": "mine", "name": "in", "hook": "input", "policy": "accept", "type": "filter"}


def rules(*expressions: list[Any], hook: str = "input", policy: str = "accept", table: str = "mine") -> Firewall:
    items: list[Any] = [{"metainfo": {}}, {"chain": {**CHAIN, "hook": hook, "policy": policy, "table": table}}]
    items += [
        {"rule": {"family": "inet", "table": table, "chain": "in", "handle": n, "expr": each}}
        for n, each in enumerate(expressions, 7)
    ]
    return read_nft(json.dumps({"nftables": items}))


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


DROP: dict[str, Any] = {"drop": None}
PORT = match(payload("udp", "dport"), 500)


@pytest.mark.parametrize(
    ("expression", "stops"),
    [
        ([PORT, {"counter": {"packets": 1, "bytes": 2}}, DROP], True),
        ([match(payload("udp", "dport"), {"set": [4500, {"range": [1, 600]}]}), {"reject": None}], True),
        ([match(payload("udp", "dport"), 4500), DROP], False),
        ([match({"meta": {"key": "iifname"}}, "wan"), DROP], True),
        ([match({"meta": {"key": "iifname"}}, "wan", "!="), DROP], False),
        ([match({"meta": {"key": "l4proto"}}, "udp"), DROP], True),
        ([match(payload("ip", "saddr"), {"prefix": {"addr": "198.51.100.0", "len": 24}}), DROP], True),
        ([match(payload("ip", "saddr"), "203.0.113.1"), DROP], False),
        ([match({"ct": {"key": "state"}}, ["established", "related"], "in"), DROP], False),
        ([match({"ct": {"key": "state"}}, "new"), DROP], True),
        ([{"limit": {}}, DROP], False),
        ([match({"meta": {"key": "mark"}}, 7), DROP], False),
        ([], False),
    ],
)
def test_rules(expression: list[Any], stops: bool) -> None:
    assert (rules(expression).stops("input", IKE) is not None) == stops


def test_what_takes_it_out() -> None:
    found = rules([PORT, DROP]).stops("input", IKE)
    assert found is not None and found.remove == "nft delete rule inet mine in handle 7"
    policy = rules(hook="forward", policy="drop").stops("forward", Packet("tcp", A, B))
    assert policy is not None and policy.remove == "nft chain inet mine in '{ policy accept; }'"
    assert rules([match({"meta": {"key": "l4proto"}}, "esp"), DROP]).stops("input", Packet(ESP, B, A)) is not None
    translated = rules([{"masquerade": None}], hook="postrouting").translates(Packet("tcp", A, B, outward="ipsec0"))
    assert translated is not None


def test_ours_and_junk() -> None:
    assert rules([PORT, DROP], table="openswan-guard").tables == {}
    for text in ("", "{}", "[]", '{"nftables": 7}'):
        assert read_nft(text).tables == {}
    skipped = read_nft(json.dumps({"nftables": [{"chain": CHAIN}]}), frozenset({("inet", "mine")}))
    assert skipped.tables == {}
