# SPDX-License-Identifier: GPL-2.0-or-later
"""Routes and policy rules by the thousand: the few rtnetlink messages that need no event loop and no object a route.

Numbers are those of linux/rtnetlink.h and linux/fib_rules.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from openswan.base.address import Address, Subnet
from openswan.base.errors import HostError
from openswan.host.nlmsg import (
    NETLINK_GET_STRICT_CHK,
    NETLINK_ROUTE,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    SOL_NETLINK,
    Message,
    NetlinkSocket,
    Refusal,
    attr,
    nest,
    parse_attrs,
)

NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE, NEWRULE, DELRULE, GETRULE = 24, 25, 26, 32, 33, 34
GETNEIGH = 30
NDA_DST = 1
NUD_INCOMPLETE, NUD_FAILED = 0x01, 0x20
UNICAST, LOCAL, BLACKHOLE, THROW = 1, 2, 6, 9
KINDS = {
    1: "unicast",
    2: "local",
    3: "broadcast",
    5: "multicast",
    6: "blackhole",
    7: "unreachable",
    8: "prohibit",
    9: "throw",
}
PROTOCOL = 4
"""RTPROT_STATIC: set by an administrator's program, left alone by routing daemons."""
RTA_DST, RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_TABLE, RTA_MARK = (
    1, 2, 4, 5, 6, 7, 8, 15, 16
)  # fmt: skip
RTA_MULTIPATH = 9
RTM_F_LOOKUP_TABLE = 0x1000
"""Without it IPv4 names the main table, wherever it found the route; IPv6 refuses the flag and names it anyway."""
RTAX_MTU = 2
FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK = 6, 10, 15, 16
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFA_F_NODAD = 0x02
FIB_RULE_INVERT, FR_ACT_TO_TBL = 0x2, 1
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Route:
    """A route of one table; `device` is empty for blackhole and throw."""

    subnet: Subnet
    table: int
    device: str = ""
    kind: int = UNICAST
    source: Address | None = None
    metric: int = 0
    mtu: int = 0

    @property
    def key(self) -> tuple[Subnet, int, int, int]:
        """What tells it from its neighbours: subnet, table, kind, metric as the kernel keeps it."""
        return self.subnet, self.table, self.kind, self.metric or (1024 if self.subnet.version == 6 else 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """`ip rule` for packets whose mark does (or, inverted, does not) equal `mark` under `mask`."""

    version: int
    priority: int
    table: int
    mark: int
    mask: int
    invert: bool = True


@dataclass(frozen=True, slots=True)
class Way:
    """Where the kernel would send a packet: the answer of RTM_GETROUTE."""

    kind: str
    device: str
    gateway: Address | None
    source: Address | None
    table: int


def u32(value: int) -> bytes:
    """Host byte order, as rtnetlink wants its numbers."""
    return struct.pack("=I", value)


def _index(device: str) -> int:
    try:
        return socket.if_nametoindex(device)
    except OSError:
        raise HostError(f'Cannot find device "{device}"') from None


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


def route_message(route: Route, delete: bool = False) -> Message:
    """RTM_NEWROUTE (replacing one of the same key) or RTM_DELROUTE; HostError when the device does not exist."""
    net = route.subnet
    scope = 0 if net.version == 6 or route.kind != UNICAST else 253  # RT_SCOPE_LINK
    head = struct.pack(
        "=BBBBBBBBI", FAMILY[net.version], net.prefixlen, 0, 0, 0, PROTOCOL, 255 if delete else scope, route.kind, 0
    )
    body = head + attr(RTA_TABLE, u32(route.table)) + attr(RTA_DST, net.network_address.packed)
    if route.device:
        body += attr(RTA_OIF, u32(_index(route.device)))
    if route.metric:
        body += attr(RTA_PRIORITY, u32(route.metric))
    if route.source is not None and not delete:
        body += attr(RTA_PREFSRC, route.source.packed)
    if route.mtu and not delete:
        body += nest(RTA_METRICS, attr(RTAX_MTU, u32(route.mtu)))
    return Message(DELROUTE if delete else NEWROUTE, 0 if delete else NLM_F_CREATE | NLM_F_REPLACE, body)


def rule_message(rule: Rule, delete: bool = False) -> Message:
    """RTM_NEWRULE or RTM_DELRULE."""
    flags = FIB_RULE_INVERT if rule.invert else 0
    head = struct.pack("=BBBBBBBBI", FAMILY[rule.version], 0, 0, 0, 0, 0, 0, FR_ACT_TO_TBL, flags)
    body = head + attr(FRA_PRIORITY, u32(rule.priority)) + attr(FRA_TABLE, u32(rule.table))
    body += attr(FRA_FWMARK, u32(rule.mark)) + attr(FRA_FWMASK, u32(rule.mask))
    return Message(DELRULE if delete else NEWRULE, 0 if delete else NLM_F_CREATE | NLM_F_EXCL, body)


class Rtnetlink:
    """A blocking rtnetlink socket; every call is one system call or a dump."""

    def __init__(self) -> None:
        self.socket = NetlinkSocket(NETLINK_ROUTE)
        self.socket.sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def add(self, routes: Iterable[Route]) -> None:
        """Add or replace routes; HostError with the kernel's first objection, after the others have been done."""
        wanted = list(routes)
        self._complain(wanted, self.socket.send(route_message(route) for route in wanted), ())

    def delete(self, routes: Iterable[Route]) -> None:
        """Delete routes; those that are gone already are fine."""
        wanted = list(routes)
        refusals = self.socket.send(route_message(route, delete=True) for route in wanted)
        self._complain(wanted, refusals, (errno.ESRCH, errno.ENOENT, errno.ENODEV))

    def _complain(self, routes: list[Route], refusals: list[Refusal], fine: tuple[int, ...]) -> None:
        for refusal in refusals:
            if refusal.error not in fine:
                route = routes[refusal.index] if 0 <= refusal.index < len(routes) else None
                raise HostError(f"route to {route.subnet if route else '?'}: {refusal}")

    def add_rules(self, rules: Iterable[Rule]) -> None:
        """Add rules that are not there yet."""
        wanted = list(rules)
        for refusal in self.socket.send(rule_message(rule) for rule in wanted):
            if refusal.error not in (errno.EEXIST, errno.EAFNOSUPPORT):
                raise HostError(f"ip rule: {refusal}")

    def delete_rules(self, rules: Iterable[Rule]) -> None:
        """Delete rules; missing ones are fine."""
        self.socket.send(rule_message(rule, delete=True) for rule in rules)

    def routes(self, version: int, table: int) -> Iterator[Route]:
        """The routes of a table."""
        body = struct.pack("=BBBBBBBBI", FAMILY[version], 0, 0, 0, 0, 0, 0, 0, 0) + attr(RTA_TABLE, u32(table))
        try:
            answers = self.socket.ask(Message(GETROUTE, NLM_F_DUMP, body))
        except FileNotFoundError:
            return  # the table has never had a route
        for _, answer in answers:
            family, length, _, _, _, _, _, kind, _ = struct.unpack_from("=BBBBBBBBI", answer)
            attrs = dict(parse_attrs(answer[12:]))
            if family != FAMILY[version] or _number(attrs, RTA_TABLE) != table:
                continue
            packed = bytes(attrs.get(RTA_DST, bytes(4 if version == 4 else 16)))
            metrics = dict(parse_attrs(attrs.get(RTA_METRICS, memoryview(b""))))
            yield Route(
                ip_network((packed, length)),
                table,
                # IPv6 hangs blackholes on the loopback device.
                _name(_number(attrs, RTA_OIF)) if kind == UNICAST and RTA_OIF in attrs else "",
                kind,
                ip_address(bytes(attrs[RTA_PREFSRC])) if RTA_PREFSRC in attrs else None,
                _number(attrs, RTA_PRIORITY),
                _number(metrics, RTAX_MTU),
            )

    def homes(self, most: int = 4096) -> list[tuple[Subnet, str]] | None:
        """(subnet, device) of every unicast route that is no default one and leads into no ipsecN, in any table.

        None when there are more than `most`: a full Internet table says nothing about where our own side lives.
        """
        found: set[tuple[Subnet, str]] = set()
        for version in (4, 6):
            body = struct.pack("=BBBBBBBBI", FAMILY[version], 0, 0, 0, 0, 0, 0, 0, 0)
            for _, answer in self.socket.ask(Message(GETROUTE, NLM_F_DUMP, body)):
                family, length, _, _, _, _, _, kind, _ = struct.unpack_from("=BBBBBBBBI", answer)
                attrs = dict(parse_attrs(answer[12:]))
                if family != FAMILY[version] or kind != UNICAST or not length or RTA_DST not in attrs:
                    continue
                hops = [_number(attrs, RTA_OIF)] if RTA_OIF in attrs else _hops(attrs)
                subnet = ip_network((bytes(attrs[RTA_DST]), length))
                found.update((subnet, name) for name in map(_name, hops) if name and not name.startswith("ipsec"))
                if len(found) > most:
                    return None
        return sorted(found, key=str)

    def rules(self, version: int) -> Iterator[Rule]:
        """The rules by mark of one IP version."""
        body = struct.pack("=BBBBBBBBI", FAMILY[version], 0, 0, 0, 0, 0, 0, 0, 0)
        try:
            answers = self.socket.ask(Message(GETRULE, NLM_F_DUMP, body))
        except OSError:
            return
        for _, answer in answers:
            family, _, _, _, table, _, _, _, flags = struct.unpack_from("=BBBBBBBBI", answer)
            attrs = dict(parse_attrs(answer[12:]))
            if family == FAMILY[version] and FRA_FWMASK in attrs:
                yield Rule(
                    version,
                    _number(attrs, FRA_PRIORITY),
                    _number(attrs, FRA_TABLE) or table,
                    _number(attrs, FRA_FWMARK),
                    _number(attrs, FRA_FWMASK),
                    bool(flags & FIB_RULE_INVERT),
                )

    def addresses(self) -> list[tuple[Address, str]]:
        """Every address of this host with its device, those with global scope first."""
        found = []
        for _, answer in self.socket.ask(Message(GETADDR, NLM_F_DUMP, struct.pack("=BBBBI", 0, 0, 0, 0, 0))):
            family, _, _, scope, index = struct.unpack_from("=BBBBI", answer)
            attrs = dict(parse_attrs(answer[8:]))
            packed = attrs.get(IFA_LOCAL, attrs.get(IFA_ADDRESS))
            if family in FAMILY.values() and packed is not None:
                found.append((scope, ip_address(bytes(packed)), _name(index)))
        return [(address, device) for _, address, device in sorted(found, key=lambda each: each[0])]

    def neighbour(self, address: Address) -> str:
        """The state of a neighbour entry: FAILED, INCOMPLETE, or empty when it is fine or there is none."""
        for _, answer in self.socket.ask(Message(GETNEIGH, NLM_F_DUMP, struct.pack("=BBHiHBB", 0, 0, 0, 0, 0, 0, 0))):
            state = struct.unpack_from("=H", answer, 8)[0]
            attrs = dict(parse_attrs(answer[12:]))
            if NDA_DST in attrs and bytes(attrs[NDA_DST]) == address.packed:
                return "FAILED" if state & NUD_FAILED else "INCOMPLETE" if state & NUD_INCOMPLETE else ""
        return ""

    def change_address(self, address: Address, device: str, delete: bool = False) -> None:
        """Give a device an address of its own (/32, /128), or take it away; what is so already is fine."""
        bits = 32 if address.version == 4 else 128
        flags = IFA_F_NODAD if address.version == 6 else 0  # nobody on a tunnel answers a duplicate's probe
        body = struct.pack("=BBBBI", FAMILY[address.version], bits, flags, 0, _index(device))
        body += attr(IFA_LOCAL, address.packed) + attr(IFA_ADDRESS, address.packed)
        message = Message(DELADDR, 0, body) if delete else Message(NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body)
        for refusal in self.socket.send([message]):
            if refusal.error not in (errno.EEXIST, errno.EADDRNOTAVAIL):
                raise HostError(f"address {address} on {device}: {refusal}")

    def way(self, dst: Address, src: Address | None = None, mark: int = 0) -> Way:
        """Ask the kernel for the route of a local packet; HostError when there is none."""
        bits = 32 if dst.version == 4 else 128
        flags = RTM_F_LOOKUP_TABLE if dst.version == 4 else 0
        head = struct.pack("=BBBBBBBBI", FAMILY[dst.version], bits, bits if src else 0, 0, 0, 0, 0, 0, flags)
        body = head + attr(RTA_DST, dst.packed)
        if src is not None:
            body += attr(RTA_SRC, src.packed)
        if mark:
            body += attr(RTA_MARK, u32(mark))
        try:
            answer = self.socket.ask(Message(GETROUTE, 0, body))[0][1]
        except OSError as why:
            raise HostError(f"no route from here to {dst}: {why.strerror}") from None
        kind = answer[7]
        attrs = dict(parse_attrs(answer[12:]))
        return Way(
            KINDS.get(kind, f"type {kind}"),
            _name(_number(attrs, RTA_OIF)),
            ip_address(bytes(attrs[RTA_GATEWAY])) if RTA_GATEWAY in attrs else None,
            ip_address(bytes(attrs[RTA_PREFSRC])) if RTA_PREFSRC in attrs else None,
            _number(attrs, RTA_TABLE),
        )


def _hops(attrs: dict[int, memoryview]) -> list[int]:
    """Devices of a route over several next hops (struct rtnexthop: length, flags, hops, index)."""
    view, found = attrs.get(RTA_MULTIPATH, memoryview(b"")), []
    while len(view) >= 8:
        length, _, _, index = struct.unpack_from("=HBBi", view)
        if length < 8:
            break
        found.append(index)
        view = view[(length + 3) & ~3 :]
    return found


def _number(attrs: dict[int, memoryview], kind: int) -> int:
    return struct.unpack("=I", attrs[kind])[0] if kind in attrs and len(attrs[kind]) == 4 else 0
