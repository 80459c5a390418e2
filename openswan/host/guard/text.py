# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard in nft's own language: what `ipsec _updown --print` shows and what the printed script loads.

One thing that language cannot say: a look-up of the addresses quoted in an ICMP error in a set of typed addresses.
Those rules stand as comments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, summarize_address_range
from typing import Any

from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import IKE_PORT, NATT_PORT, IpProtocol
from openswan.host.guard.boxes import Range
from openswan.host.guard.matches import (
    SOURCE,
    Family,
    FromStreamPort,
    Guarded,
    HasSocket,
    Home,
    HopLimit,
    IcmpTypes,
    LaterFragment,
    Local,
    Marked,
    Opening,
    Ours,
    OwnStream,
    Protocol,
    Spared,
    Test,
    Through,
    ToIkePort,
    ToIkeStream,
    ToStreamPort,
    UdpPorts,
)
from openswan.host.guard.model import Element
from openswan.host.guard.rules import (
    CHAINS,
    COUNTERS,
    TABLE,
    Chain,
    Rule,
    field_order,
    home_names,
    open_name,
    set_names,
)

PROTOCOL_NAMES = {
    IpProtocol.ICMP: "icmp",
    IpProtocol.ICMP6: "ipv6-icmp",
    IpProtocol.ESP: "esp",
    IpProtocol.AH: "ah",
    IpProtocol.COMP: "ipcomp",
    IpProtocol.UDP: "udp",
    IpProtocol.TCP: "tcp",
}
QUOTED = {
    4: {"saddr": "@th,160,32", "daddr": "@th,192,32", "proto": "@th,136,8"},
    6: {"saddr": "@th,128,128", "daddr": "@th,256,128", "proto": "@th,112,8"},
}
TYPES = {"device": "ifname", "proto": "inet_proto", "rport": "inet_service", "lport": "inet_service"}


def _guarded(test: Guarded) -> str:
    ip = "ip" if test.version == 4 else "ip6"
    remote_is_source = test.remote == SOURCE
    addresses = {"remote": test.remote, "local": "daddr" if remote_is_source else "saddr"}
    names = {field: f"{ip} {header}" for field, header in addresses.items()}
    names |= {"proto": "meta l4proto"}
    names |= (
        {"rport": "th sport", "lport": "th dport"} if remote_is_source else {"rport": "th dport", "lport": "th sport"}
    )
    if test.quoted:
        quoted = QUOTED[test.version]
        names |= {field: quoted[header] for field, header in addresses.items()} | {"proto": quoted["proto"]}
    return " . ".join(names[field] for field in field_order(test.set)) + f" @{test.set}"


def _home(test: Home) -> str:
    second = "oifname" if test.set.startswith("home") else "meta l4proto"
    return f"ip{'' if test.version == 4 else '6'} daddr . {second} @{test.set}"


def _icmp_types(test: IcmpTypes) -> str:
    span = str(test.first) if test.first == test.last else f"{test.first}-{test.last}"
    return f"{'icmp' if test.version == 4 else 'icmpv6'} type {span}"


TEXT: dict[type[Any], Callable[[Any], str]] = {
    Through: lambda test: f"{test.key} @interfaces",
    Ours: lambda test: "iif 0",
    Family: lambda test: f"meta nfproto ipv{test.version}",
    Protocol: lambda test: f"meta l4proto {PROTOCOL_NAMES[test.number]}",
    UdpPorts: lambda test: f"udp sport {test.src} udp dport {test.dst}",
    ToIkePort: lambda test: "udp dport @ikeports",
    ToStreamPort: lambda test: "tcp dport @streamports",
    IcmpTypes: _icmp_types,
    HopLimit: lambda test: f"ip6 hoplimit {test.value}",
    Local: lambda test: "fib daddr type local",
    LaterFragment: lambda test: "ip frag-off & 0x1fff != 0" if test.version == 4 else "frag frag-off != 0",
    Opening: lambda test: "tcp flags & (syn | ack) == syn",
    Guarded: _guarded,
    Home: _home,
    HasSocket: lambda test: "meta skuid >= 0",
    ToIkeStream: lambda test: "tcp dport @ikeports",
    FromStreamPort: lambda test: "tcp sport @streamports",
}


BY_MARK: dict[type[Any], Callable[[Marks], str]] = {
    Marked: lambda marks: f"meta mark & {marks.guard:#x} == {marks.own:#x}",
    Spared: lambda marks: f"meta mark & {marks.mask:#x} == {marks.spared:#x}",
    OwnStream: lambda marks: f"tcp sport @ikeports socket mark & {marks.guard:#x} == {marks.own:#x}",
}


def test_text(test: Test, marks: Marks = DEFAULT_MARKS) -> str:
    """One test as nft writes it."""
    by_mark = BY_MARK.get(type(test))
    return by_mark(marks) if by_mark is not None else TEXT[type(test)](test)


def sayable(rule: Rule) -> bool:
    """Can nft's language express the rule?"""
    return not any(isinstance(test, Guarded) and test.quoted for test in rule.tests)


def rule_text(rule: Rule, marks: Marks = DEFAULT_MARKS) -> str:
    """One rule as nft writes it."""
    action = {
        "drop": f'counter name "{rule.target}" drop',
        "mark": f"meta mark set meta mark & {~marks.guard & 0xFFFFFFFF:#x} | {marks.own:#x}",
        "keep": "snat ip to ip saddr" if rule.target == "4" else "snat ip6 to ip6 saddr",
    }.get(rule.action, f"{rule.action} {rule.target}".rstrip())
    return " ".join([*(test_text(test, marks) for test in rule.tests), action])


def chain_text(chain: Chain, marks: Marks = DEFAULT_MARKS) -> Iterator[str]:
    """One chain, a line at a time."""
    yield f"chain {chain.name} {{"
    if chain.hook:
        yield f"    type {chain.kind} hook {chain.hook} priority {chain.priority}; policy accept;"
    for rule in chain.rules:
        yield ("    " if sayable(rule) else "    # ") + rule_text(rule, marks)
    yield "}"


def ruleset(
    devices: Iterable[str] = ("lo", "ipsec0"),
    ports: Iterable[int] = (IKE_PORT, NATT_PORT),
    marks: Marks = DEFAULT_MARKS,
) -> str:
    """The whole table without elements, as `nft -f` reads it."""
    lines = [f"counter {name} {{ }}" for name in COUNTERS]
    names = ", ".join(f'"{name}"' for name in devices)
    lines.append(f"set interfaces {{ type ifname; elements = {{ {names} }} }}")
    lines.append(f"set ikeports {{ type inet_service; elements = {{ {', '.join(map(str, sorted(ports)))} }} }}")
    lines.append("set streamports { type inet_service; }")
    for version in (4, 6):
        for name in (*set_names(version), open_name(version), *home_names(version)):
            types = TYPES | {"remote": f"ipv{version}_addr", "local": f"ipv{version}_addr"}
            kind = " . ".join(types[field] for field in field_order(name))
            lines.append(f"set {name} {{ type {kind}; flags interval; }}")
    for chain in CHAINS:
        lines += chain_text(chain, marks)
    return f"table inet {TABLE} {{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def element_text(element: Element) -> tuple[str, str]:
    """(set name, element) as `nft add element` wants them."""
    name, box = element
    version = 4 if name.endswith("4") else 6
    parts = []
    for field, span in zip(field_order(name), box, strict=True):
        if field in ("remote", "local"):
            parts.append(_address_text(version, span))
        elif field == "device":
            parts.append('"' + span[0].to_bytes(16, "big").rstrip(b"\0").decode() + '"')
        else:
            parts.append(_span(*span))
    return name, " . ".join(parts)


def _address_text(version: int, span: Range) -> str:
    first, last = (ip_address(value.to_bytes(4 if version == 4 else 16, "big")) for value in span)
    nets = list(summarize_address_range(first, last))
    return str(nets[0]) if len(nets) == 1 else f"{first}-{last}"


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
