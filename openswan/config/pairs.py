# SPDX-License-Identifier: GPL-2.0-or-later
"""leftsubnets= and rightsubnets=: one connection for each pair of clients that go together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from openswan.base.address import Address, Subnet
from openswan.config.side import Side
from openswan.config.values import Values
from openswan.policy.connection import Connection, End

MOST_PAIRS = 4096
"""Conns that leftsubnets= and rightsubnets= may make of one."""


def expand(values: Values, base: Connection, left: Side, right: Side) -> Iterator[Connection]:
    """`base` with each pair of the two ends' clients; alone where neither end lists several."""
    expanded = left.expanded or right.expanded
    if len(left.clients) * len(right.clients) > MOST_PAIRS:
        values.error(f"{len(left.clients)} x {len(right.clients)} subnets make more than {MOST_PAIRS} conns")
        return
    found = False
    for left_index, left_net in left.clients:
        for right_index, right_net in right.clients:
            if not _fits(values, base, left_net, right_net, quiet=expanded):
                continue
            found = True
            name = f"{base.name}/{left_index}x{right_index}" if expanded else base.name
            aliases = tuple(dict.fromkeys((base.name, *base.aliases))) if expanded else base.aliases
            ends = _ports(
                values, replace(base.left, subnet=left_net), replace(base.right, subnet=right_net), left, right
            )
            yield replace(base, name=name, aliases=aliases, left=ends[0], right=ends[1])
    if expanded and not found:
        values.error("no pair of leftsubnets and rightsubnets is of one address family")


def _ports(values: Values, left: End, right: End, left_side: Side, right_side: Side) -> tuple[End, End]:
    if left.protocol == right.protocol:
        return left, right
    # One side alone restricts the protocol for both, as the ports of the other are anybody's.
    if not left_side.protocol_given or not left.protocol:
        return replace(left, protocol=right.protocol), right
    if not right_side.protocol_given or not right.protocol:
        return left, replace(right, protocol=left.protocol)
    values.error(f"leftprotoport and rightprotoport name different protocols, {left.protocol} and {right.protocol}")
    return left, right


def _fits(values: Values, base: Connection, left: Subnet | None, right: Subnet | None, *, quiet: bool) -> bool:
    """Are both clients of one family, the one that connaddrfamily= says?"""
    versions = [
        0
        if end.ask_addresses or end.pools
        else net.version
        if net is not None
        else end.host.address.version
        if end.host.address is not None
        else 0
        for net, end in ((left, base.left), (right, base.right))
    ]
    given = set(versions) - {0}
    if len(given) == 2:
        if not quiet:
            values.error("inconsistent left/right client address family")
        return False
    wanted = {"ipv4": 4, "ipv6": 6}.get(values.value("connaddrfamily"))
    if wanted and given - {wanted}:
        values.error(
            f"connaddrfamily is {values.value('connaddrfamily')}, the clients are not", values.param("connaddrfamily")
        )
        return False
    for net, end, name in ((left, base.left, "left"), (right, base.right, "right")):
        if net is not None:
            _sources(values, net, end.source_ips, name)
    return True


def _sources(values: Values, net: Subnet, sources: Iterable[Address], name: str) -> None:
    for source in sources:
        if source.version == net.version and source not in net:
            values.warn(f"{name}sourceip {source} is outside {name}subnet {net}", values.param("sourceip", name))
