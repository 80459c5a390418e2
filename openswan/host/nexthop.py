# SPDX-License-Identifier: GPL-2.0-or-later
"""Which ethernet neighbour takes a packet on: route and neighbour looked up once, then kept true by what netlink tells.

The kernel stays in charge of its neighbours: what it has checked, or is about to check while it goes on using it, is
used; what it has lost is not. A change of a neighbour is known at once, one of routes, rules, addresses or links makes
every next hop be looked up again a moment later.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from openswan.base.address import Address
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import ROUTE_TABLE
from openswan.host.nlmsg import NETLINK_ROUTE, Message, NetlinkSocket, attr, parse_attrs, split
from openswan.host.rtnetlink import (
    DELROUTE,
    FAMILY,
    GETROUTE,
    NEWROUTE,
    RTA_DST,
    RTA_GATEWAY,
    RTA_MARK,
    RTA_MULTIPATH,
    RTA_OIF,
    RTA_SRC,
    UNICAST,
    u32,
)
from openswan.plane.commands import NextHop

GROUPS = (1, 3, 5, 7, 8, 9, 11, 19)
"""RTNLGRP_ of links and neighbours; of addresses, routes and rules of both families."""
GETLINK, NEWNEIGH, DELNEIGH, GETNEIGH = 18, 28, 29, 30
RTA_VIA, RTA_ENCAP = 18, 22
NDA_DST, NDA_LLADDR = 1, 2
REACHABLE, STALE, DELAY, PROBE, PERMANENT = 0x02, 0x04, 0x08, 0x10, 0x80
KNOWN = REACHABLE | STALE | DELAY | PROBE | PERMANENT
"""States in which the kernel itself sends to the address it has."""
ARPHRD_ETHER = 1
IFF_UP, IFF_LOOPBACK, IFF_NOARP = 0x1, 0x8, 0x80
IFLA_MTU = 4
NEIGHBOUR = struct.Struct("=BxxxiHBB")
LINK = struct.Struct("=BxHiII")
MOST = 4096
"""Pairs of addresses kept; the oldest gives way, and is asked for again if it is still in use."""
SETTLE = 0.1
"""Seconds after a change of routes until all are looked up again, so that a thousand changes are one."""

REST = 9
"""Times as long as the last such look took, if that is more: routes that change all the time must not take the loop."""

Pair = tuple[Address, Address]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour's entry, or word that it has gone (`address` is empty)."""

    interface: int
    protocol_address: bytes
    address: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """A next hop, and by which entry it is known."""

    hop: NextHop
    protocol_address: bytes


def parse_neighbour(kind: int, body: bytes | memoryview) -> Neighbour | None:
    """RTM_NEWNEIGH or RTM_DELNEIGH; None: not one of IPv4 or IPv6."""
    if len(body) < NEIGHBOUR.size:
        return None
    family, interface, state, _, _ = NEIGHBOUR.unpack_from(body)
    attrs = dict(parse_attrs(body[NEIGHBOUR.size :]))
    if family not in FAMILY.values() or NDA_DST not in attrs:
        return None
    usable = kind == NEWNEIGH and state & KNOWN and len(attrs.get(NDA_LLADDR, b"")) == 6
    return Neighbour(interface, bytes(attrs[NDA_DST]), bytes(attrs[NDA_LLADDR]) if usable else b"")


def parse_route(body: bytes | memoryview, dst: Address) -> tuple[int, bytes] | None:
    """(interface index, address of the neighbour) of a RTM_GETROUTE answer; None: not a plain way by one neighbour."""
    attrs = dict(parse_attrs(body[12:]))
    if len(body) < 12 or body[7] != UNICAST or RTA_OIF not in attrs:
        return None
    if attrs.keys() & {RTA_VIA, RTA_ENCAP, RTA_MULTIPATH}:
        return None
    return struct.unpack("=I", attrs[RTA_OIF])[0], bytes(attrs.get(RTA_GATEWAY, dst.packed))


def plain_ethernet(body: bytes | memoryview, mtu: int) -> bool:
    """Is the link of a RTM_NEWLINK message up, an ethernet with neighbours to ask for, and no narrower than `mtu`?"""
    if len(body) < LINK.size:
        return False
    _, kind, _, flags, _ = LINK.unpack_from(body)
    attrs = dict(parse_attrs(body[LINK.size :]))
    wide = IFLA_MTU in attrs and struct.unpack("=I", attrs[IFLA_MTU])[0] >= mtu
    return kind == ARPHRD_ETHER and flags & (IFF_UP | IFF_LOOPBACK | IFF_NOARP) == IFF_UP and wide


class NextHops:
    """Next hops of pairs of addresses that somebody wants, told whenever they change.

    `tell(local, remote, hop)` is called with each; None: the kernel has to find the way. `mtu_of(local)` is what the
    interface must take in one piece.
    """

    def __init__(
        self,
        tell: Callable[[Address, Address, NextHop | None], None],
        mtu_of: Callable[[Address], int],
        marks: Marks = DEFAULT_MARKS,
    ) -> None:
        self._marks = marks
        self._tell = tell
        self._mtu_of = mtu_of
        self._known: dict[Pair, Found] = {}
        self._asking: NetlinkSocket | None = None
        self._events: NetlinkSocket | None = None
        self._again: asyncio.TimerHandle | None = None
        self._pause = SETTLE

    def open(self) -> None:
        """Begin to listen; HostError when there is no netlink."""
        self._asking = NetlinkSocket(NETLINK_ROUTE)
        self._events = NetlinkSocket(NETLINK_ROUTE, GROUPS)
        self._events.sock.setblocking(False)
        asyncio.get_running_loop().add_reader(self._events.fileno(), self._readable)

    def close(self) -> None:
        """Stop; what has been told stays."""
        if self._again:
            self._again.cancel()
        if self._events:
            asyncio.get_running_loop().remove_reader(self._events.fileno())
            self._events.close()
        if self._asking:
            self._asking.close()
        self._asking = self._events = None
        self._known.clear()

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    def want(self, local: Address, remote: Address) -> None:
        """Look for a next hop and tell it, also when it is the one told before: who asks does not use it. When there is
        none nothing is told, and nothing kept."""
        found = self.find(local, remote)
        if found is None:
            self._set((local, remote), None)
            return
        while len(self._known) >= MOST and (local, remote) not in self._known:
            self._set(next(iter(self._known)), None)
        self._known[local, remote] = found
        self._tell(local, remote, found.hop)

    def find(self, local: Address, remote: Address) -> Found | None:
        """The next hop as the kernel would choose it for what carries our mark."""
        if self._asking is None:
            return None
        family = FAMILY[remote.version]
        bits = 8 * len(remote.packed)
        head = struct.pack("=BBBBBBBBI", family, bits, bits, 0, 0, 0, 0, 0, 0)
        body = head + attr(RTA_DST, remote.packed) + attr(RTA_SRC, local.packed) + attr(RTA_MARK, u32(self._marks.own))
        try:
            way = parse_route(self._asking.ask(Message(GETROUTE, 0, body))[0][1], remote)
            if way is None:
                return None
            index, gateway = way
            link = self._asking.ask(Message(GETLINK, 0, LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)))[0][1]
            if not plain_ethernet(link, self._mtu_of(local)):
                return None
            body = NEIGHBOUR.pack(family, index, 0, 0, 0) + attr(NDA_DST, gateway)
            kind, answer = self._asking.ask(Message(GETNEIGH, 0, body))[0]
        except OSError:
            return None  # no route, no such link, no entry: the kernel will find out when it sends
        entry = parse_neighbour(kind, answer)
        if entry is None or not entry.address or entry.address[0] & 1:
            return None
        return Found(NextHop(index, entry.address), gateway)

    def _set(self, pair: Pair, found: Found | None) -> None:
        before = self._known.get(pair)
        if found is None:
            self._known.pop(pair, None)
        else:
            self._known[pair] = found
        if (before and before.hop) != (found and found.hop):
            self._tell(*pair, found.hop if found else None)

    def _readable(self) -> None:
        assert self._events is not None
        while True:
            try:
                data = self._events.sock.recv(1 << 20)
            except BlockingIOError:
                return
            except OSError as why:
                if why.errno != errno.ENOBUFS:
                    raise
                self._look_again()  # some were lost
                continue
            for kind, _, body in split(data):
                self.heard(kind, body)

    def heard(self, kind: int, body: memoryview) -> None:
        """One message of the kernel's."""
        if kind not in (NEWNEIGH, DELNEIGH):
            # Routes into our own ipsecN come by the thousand, in a table that what carries our mark does not look into.
            if kind not in (NEWROUTE, DELROUTE) or len(body) < 5 or body[4] != ROUTE_TABLE:
                self._look_again()
            return
        entry = parse_neighbour(kind, body) if self._known else None
        if entry is None:
            return
        for pair, found in list(self._known.items()):
            if (found.hop.interface, found.protocol_address) == (entry.interface, entry.protocol_address):
                hop = NextHop(entry.interface, entry.address) if entry.address and not entry.address[0] & 1 else None
                self._set(pair, Found(hop, found.protocol_address) if hop else None)

    def _look_again(self) -> None:
        if self._known and self._again is None:
            self._again = asyncio.get_running_loop().call_later(self._pause, self._look)

    def _look(self) -> None:
        self._again = None
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for pair in list(self._known):
            self._set(pair, self.find(*pair))
        self._pause = max(SETTLE, REST * (loop.time() - begun))


def describe(hop: NextHop) -> str:
    """For the log."""
    try:
        name = socket.if_indextoname(hop.interface)
    except OSError:
        name = f"interface {hop.interface}"
    return f"{hop.address.hex(':')} on {name}"
