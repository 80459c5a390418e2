# SPDX-License-Identifier: GPL-2.0-or-later
"""Routes into ipsecN: a table of our own that our own sockets never see, each route with a blackhole behind it.

    ip rule   5000: not fwmark MARK/MARK lookup 50              IPv4 and IPv6

    table 50  PEER-CLIENT dev ipsecN [src INSIDE] [mtu M] [metric N]
              throw OUR-CLIENT metric 2147483646                 when PEER-CLIENT is larger and holds it (0.0.0.0/0)
              blackhole PEER-CLIENT metric 2147483647            when the first one is gone, nothing goes elsewhere

IKE and ESP sockets carry the mark, so host-to-host, 0.0.0.0/0 and a peer inside its own client need no further care.
The kernel drops routes when ipsecN goes down or loses its last address; they are put back as soon as that can be.
"""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TypeAlias

from openswan.base.address import Address, Subnet
from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import ROUTE_TABLE, RULE_PRIORITY
from openswan.host.nlmsg import NETLINK_ROUTE, NetlinkSocket, split_from
from openswan.host.readable import readable
from openswan.host.rtnetlink import BLACKHOLE, THROW, Route, Rtnetlink, Rule

TWIN_METRIC = 0x7FFFFFFF
THROW_METRIC = TWIN_METRIC - 1
NEVER_TUNNELLED: tuple[Subnet, ...] = tuple(map(ip_network, ("224.0.0.0/4", "fe80::/10", "ff00::/8")))
"""Of one link only: thrown back to the main table when a route would take them."""
GROUPS = (1, 5, 7, 8, 9, 11, 19)
"""RTNLGRP_ of links, and of addresses, routes and rules of both families."""
SETTLE = 0.05
Key: TypeAlias = tuple[Subnet, int, int, int]
"""rtnetlink.Route.key."""
CONF = Path("/proc/sys/net/ipv4/conf")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One route into a tunnel as it was asked for."""

    device: str
    subnet: Subnet
    source: Address | None = None
    """leftsourceip; None: our address inside `client`, else the kernel's choice."""
    client: Subnet | None = None
    """Our own side's subnet."""
    mtu: int = 0
    metric: int = 0
    spared: tuple[Subnet, ...] = ()
    """Other nets behind this host, of which no route into a tunnel takes the whole."""

    def thrown(self) -> tuple[Subnet, ...]:
        """What lies inside the route's subnet and must not take it."""
        inside = [net for net in NEVER_TUNNELLED if _within(net, self.subnet)]
        if self.client is not None and _within(self.client, self.subnet):
            inside.append(self.client)
        return tuple(dict.fromkeys((*inside, *self.spared)))


def _within(inner: Subnet, outer: Subnet) -> bool:
    """Is `inner` a proper part of `outer`?"""
    return (
        inner.version == outer.version
        and inner != outer
        and inner.prefixlen > outer.prefixlen
        and inner.network_address in outer
    )


class Routes:
    """The routes pluto wants, and the kernel kept in step with them. Calls are synchronous and short."""

    def __init__(
        self, log: Callable[[str, bool], None] = lambda line, serious: None, marks: Marks = DEFAULT_MARKS
    ) -> None:
        self._log, self._marks = log, marks
        self.rules = tuple(Rule(version, RULE_PRIORITY, ROUTE_TABLE, marks.own, marks.own) for version in (4, 6))
        self._netlink = Rtnetlink()
        self._wanted: dict[tuple[Subnet, str], Wanted] = {}
        self._keys: Counter[Key] = Counter()
        """How many of the wanted routes need each kernel route."""
        self._sources: Counter[tuple[Address, str]] = Counter()
        self._spared: tuple[Subnet, ...] = ()
        self._watch: asyncio.Task[None] | None = None
        self._up = False
        self.on_change: Callable[[], None] = lambda: None
        """Hears that somebody has changed links, addresses, routes or rules."""

    def setup(self, device: str, physical: Iterable[str] = ()) -> None:
        """Rules in place, and reverse-path filters so set that neither `device` nor ESP on `physical` is dropped."""
        self._netlink.add_rules(self.rules)
        self._netlink.delete_rules(self._stale_rules())
        self._up = True
        for line in loosen(device, physical):
            self._log(line, False)

    def add(
        self,
        device: str,
        subnet: Subnet,
        source: Address | None = None,
        mtu: int = 0,
        metric: int = 0,
        client: Subnet | None = None,
    ) -> None:
        """Route `subnet` into `device`, replacing what was there; HostError when the kernel refuses.

        The blackhole goes in also when the kernel refuses (the device is down): traffic is dropped then, not loose. It
        does not go in first, or who sends at that moment would be told that his argument is invalid.
        """
        spared = tuple(net for net in self._spared if _within(net, subnet))
        wanted = Wanted(device, subnet, source, client, mtu, metric, spared)
        old = self._wanted.get((subnet, device))
        self._netlink.add_rules(self.rules)
        self._up = True
        if source is not None:
            self._add_source(source, device)
        if old is not None:
            self._keys.subtract(_keys(old))
        self._keys.update(_keys(wanted))
        self._wanted[subnet, device] = wanted
        try:
            self._netlink.add([self._route(wanted)])
        finally:
            self._netlink.add(_behind(wanted))
            if old is not None and old != wanted:
                self._take_back(old)

    def spare(self, nets: tuple[Subnet, ...]) -> None:
        """These nets are behind this host: wider routes into a tunnel leave them where they are. HostError as add()."""
        self._spared = nets
        for each in list(self._wanted.values()):
            if each.spared != tuple(net for net in nets if _within(net, each.subnet)):
                self.add(each.device, each.subnet, each.source, each.mtu, each.metric, each.client)

    def delete(self, device: str, subnet: Subnet) -> None:
        """Take a route and what stands behind it away; one that is not there is fine."""
        old = self._wanted.pop((subnet, device), None)
        if old is not None:
            self._keys.subtract(_keys(old))
        self._take_back(old or Wanted(device, subnet))

    def routes(self) -> tuple[Wanted, ...]:
        """What is wanted now."""
        return tuple(self._wanted.values())

    def homes(self) -> list[tuple[Subnet, str]] | None:
        """Where destinations live by the routing tables, for Guard.settle(); None: too many routes to tell."""
        return self._netlink.homes()

    def check(self) -> bool:
        """Is everything in force that should be?"""
        return not self._missing() and not self._missing_rules()

    def restore(self) -> bool:
        """Put back what is missing; was anything? What cannot be (device down or gone) waits for the next event."""
        rules, routes = self._missing_rules(), self._missing()
        if not rules and not routes:
            return False
        self._netlink.add_rules(rules)
        for address, device in self._sources:
            self._quietly(lambda address=address, device=device: self._netlink.change_address(address, device))  # type: ignore[misc]
        for route in routes:
            self._quietly(lambda route=route: self._netlink.add([route]))  # type: ignore[misc]
        return bool(rules) or self._missing() != routes

    def prune(self, subnets: Collection[Subnet] | None = None) -> int:
        """Delete what a predecessor left in our table and nobody wants any more; how many routes that were.

        With `subnets` only their routes.
        """
        stale = [
            route
            for version in (4, 6)
            for route in self._netlink.routes(version, ROUTE_TABLE)
            if self._keys[route.key] <= 0 and (subnets is None or route.subnet in subnets)
        ]
        self._netlink.delete(stale)
        return len(stale)

    def teardown(self) -> None:
        """Take every route, rule and source address of ours away."""
        for device, subnet in [(wanted.device, wanted.subnet) for wanted in self._wanted.values()]:
            self.delete(device, subnet)
        self.prune()
        self._netlink.delete_rules([*self.rules, *self._stale_rules()])
        self._up = False

    def start(self) -> None:
        """Watch links, addresses, routes and rules from now on (inside a running event loop)."""
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._follow())

    def close(self) -> None:
        """Stop watching; everything stays as it is."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._netlink.close()

    def _route(self, wanted: Wanted, local: Sequence[tuple[Address, str]] | None = None) -> Route:
        """The kernel's route; `local` spares it the look at our addresses when many are asked for at once."""
        source = wanted.source or self._inside(wanted.client, local)
        return Route(wanted.subnet, ROUTE_TABLE, wanted.device, source=source, metric=wanted.metric, mtu=wanted.mtu)

    def _inside(self, client: Subnet | None, local: Sequence[tuple[Address, str]] | None) -> Address | None:
        """Our own address inside our client: so that a gateway's own traffic matches the selector."""
        if client is None:
            return None
        addresses = self._netlink.addresses() if local is None else local
        found = [(address, device) for address, device in addresses if address in client]
        found.sort(key=lambda each: each[1].startswith("ipsec"))
        return next((address for address, device in found if device != "lo" or not address.is_loopback), None)

    def _take_back(self, old: Wanted) -> None:
        gone = [route for route in (_into(old), *_behind(old)) if self._keys[route.key] <= 0]
        self._netlink.delete(gone)
        if old.source is not None and not any(
            (wanted.source, wanted.device) == (old.source, old.device) for wanted in self._wanted.values()
        ):
            self._drop_source(old.source, old.device)

    def _add_source(self, address: Address, device: str) -> None:
        if any(address == local for local, _ in self._netlink.addresses()):
            return
        self._netlink.change_address(address, device)
        self._sources[address, device] = 1

    def _drop_source(self, address: Address, device: str) -> None:
        if self._sources.pop((address, device), None):
            self._quietly(lambda: self._netlink.change_address(address, device, delete=True))
            # The last IPv4 address of a device takes the device's routes in every table with it.
            self.restore()

    def _missing(self) -> list[Route]:
        if not self._wanted:
            return []
        present = {
            (route.key, route.device) for version in (4, 6) for route in self._netlink.routes(version, ROUTE_TABLE)
        }
        local = list(self._netlink.addresses())
        wanted = [route for one in self._wanted.values() for route in (*_behind(one), self._route(one, local))]
        return [route for route in dict.fromkeys(wanted) if (route.key, route.device) not in present]

    def collisions(self) -> list[str]:
        """A warning for each policy rule of somebody else's that looks at our bits of the mark, once at the start."""
        found = (rule for version in (4, 6) for rule in self._netlink.rules(version))
        theirs = (rule for rule in found if (rule.priority, rule.table) != (RULE_PRIORITY, ROUTE_TABLE))
        return [
            f"ip rule {rule.priority} looks at {rule.mask:#x} of the mark, and bits of {self._marks.mask:#x} are ours:"
            " choose others with fwmark-mask= in config setup"
            for rule in theirs
            if self._marks.ours(rule.mask)
        ]

    def _stale_rules(self) -> list[Rule]:
        """Rules of ours that another fwmark-mask= has left."""
        found = (rule for version in (4, 6) for rule in self._netlink.rules(version) if rule not in self.rules)
        return [
            rule for rule in found if (rule.priority, rule.table, rule.invert) == (RULE_PRIORITY, ROUTE_TABLE, True)
        ]

    def _missing_rules(self) -> list[Rule]:
        if not self._up:
            return []
        return [rule for rule in self.rules if rule not in set(self._netlink.rules(rule.version))]

    def _quietly(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (HostError, OSError):
            pass  # the device is down or gone; its return is an event, and the blackhole holds meanwhile

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        events = NetlinkSocket(NETLINK_ROUTE, GROUPS)
        events.sock.setblocking(False)
        try:
            while True:
                await readable(events.fileno())
                await asyncio.sleep(SETTLE)
                if self._foreign(events):
                    begun = loop.time()
                    try:
                        self.on_change()
                        if self.restore():
                            self._log("routes into the tunnel were gone; restored", False)
                    except (HostError, OSError) as why:
                        self._log(f"routes into the tunnel: {why}", True)
                    # A routing daemon may change routes all day: looking at ours takes a tenth of the time at most.
                    await asyncio.sleep(min(1.0, 10 * (loop.time() - begun)))
        finally:
            events.close()

    def _foreign(self, events: NetlinkSocket) -> bool:
        found = False
        while True:
            try:
                data = events.sock.recv(1 << 20)
            except BlockingIOError:
                return found
            except OSError as why:
                if why.errno != errno.ENOBUFS:
                    raise
                found = True
                continue
            found = found or any(portid != self._netlink.socket.portid for _, _, portid, _ in split_from(data))


def _into(wanted: Wanted) -> Route:
    """The route into the tunnel as deleting it needs it: without the source."""
    return Route(wanted.subnet, ROUTE_TABLE, wanted.device, metric=wanted.metric)


def _behind(wanted: Wanted) -> list[Route]:
    return [
        Route(wanted.subnet, ROUTE_TABLE, kind=BLACKHOLE, metric=TWIN_METRIC),
        *(Route(net, ROUTE_TABLE, kind=THROW, metric=THROW_METRIC) for net in wanted.thrown()),
    ]


def _keys(wanted: Wanted) -> list[Key]:
    return [route.key for route in (_into(wanted), *_behind(wanted))]


def loosen(device: str, physical: Iterable[str], conf: Path = CONF) -> list[str]:
    """Switch reverse-path filtering off on ipsecN and make it mark-aware on physical devices; lines for the log.

    The kernel takes the stricter of `all` and the device's own value. So a strict `all` moves to each device as it
    stood, and only ipsecN is without. On physical devices src_valid_mark has the filter look the sender of ESP up the
    way our own sockets look the peer up: past the routes into ipsecN.
    """
    lines = []
    try:
        for_all = int((conf / "all/rp_filter").read_text())
        if for_all:
            for each in sorted(conf.iterdir()):
                path = each / "rp_filter"
                if each.name not in ("all", device) and int(path.read_text()) < for_all:
                    path.write_text(str(for_all))
            lines.append(_changed("all", conf / "all/rp_filter", for_all, 0))
        path = conf / device / "rp_filter"
        if path.exists() and (was := int(path.read_text())):
            lines.append(_changed(device, path, was, 0))
        for name in physical:
            path = conf / name / "rp_filter"
            if path.exists() and int(path.read_text()):
                (conf / name / "src_valid_mark").write_text("1")
    except OSError as why:
        lines.append(f"WARNING: route filtering could not be set: {why.filename}: {why.strerror}")
    return lines


def _changed(name: str, path: Path, old: int, new: int) -> str:
    path.write_text(str(new))
    return f"WARNING: changing route filtering on {name} (changing {path} from {old} to {new})"
