# SPDX-License-Identifier: GPL-2.0-or-later
"""What `nft -j list ruleset` prints, as a Firewall. Tables of iptables are left to iptables-save."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from openswan.base.address import Subnet
from openswan.diagnosis.firewall import PROTOCOLS, Chain, Firewall, Rule

VERDICTS = ("accept", "drop", "reject", "return", "masquerade", "snat")
HARMLESS = ("counter", "comment", "log")
OURS = "openswan"
"""Tables whose names begin so are our own guard's."""


def read_nft(text: str, skip: frozenset[tuple[str, str]] = frozenset()) -> Firewall:
    """The ruleset; `skip` names tables (family, name) that something else tells of. Unreadable text: no tables."""
    try:
        items = json.loads(text)["nftables"]
    except (ValueError, KeyError, TypeError):
        return Firewall()
    tables: dict[str, dict[str, Chain]] = {}
    rules: dict[tuple[str, str], list[Rule]] = {}
    for item in items if isinstance(items, list) else ():
        if "chain" in item:
            chain = item["chain"]
            family, table, name = chain["family"], chain["table"], chain["name"]
            if family in ("ip", "ip6", "inet") and (family, table) not in skip and not table.startswith(OURS):
                change = f"nft chain {family} {table} {name} '{{ policy accept; }}'"
                made = Chain(name, chain.get("hook", ""), chain.get("policy", ""), change=change)
                tables.setdefault(f"nft {family} {table}", {})[name] = made
        elif "rule" in item:
            rule = item["rule"]
            key = f"nft {rule['family']} {rule['table']}", rule["chain"]
            rules.setdefault(key, []).append(_rule(rule))
    return Firewall(
        {
            table: {
                name: Chain(name, chain.hook, chain.policy, tuple(rules.get((table, name), ())), chain.change)
                for name, chain in chains.items()
            }
            for table, chains in tables.items()
        }
    )


def _rule(rule: Mapping[str, Any]) -> Rule:
    where = f"{rule['family']} {rule['table']} {rule['chain']}"
    found: dict[str, Any] = {
        "verdict": "",
        "remove": f"nft delete rule {where} handle {rule.get('handle', 0)}",
        "text": f"rule {rule.get('handle', 0)} of {where}",
    }
    for part in rule.get("expr", ()):
        for kind, value in part.items() if isinstance(part, dict) else ():
            if kind in VERDICTS:
                found["verdict"] = kind
            elif kind in ("jump", "goto"):
                found["verdict"] = value["target"]
            elif kind == "match":
                _match(value, found)
            elif kind not in HARMLESS:
                found["vague"] = True
    return Rule(**found)


def _match(match: Mapping[str, Any], found: dict[str, Any]) -> None:
    left, right, op = match.get("left"), match.get("right"), match.get("op", "==")
    meta = left.get("meta", {}).get("key") if isinstance(left, dict) else None
    payload = left.get("payload", {}) if isinstance(left, dict) else {}
    if meta in ("iifname", "oifname", "iif", "oif") and isinstance(right, str):
        name = right.replace("*", "+")
        found["inward" if meta[0] == "i" else "outward"] = ("!" if op == "!=" else "") + name
    elif op != "==" and not (isinstance(left, dict) and "ct" in left):
        found["vague"] = True
    elif meta in ("l4proto", "nfproto") or payload.get("field") in ("protocol", "nexthdr"):
        if meta != "nfproto":
            found["protocol"] = PROTOCOLS.get(str(right), str(right)) if isinstance(right, str | int) else ""
            found["vague"] = found.get("vague", False) or not isinstance(right, str | int)
    elif payload.get("field") in ("saddr", "daddr") and (net := _subnet(right)) is not None:
        found["src" if payload["field"] == "saddr" else "dst"] = net
    elif payload.get("field") in ("sport", "dport"):
        found["protocol"] = payload.get("protocol", "")
        found["sports" if payload["field"] == "sport" else "dports"] = frozenset(_ports(right))
    elif isinstance(left, dict) and "ct" in left and left["ct"].get("key") == "state":
        states = right if isinstance(right, list) else [right]
        found["vague"] = found.get("vague", False) or ("new" in states) != (op in ("==", "in"))
    else:
        found["vague"] = True


def _subnet(value: Any) -> Subnet | None:
    if isinstance(value, dict) and "prefix" in value:
        value = f"{value['prefix'].get('addr')}/{value['prefix'].get('len')}"
    try:
        return ip_network(value, strict=False) if isinstance(value, str) else None
    except ValueError:
        return None


def _ports(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict):
        for each in value.get("set", ()):
            yield from _ports(each)
        if "range" in value:
            yield from range(int(value["range"][0]), int(value["range"][1]) + 1)
