# SPDX-License-Identifier: GPL-2.0-or-later
"""Which policy a flow falls under: conns, policy groups and exemptions in one table, the most specific wins.

The order is the eroute table's: length of the source net, of the destination net, then protocol, source port and
destination port that are named before any. Of equal ones a conn of the configuration comes before a group's line, and
that before an exemption; an exemption never stands before a conn, nor before a group's line about that very host,
however much more specific it is.

Rules of one pair of prefix lengths share a dictionary, so a look-up costs a few dictionary accesses for each pair of
lengths in use, however many rules there are.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from openswan.base.address import Address
from openswan.policy.selector import FlowKey


class Standing(IntEnum):
    """Whose word a rule is; the lower one wins among equally specific rules."""

    CONN = 0
    GROUP = 1
    EXEMPT = 2


@dataclass(frozen=True, slots=True)
class Flow:
    """What is known of a packet: addresses, protocol, ports (0 where there are none; ICMP: its type and 0)."""

    src: Address
    dst: Address
    protocol: int = 0
    src_port: int = 0
    dst_port: int = 0

    def __str__(self) -> str:
        ports = (
            f":{self.src_port} -> {self.dst}:{self.dst_port}" if self.src_port or self.dst_port else f" -> {self.dst}"
        )
        return f"{self.src}{ports}" + (f" protocol {self.protocol}" if self.protocol else "")


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of flow, seen outbound, and whose it is."""

    key: FlowKey
    owner: str
    """Name of the conn; of an exemption, what it is for."""
    standing: Standing = Standing.GROUP
    where: str = ""
    """FILE:LINE of the line that says so."""

    @property
    def yields(self) -> bool:
        """Does it give way to an exemption that is more specific? What names the host itself means it."""
        return self.standing is Standing.GROUP and self.key.dst.prefixlen < self.key.dst.max_prefixlen

    def covers(self, flow: Flow) -> bool:
        """Do protocol and ports fit? The nets are the table's business."""
        key = self.key
        return (
            key.protocol in (0, flow.protocol)
            and key.src_port in (0, flow.src_port)
            and key.dst_port in (0, flow.dst_port)
        )


def _rank(rule: Rule) -> tuple[bool, bool, bool, int]:
    key = rule.key
    return not key.protocol, not key.src_port, not key.dst_port, rule.standing


@dataclass(slots=True)
class _Lengths:
    """The rules of one family and one pair of prefix lengths."""

    src_shift: int
    dst_shift: int
    rules: dict[tuple[int, int], list[Rule]] = field(default_factory=dict)
    """By the leading bits of both nets, best first."""


@dataclass(slots=True)
class FlowTable:
    """Rules by key; what stands first under a key stays."""

    lengths: dict[tuple[int, int, int], _Lengths] = field(default_factory=dict)
    """By (family, source length, destination length)."""
    order: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    """Keys of `lengths` for each family, most specific first."""
    count: int = 0

    def __len__(self) -> int:
        return self.count

    def add(self, rule: Rule) -> Rule | None:
        """Enter a rule; when one of the same key and standing is there, that one stays and is returned."""
        key = rule.key
        group = self._group(key, make=True)
        assert group is not None
        place = _bits(key, group)
        rules = group.rules.setdefault(place, [])
        first = next((old for old in rules if old.key == key and old.standing is rule.standing), None)
        if first is None:
            insort(rules, rule, key=_rank)
            self.count += 1
        return first

    def extend(self, rules: Iterable[Rule]) -> Iterator[tuple[Rule, Rule]]:
        """Enter several; yields (refused, the one that has its place) of those that came too late."""
        for rule in rules:
            if (first := self.add(rule)) is not None:
                yield rule, first

    def remove(self, rule: Rule) -> bool:
        """Take a rule out; False when it is not there."""
        group = self._group(rule.key)
        place = _bits(rule.key, group) if group is not None else (0, 0)
        if group is None or rule not in group.rules.get(place, ()):
            return False
        group.rules[place].remove(rule)
        self.count -= 1
        if not group.rules[place]:
            del group.rules[place]
        if not group.rules:
            shape = _shape(rule.key)
            del self.lengths[shape]
            self.order[shape[0]].remove(shape)
        return True

    def match(self, flow: Flow) -> Rule | None:
        """The rule a flow falls under, or None."""
        exemption: Rule | None = None
        for rule in self._fitting(flow):
            if exemption is None:
                if rule.standing is not Standing.EXEMPT:
                    return rule
                exemption = rule
            elif rule.standing is not Standing.EXEMPT and not rule.yields:
                return rule
        return exemption

    def _fitting(self, flow: Flow) -> Iterator[Rule]:
        version, src, dst = flow.src.version, int(flow.src), int(flow.dst)
        if flow.dst.version != version:
            return
        for shape in self.order.get(version, ()):
            group = self.lengths[shape]
            for rule in group.rules.get((src >> group.src_shift, dst >> group.dst_shift), ()):
                if rule.covers(flow):
                    yield rule

    def _group(self, key: FlowKey, *, make: bool = False) -> _Lengths | None:
        shape = _shape(key)
        group = self.lengths.get(shape)
        if group is None and make:
            width = key.src.max_prefixlen
            group = self.lengths[shape] = _Lengths(width - key.src.prefixlen, width - key.dst.prefixlen)
            insort(self.order.setdefault(shape[0], []), shape, key=lambda each: (-each[1], -each[2]))
        return group


def _shape(key: FlowKey) -> tuple[int, int, int]:
    if key.src.version != key.dst.version:
        raise ValueError(f"{key}: both nets must be of one family")
    return key.src.version, key.src.prefixlen, key.dst.prefixlen


def _bits(key: FlowKey, group: _Lengths) -> tuple[int, int]:
    return int(key.src.network_address) >> group.src_shift, int(key.dst.network_address) >> group.dst_shift
