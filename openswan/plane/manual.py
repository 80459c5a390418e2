# SPDX-License-Identifier: GPL-2.0-or-later
"""A manually keyed conn as the daemon carries it out: the orders that make it, and what routes and the guard need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openswan.base.address import Address, parse_address
from openswan.base.errors import ConfigError
from openswan.base.numbers import IpProtocol
from openswan.base.octets import hex_text
from openswan.base.said import Said
from openswan.plane.commands import Mode
from openswan.plane.orders import (
    CODECS,
    Change,
    DropSa,
    ErouteOrder,
    Group,
    NewSa,
    Order,
    order_to_plain,
    plain_to_order,
)
from openswan.policy.keying import HIGHEST_MANUAL_SPI, LOWEST_SPI, NOT_FRESH, counters_repeat
from openswan.policy.manual import ManualConn, ManualEnd
from openswan.policy.selector import FlowKey

MOST_ORDERS = 16
LONGEST_NAME = 128
PROTOCOLS = {"esp": IpProtocol.ESP, "ah": IpProtocol.AH}


@dataclass(frozen=True, slots=True)
class ManualPlan:
    """Everything `ipsec manual --up` sets up, seen from this host."""

    name: str
    me: Address
    peer: Address
    flow: FlowKey
    """Our client to theirs."""
    orders: tuple[Order, ...]
    """SAs, groups, inbound policy and the eroute, in the order they are made."""
    nexthop: Address | None = None
    updown: str = "ipsec _updown"
    """Empty: none."""
    tunnel: bool = True
    leak_guard: bool = True
    metric: int = 0
    mtu: int = 0
    firewall: bool = False
    host_access: bool = False
    """What updown commands are to open in the packet filter."""

    def check(self) -> None:
        """ConfigError for what manual keying refuses, whoever wrote the plan."""
        if not 0 < len(self.name) <= LONGEST_NAME or not self.name.isprintable() or " " in self.name:
            raise ConfigError("a conn's name is wanted")
        if not 0 < len(self.orders) <= MOST_ORDERS:
            raise ConfigError(f"{len(self.orders)} orders, 1 to {MOST_ORDERS} make a conn")
        for order in self.orders:
            if not isinstance(order, NewSa | Group | ErouteOrder):
                raise ConfigError(f"{type(order).__name__} is no part of a conn")
            if isinstance(order, NewSa):
                check_manual(order)

    @property
    def sas(self) -> tuple[NewSa, ...]:
        """Its SAs."""
        return tuple(order for order in self.orders if isinstance(order, NewSa))


def check_manual(sa: NewSa) -> None:
    """ConfigError unless this SA may have keys that come back after a restart."""
    if sa.said.proto is not IpProtocol.COMP and not LOWEST_SPI <= sa.said.spi <= HIGHEST_MANUAL_SPI:
        raise ConfigError(
            f"SPI 0x{sa.said.spi:x} is not for manual keying: 0x{LOWEST_SPI:x} to 0x{HIGHEST_MANUAL_SPI:x} are"
        )
    if counters_repeat(sa.cipher, sa.integ):
        raise ConfigError(f"{sa.cipher or sa.integ} is refused for manual keying: {NOT_FRESH}")
    if sa.esn:
        raise ConfigError(f"extended sequence numbers are refused for manual keying: {NOT_FRESH}")
    if sa.fresh:
        raise ConfigError("keys of a configuration file are never fresh")


def make_plan(
    conn: ManualConn, addresses: Iterable[Address], other: bool = False, iam: Address | None = None
) -> ManualPlan:
    """What this host does for a conn; ConfigError when it is neither end."""
    ours, theirs = conn.oriented(addresses, other, iam)
    me, peer = ours.address, theirs.address
    assert me is not None and peer is not None
    flow = FlowKey(ours.client, theirs.client)
    out, inn = _sas(conn, theirs, me), _sas(conn, ours, peer)
    orders: list[Order] = [*out, *inn]
    for sas in (out, inn):
        if len(sas) > 1:
            orders.append(Group(tuple(sa.said for sa in sas)))
    orders.append(ErouteOrder(Change.ADD_IN, flow.reversed(), inn[0].said))
    orders.append(ErouteOrder(Change.ADD, flow, out[0].said))
    return ManualPlan(
        conn.name,
        me,
        peer,
        flow,
        tuple(orders),
        ours.nexthop,
        ours.updown,
        conn.tunnel,
        conn.leak_guard,
        conn.metric,
        conn.mtu,
        ours.firewall,
        ours.host_access,
    )


def _sas(conn: ManualConn, to: ManualEnd, src: Address) -> list[NewSa]:
    assert to.address is not None
    made = []
    for at, sa in enumerate(to.sas):
        # The innermost makes the tunnel, any other only wraps what that has made.
        mode = Mode.TUNNEL if conn.tunnel and at == 0 else Mode.TRANSPORT
        said = Said(PROTOCOLS[sa.protocol], sa.spi, to.address)
        made.append(NewSa(said, src, sa.cipher, sa.enc_key, sa.integ, sa.auth_key, sa.replay_window, mode))
    return made


def undone(order: Order) -> Order | None:
    """The order that takes this one back; None: that happens by itself when its SAs go."""
    if isinstance(order, NewSa):
        return DropSa(order.said)
    if isinstance(order, ErouteOrder) and not order.change.inbound:
        return ErouteOrder(type(order.change).DELETE, order.flow)
    return None


def plan_to_plain(plan: ManualPlan) -> dict[str, Any]:
    """A plan as a request's argument; with its keys."""
    return {
        "name": plan.name,
        "me": str(plan.me),
        "peer": str(plan.peer),
        "flow": CODECS["flow"].write(plan.flow),
        "orders": [order_to_plain(order) for order in plan.orders],
        "nexthop": str(plan.nexthop) if plan.nexthop else "",
        "updown": plan.updown,
        "tunnel": plan.tunnel,
        "leak_guard": plan.leak_guard,
        "metric": plan.metric,
        "mtu": plan.mtu,
        "firewall": plan.firewall,
        "host_access": plan.host_access,
    }


def plain_to_plan(plain: Any) -> ManualPlan:
    """The plan a request holds, checked; ConfigError says what is wrong and never shows a key."""
    if not isinstance(plain, dict):
        raise ConfigError("manual: a plan is wanted")
    text, yes = CODECS["cipher"].read, CODECS["esn"].read

    def take(name: str, kind: type) -> Any:
        value = plain.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ConfigError(f"manual: {name} is missing or not what it should be")
        return value

    orders = take("orders", list)
    if not all(isinstance(order, Mapping) for order in orders) or len(orders) > MOST_ORDERS:
        raise ConfigError("manual: orders are not what they should be")
    numbers = {name: take(name, int) for name in ("metric", "mtu")}
    if not all(0 <= number < 2**32 for number in numbers.values()):
        raise ConfigError("manual: metric and mtu are not negative")
    nexthop = take("nexthop", str)
    plan = ManualPlan(
        text(take("name", str)),
        parse_address(take("me", str)),
        parse_address(take("peer", str)),
        CODECS["flow"].read(take("flow", list)),
        tuple(plain_to_order(order) for order in orders),
        parse_address(nexthop) if nexthop else None,
        text(take("updown", str)),
        yes(take("tunnel", bool)),
        yes(take("leak_guard", bool)),
        **numbers,
        firewall=yes(take("firewall", bool)),
        host_access=yes(take("host_access", bool)),
    )
    plan.check()
    return plan


def command_line(order: Order, secret: bool = True) -> list[str]:
    """The table command that gives this order, for people to read; `secret` puts `KEY` where keys stand."""
    if isinstance(order, Group):
        return ["ipsec", "spigrp", "--said", *map(str, order.saids)]
    if isinstance(order, ErouteOrder):
        flow = order.flow
        words = ["ipsec", "eroute", f"--{order.change.value}", "--eraf", "inet6" if flow.src.version == 6 else "inet"]
        words += ["--src", str(flow.src), "--dst", str(flow.dst)]
        return words + (["--said", str(order.target)] if order.target is not None else [])
    if isinstance(order, DropSa):
        return ["ipsec", "spi", "--said", str(order.said), "--del"]
    if not isinstance(order, NewSa):
        raise ValueError(f"{order} has no command line")
    words = ["ipsec", "spi", "--said", str(order.said), *(["--src", str(order.src)] if order.src else [])]
    if order.said.proto is IpProtocol.ESP:
        words += ["--esp", f"{order.cipher}-{order.integ}".rstrip("-"), "--enckey", _key(order.enc_key, secret)]
    if order.said.proto is IpProtocol.AH:
        words += ["--ah", order.integ]
    if order.auth_key:
        words += ["--authkey", _key(order.auth_key, secret)]
    if order.said.proto is IpProtocol.COMP:
        words += ["--comp", order.cipher]
    if order.mode is Mode.TUNNEL:
        words += ["--mode", order.mode.value]
    if order.said.proto in (IpProtocol.ESP, IpProtocol.AH):
        words += ["--replay_window", str(order.replay_window)]
    return words


def _key(key: bytes, secret: bool) -> str:
    return "KEY" if secret and key else hex_text(key)
