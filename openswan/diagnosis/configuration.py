# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes in ipsec.conf."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from openswan.diagnosis.facts import Facts
from openswan.diagnosis.finding import Finding, Kind
from openswan.policy.connection import Auth, Connection, End, HostKind
from openswan.policy.selector import Selector

CONFIG = Kind.CONFIG
NAT_SECONDS = 120.0
"""After so long without a packet many NATs have forgotten where it came from (RFC 4787 REQ-5 asks for two minutes)."""


def unreadable(facts: Facts) -> Iterator[Finding]:
    """The file is not there, or cannot be read."""
    if facts.config.error:
        remedy = f"write {facts.config.path}; man ipsec.conf has an example"
        yield Finding("no-config", CONFIG, 100, f"{facts.config.path} cannot be read", (facts.config.error,), remedy)


def unknown(facts: Facts) -> Iterator[Finding]:
    """The conn asked about does not exist."""
    if not facts.target or facts.config.error or facts.loaded(facts.target) is not None:
        return
    names = {*facts.config.names, *facts.config.manual}
    if facts.target.lower() in {name.lower() for name in names} or facts.config.conns:
        return
    near = get_close_matches(facts.target, sorted(names), 1)
    hint = f"did you mean `{near[0]}'?" if near else f"write a conn {facts.target} into {facts.config.path}"
    there = ", ".join(sorted(names)[:10]) or "none"
    yield Finding("unknown-conn", CONFIG, 99, f"there is no conn {facts.target}", (f"conns: {there}",), hint)


def wrong(facts: Facts) -> Iterator[Finding]:
    """Errors in the file; each names its line and what to write."""
    loaded = {conn.name for conn in facts.config.conns}
    for one in facts.config.complaints:
        if not one.fatal:
            continue
        place = one.where or facts.config.path
        if one.conn:
            if one.conn in loaded:
                continue
            cause = f"conn {one.conn} is not loaded: {one.text}"
            yield Finding(
                "conf-error", CONFIG, 98, cause, (str(one),), f"mend {place}, then: {_replace(one.conn)}", one.conn
            )
        else:
            cause = f"an error in {facts.config.path}: {one.text}"
            yield Finding("conf-error", CONFIG, 70, cause, (str(one),), f"mend {place}")


def _replace(conn: str) -> str:
    return f"ipsec auto --replace {conn}"


def keyless(facts: Facts) -> Iterator[Finding]:
    """authby=rsasig without a key."""
    for one in facts.config.complaints:
        if not one.fatal and "has a public key or certificate" in one.text:
            remedy = (
                f"{one.where}: authby=secret, or leftrsasigkey= and rightrsasigkey= as `ipsec showhostkey' prints them"
            )
            yield Finding(
                "no-public-key",
                CONFIG,
                87,
                f"conn {one.conn}: nothing to prove the ends by",
                (str(one),),
                remedy,
                one.conn,
            )


def nobody(facts: Facts) -> Iterator[Finding]:
    """Neither end, or both, are this host."""
    if not facts.machine.seen:
        return
    here = (
        ", ".join(
            str(address) for address, _ in facts.machine.addresses if not (address.is_loopback or address.is_link_local)
        )
        or "none"
    )
    # One file may serve many hosts: that some of its conns are others' is no fault.
    certain = bool(facts.target) or not any(facts.ours(conn) for conn in facts.config.conns)
    for conn in facts.config.conns:
        ends = [end.host.address for end in (conn.left, conn.right)]
        if conn.auth & Auth.NEVER or facts.ours(conn) is not None or HostKind.NAME in _kinds(conn):
            continue
        if None in ends and not _fixed_elsewhere(conn, facts):
            continue
        own = {address for address, _ in facts.machine.addresses}
        if all(end in own for end in ends):
            cause = f"conn {conn.name}: left= and right= are both addresses of this host"
            remedy = "make one of them the peer's address"
        else:
            cause = f"conn {conn.name}: neither left= nor right= is an address of this host"
            remedy = f"left= or right= must be one of {here}, %defaultroute, or give the address to an interface"
        evidence = (f"left={_host(conn.left)}, right={_host(conn.right)}; addresses here: {here}",)
        yield Finding("not-ours", CONFIG, 91 if certain else 20, cause, evidence, remedy, conn.name)


def _kinds(conn: Connection) -> set[HostKind]:
    return {conn.left.host.kind, conn.right.host.kind}


def _fixed_elsewhere(conn: Connection, facts: Facts) -> bool:
    """One end may be anybody, and the other is an address that is not here."""
    fixed = [end for end in (conn.left, conn.right) if end.host.address is not None]
    return HostKind.ANY in _kinds(conn) and len(fixed) == 1


def _host(end: End) -> str:
    return str(end.host.address or end.host.name or end.host.kind.value)


def swallowed(facts: Facts) -> Iterator[Finding]:
    """The peer's client takes in the network this host is in."""
    for conn in facts.config.conns:
        ends = facts.ours(conn)
        if ends is None or ends[1].subnet is None or ends[1].subnet.prefixlen == 0:
            continue
        mine, his = ends
        for address, device in facts.machine.addresses:
            inside = address.version == ends[1].subnet.version and address in ends[1].subnet
            if inside and (mine.subnet is None or mine.subnet.version != address.version or address not in mine.subnet):
                side = "right" if his is conn.right else "left"
                yield Finding(
                    "client-here",
                    CONFIG,
                    79,
                    f"conn {conn.name}: the peer's client {his.subnet} takes in our own address {address}",
                    (f"{address} is on {device}",),
                    f"{side}subnet= must be what is behind the peer alone",
                    conn.name,
                )
                break


def same(facts: Facts) -> Iterator[Finding]:
    """The same network on both sides: nobody in it sends to a gateway what he takes for his neighbour's."""
    for conn in facts.config.conns:
        net = conn.left.subnet
        if net is None or net != conn.right.subnet or conn.auth & Auth.NEVER or net.prefixlen in (0, net.max_prefixlen):
            continue
        yield Finding(
            "same-subnet",
            CONFIG,
            79,
            f"conn {conn.name} has {net} on both sides",
            ("a host takes the others of its network for neighbours, and asks no gateway about them",),
            "give one side another network, or a second one that it translates into (NETMAP), and name that in the "
            "conn of both ends",
            conn.name,
        )


def forgetful(facts: Facts) -> Iterator[Finding]:
    """Behind a NAT that is reminded too seldom."""
    if facts.config.keep_alive <= NAT_SECONDS:
        return
    for conn in facts.config.conns:
        said = next(
            (one for one in facts.log[::-1] if "i am NATed" in one.text and one.text.startswith(f'"{conn.name}"')), None
        )
        if said is not None:
            yield Finding(
                "no-keepalive",
                CONFIG,
                42,
                f"this host is behind a NAT, which it reminds of conn {conn.name} too seldom to be found",
                (f"keep_alive={facts.config.keep_alive:g}; NATs forget UDP after 30 to 180 seconds", said.text),
                "write keep_alive=20 into config setup, or leave it out; then: ipsec setup restart",
                conn.name,
            )


def overlapping(facts: Facts) -> Iterator[Finding]:
    """Two conns of different peers protect the same traffic."""
    seen: dict[tuple[object, object], Connection] = {}
    for conn in facts.config.conns:
        ends = facts.ours(conn)
        if (
            ends is None
            or conn.overlap_ip
            or ends[1].subnet is None
            or facts.config.automatic.get(conn.name) == "ignore"
        ):
            continue
        key = (ends[0].subnet, Selector.of(ends[1].subnet, ends[1].protocol, ends[1].port))
        first = seen.setdefault(key, conn)
        other = facts.ours(first)
        if first is not conn and other is not None and other[1].host != ends[1].host:
            cause = f"conns {first.name} and {conn.name} have the same subnets and different peers"
            yield Finding(
                "overlap",
                CONFIG,
                79,
                cause,
                (f"{ends[0].subnet} === {ends[1].subnet} in both",),
                "give them different subnets, or auto=ignore to one",
                conn.name,
            )


def uncovered(facts: Facts) -> Iterator[Finding]:
    """No conn covers the address asked about."""
    if facts.address is None or facts.config.error or facts.target:
        return
    covering = [row["name"] for row in facts.connections if row["remote"] and facts.match.find(row["name"]) >= 0]
    if facts.config.conns or covering or facts.pairs:
        return
    yield Finding(
        "no-conn-covers",
        CONFIG,
        88,
        f"no conn has {facts.address} behind its peer",
        tuple(filter(None, (facts.match,))),
        "add a conn whose peer's subnet= has it, or make one wider on both gateways",
    )


RULES = (unreadable, unknown, wrong, keyless, nobody, swallowed, same, forgetful, overlapping, uncovered)
