# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guard holds: connections' protected flows in, elements of sets out, for whichever back end.

A protected flow becomes one or two elements, never a rule. Sets, each for IPv4 and IPv6 (`remote` is the peer's side):

    rl     remote . local                              where the remote subnet is the narrower one
    lr     local . remote                              where the local one is
    proto  remote . local . protocol                   selectors of a whole protocol
    port   remote . local . protocol . rport . lport   selectors with ports
    frag   remote . local . protocol                   the same without ports, for fragments that show none
    open   remote . local . protocol . rport . lport   what this host may ask in clear nevertheless
    home   local . device                              where destinations live, by the routing tables
    known  local . any protocol                        destinations of which that is known

The narrower field comes first because the kernel narrows its candidates field by field: a gateway with one local subnet
and ten thousand remote ones rejects ordinary traffic at the first field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from openswan.base.address import Address, Subnet, any_subnet
from openswan.engine.effects import GuardEntry
from openswan.host.guard.boxes import Box, Cover, Item, Range, volume
from openswan.policy.selector import FlowKey

WITH_PORTS = frozenset((6, 17, 33, 132, 136))
"""TCP, UDP, DCCP, SCTP, UDP-Lite: both ports are the first four octets. Others are guarded whatever their ports say."""
PLANES = ("plain", "proto", "port", "frag")
FAMILIES = (4, 6)
LOOPBACK = "lo"
ASKING = (1024, 65535)
"""Ports queries are sent from: so an answer is nothing that a service of this host would listen to."""
Element: TypeAlias = tuple[str, Box]
"""Set name and key; the fields are in the set's own order."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one connection has guarded."""

    entries: tuple[GuardEntry, ...]
    block_families: tuple[int, ...] = ()


@dataclass(slots=True)
class Change:
    """How the sets must change, all at once."""

    add: set[Element] = field(default_factory=set)
    remove: set[Element] = field(default_factory=set)
    devices_add: set[str] = field(default_factory=set)
    devices_remove: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.add or self.remove or self.devices_add or self.devices_remove)


def address_range(subnet: Subnet) -> Range:
    """First and last address as numbers."""
    return int(subnet.network_address), int(subnet.broadcast_address)


def items(key: FlowKey) -> Iterator[tuple[str, Item]]:
    """The (plane, item) pairs of a flow.

    When our client lies inside the peer's (0.0.0.0/0 for instance), what stays between two hosts of our own client is
    not the tunnel's; when the peer's lies inside ours, the peer's is the more specific and all of it is.
    """
    remote, local = address_range(key.dst), address_range(key.src)
    hole: Box | None = None
    if remote != local and remote[0] <= local[0] and local[1] <= remote[1]:
        hole = (local, local)
    if not key.protocol:
        yield "plain", Item((remote, local), hole)
        return
    protocol = (key.protocol, key.protocol)
    whole = Item((remote, local, protocol), (*hole, protocol) if hole else None)
    if key.protocol not in WITH_PORTS or not (key.src_port or key.dst_port):
        yield "proto", whole
        return
    ports = tuple((port, port) if port else (0, 65535) for port in (key.dst_port, key.src_port))
    yield "port", Item((remote, local, protocol, *ports), (*hole, protocol, *ports) if hole else None)
    yield "frag", whole


def element(plane: str, family: int, box: Box) -> Element:
    """The set and key that hold a box of a plane."""
    if plane != "plain":
        return f"{plane}{family}", box
    remote, local = box
    return (f"rl{family}", box) if volume((remote,)) <= volume((local,)) else (f"lr{family}", (local, remote))


def device_range(name: str) -> Range:
    """An interface name as the number a set's key holds."""
    number = int.from_bytes(name.encode().ljust(16, b"\0"), "big")
    return number, number


def union(spans: Iterable[Range]) -> list[Range]:
    """The same points in the fewest disjoint ranges."""
    merged: list[Range] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


@dataclass(frozen=True, slots=True)
class Match:
    """A guarded flow that covers a packet; `outbound` tells which way the packet goes."""

    connection: str
    entry: GuardEntry | None
    """None: the packet's whole family is blocked."""
    outbound: bool


def covers(key: FlowKey, src: Address, dst: Address, protocol: int, src_port: int, dst_port: int) -> bool:
    """Does the guard of `key` match this outbound packet? Ports and protocol 0: unknown, taken as matching."""
    if src not in key.src or dst not in key.dst:
        return False
    if key.src != key.dst and key.src.version == key.dst.version and dst in key.src and _inside(key.src, key.dst):
        return False
    if key.protocol and protocol and key.protocol != protocol:
        return False
    if key.protocol not in WITH_PORTS:
        return True
    wanted = ((key.src_port, src_port), (key.dst_port, dst_port))
    return all(not selector or not port or selector == port for selector, port in wanted)


def _inside(inner: Subnet, outer: Subnet) -> bool:
    (a, b), (c, d) = address_range(inner), address_range(outer)
    return c <= a and b <= d


class GuardModel:
    """The connections' flows and the elements that stand for them."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self._covers = {(plane, family): Cover() for plane in PLANES for family in FAMILIES}
        self._devices: dict[str, int] = {}
        self._homes: set[Element] = set()
        self._open: set[Element] = set()

    def replace(self, connection: str, held: Held | None) -> Change:
        """Replace what a connection holds (None: nothing any more) and tell what that changes."""
        old = self.held.get(connection)
        change = Change()
        if held == old:
            return change
        for device, difference in _difference(_devices(old), _devices(held)).items():
            before = self._devices.get(device, 0)
            self._devices[device] = before + difference
            if not before:
                change.devices_add.add(device)
            if not self._devices[device]:
                del self._devices[device]
                change.devices_remove.add(device)
        add, remove = _items(held), _items(old)
        for where in add.keys() | remove.keys():
            new, gone = self._covers[where].change(add.get(where, ()), remove.get(where, ()))
            change.add.update(element(*where, box) for box in new)
            change.remove.update(element(*where, box) for box in gone)
        if held is None:
            del self.held[connection]
        else:
            self.held[connection] = held
        return change

    def settle(self, routes: Iterable[tuple[Subnet, str]]) -> Change:
        """Replace what is known of where destinations live: (subnet, device) of routes other than default ones."""
        ranges: dict[tuple[int, str], list[Range]] = {}
        for subnet, device in routes:
            for name in (device, ""):
                ranges.setdefault((subnet.version, name), []).append(address_range(subnet))
        homes: set[Element] = set()
        for (version, device), spans in ranges.items():
            for span in union(spans):
                homes.add(
                    (f"home{version}", (span, device_range(device)))
                    if device
                    else (f"known{version}", (span, (0, 255)))
                )
        change = Change(homes - self._homes, self._homes - homes)
        self._homes = homes
        return change

    def open(self, flows: Iterable[FlowKey]) -> Change:
        """Replace what this host may ask in clear: flows to one port of another host."""
        wanted: set[Element] = set()
        for key in flows:
            ports = (key.dst_port, key.dst_port), ASKING
            box = address_range(key.dst), address_range(key.src), (key.protocol, key.protocol), *ports
            wanted.add((f"open{key.src.version}", box))
        change = Change(wanted - self._open, self._open - wanted)
        self._open = wanted
        return change

    def elements(self) -> set[Element]:
        """Every element there should be."""
        return (
            self._homes
            | self._open
            | {element(*where, box) for where, cover in self._covers.items() for box in cover.boxes()}
        )

    def devices(self) -> set[str]:
        """Devices protected traffic may use: those the entries name, and loopback."""
        return {LOOPBACK, *self._devices}

    def find(self, src: Address, dst: Address, protocol: int = 0, src_port: int = 0, dst_port: int = 0) -> list[Match]:
        """Whose guard a packet meets, the most specific flow first; inbound ones after outbound ones."""
        found: list[Match] = []
        for name, held in self.held.items():
            for entry in held.entries:
                if covers(entry.key, src, dst, protocol, src_port, dst_port):
                    found.append(Match(name, entry, True))
                elif covers(entry.key, dst, src, protocol, dst_port, src_port):
                    found.append(Match(name, entry, False))
            if src.version in held.block_families:
                found.append(Match(name, None, True))
        return sorted(found, key=_specific)


def _specific(match: Match) -> tuple[bool, bool, int, int, bool, str]:
    if match.entry is None:
        return True, False, 0, 0, False, match.connection
    key = match.entry.key
    return (
        False,
        not match.outbound,
        -key.src.prefixlen,
        -key.dst.prefixlen,
        not key.protocol,
        match.connection,
    )


def _items(held: Held | None) -> dict[tuple[str, int], list[Item]]:
    found: dict[tuple[str, int], list[Item]] = {}
    if held is None:
        return found
    for entry in held.entries:
        for plane, item in items(entry.key):
            found.setdefault((plane, entry.key.src.version), []).append(item)
    for family in held.block_families:
        everything = address_range(any_subnet(family))
        found.setdefault(("plain", family), []).append(Item((everything, everything)))
    return found


def _devices(held: Held | None) -> Iterable[str]:
    return sorted({entry.device for entry in held.entries}) if held else ()


def _difference(old: Iterable[str], new: Iterable[str]) -> Mapping[str, int]:
    before, after = set(old), set(new)
    return dict.fromkeys(after - before, 1) | dict.fromkeys(before - after, -1)
