# SPDX-License-Identifier: GPL-2.0-or-later
"""Openings in other people's nft tables.

An accept ends one base chain, and the kernel goes on to the next: no table of our own can save a packet from the drop
of another. So in each table that drops there is a chain of ours, and the base chains that drop call it first. A chain
that lets everything through is left alone, what it counts or changes stays as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from openswan.base.address import Subnet
from openswan.base.errors import HostError
from openswan.host import nfnetlink as nf
from openswan.host.nlmsg import NLM_F_DUMP, Message, parse_attrs
from openswan.host.openings.model import CHAINS, REMARK, Accept, Opening, by_hook

OWN = "openswan"
"""What names of tables of ours begin with."""
FAMILIES = {nf.NFPROTO_INET: ("inet", (4, 6)), nf.NFPROTO_IPV4: ("ip", (4,)), nf.NFPROTO_IPV6: ("ip6", (6,))}
IPTABLES = ("filter", "mangle", "raw", "security", "nat")
"""Tables of iptables, in upper case chains; they are its tool's to change."""
HOOKS = {nf.HOOKS[hook]: hook for hook in CHAINS}
FIRST = 8
"""NFT_REG32_00."""
HANDS_ON = ("reject", "queue", "target")
"""Expressions that drop, or may. `target` is one of iptables', REJECT perhaps."""


@dataclass(slots=True)
class ForeignTable:
    """One table as it is."""

    family: int
    name: str
    bases: dict[str, str] = field(default_factory=dict)
    """Chains of type filter that the kernel calls, and where: forward, input or output."""
    droppers: set[str] = field(default_factory=set)
    """Those of them that may drop."""
    ours: dict[str, int] = field(default_factory=dict)
    """Our chains in it, and how many rules each has."""
    jumps: dict[str, list[int]] = field(default_factory=dict)
    """Handles of the rules that call them, by chain."""

    def __str__(self) -> str:
        return f"the nft table {FAMILIES[self.family][0]} {self.name}"

    @property
    def of_iptables(self) -> bool:
        """Is it one that iptables made (and its tool would not understand what we put into it)?"""
        return self.family != nf.NFPROTO_INET and self.name in IPTABLES and all(map(str.isupper, self.bases))

    def check(self, openings: Sequence[Opening]) -> bool:
        """Are the rules there, and called?"""
        wanted = by_hook(openings, FAMILIES[self.family][1])
        for hook, chain in CHAINS.items():
            bases = self._closed(hook) if wanted[hook] else set()
            if self.ours.get(chain) != (len(wanted[hook]) if bases else None):
                return False
            if bases != {base for base in self.jumps if self.bases[base] == hook}:
                return False
        return True

    def load(self, openings: Sequence[Opening]) -> None:
        """Have exactly these openings, in one step; HostError."""
        nft = nf.Nftables(self.name, family=self.family)
        try:
            nft.commit(self._change(nft, by_hook(openings, FAMILIES[self.family][1])))
        except HostError as why:
            if isinstance(why.__cause__, PermissionError):
                raise HostError("it belongs to another process, whose own settings have to open it") from None
            raise
        finally:
            nft.close()

    def _closed(self, hook: str) -> set[str]:
        return {base for base in self.droppers if self.bases[base] == hook}

    def _change(self, nft: nf.Nftables, wanted: dict[str, list[Accept]]) -> Iterator[Message]:
        for hook, chain in CHAINS.items():
            bases = self._closed(hook) if wanted[hook] else set()
            if bases:
                yield nft.chain(chain)
                yield nft.flush_chain(chain)
                yield from (nft.rule(chain, expressions(accept, self.family), accept.remark) for accept in wanted[hook])
            for base in sorted(base for base, at in self.bases.items() if at == hook):
                handles = self.jumps.get(base, [])
                if base in bases and not handles:
                    yield nft.rule(base, [nf.verdict(nf.NFT_JUMP, chain)], REMARK, first=True)
                elif base not in bases:
                    yield from (nft.delete_rule(base, handle) for handle in handles)
            if not bases and chain in self.ours:
                yield nft.flush_chain(chain)
                yield nft.delete_chain(chain)


def expressions(accept: Accept, family: int) -> Iterator[bytes]:
    """The rule as the kernel has it, in the order in which nft itself would write it."""
    version = accept.source.version
    yield from (nf.meta(accept.way, FIRST), nf.compare(FIRST, nf.device_key(accept.device)))
    if family == nf.NFPROTO_INET:
        number = nf.NFPROTO_IPV4 if version == 4 else nf.NFPROTO_IPV6
        yield from (nf.meta("nfproto", FIRST), nf.compare(FIRST, bytes((number,))))
    source, target = (12, 16) if version == 4 else (8, 24)
    yield from _within(accept.source, source)
    yield from _within(accept.target, target)
    if accept.protocol:
        yield from (nf.meta("l4proto", FIRST), nf.compare(FIRST, bytes((accept.protocol,))))
    for offset, number in enumerate(accept.icmp or ()):
        yield from (nf.payload("transport", offset, 1, FIRST), nf.compare(FIRST, bytes((number,))))
    for offset, port in ((0, accept.source_port), (2, accept.target_port)):
        if port:
            yield from (nf.payload("transport", offset, 2, FIRST), nf.compare(FIRST, port.to_bytes(2, "big")))
    yield nf.verdict(nf.NF_ACCEPT)


def _within(subnet: Subnet, offset: int) -> Iterator[bytes]:
    if not subnet.prefixlen:
        return
    mask = subnet.netmask.packed
    yield nf.payload("network", offset, len(mask), FIRST)
    if subnet.prefixlen < subnet.max_prefixlen:
        yield nf.bitwise(FIRST, mask, bytes(len(mask)))
    yield nf.compare(FIRST, subnet.network_address.packed)


def foreign_tables() -> list[ForeignTable]:
    """Other people's tables that filter what is forwarded, received or sent; none where there is no nf_tables."""
    nft = nf.Nftables(OWN)
    try:
        tables = _chains(nft)
        for _, body in nft.socket.ask(_dump(nf.GETRULE)):
            _note_rule(tables, body)
    except OSError:
        return []
    finally:
        nft.close()
    return [table for table in tables.values() if table.bases]


Tables = dict[tuple[int, str], ForeignTable]


def _dump(kind: int) -> Message:
    """Ask for everything of a kind, of all tables of all families."""
    return Message((nf.SUBSYS_NFTABLES << 8) | kind, NLM_F_DUMP, bytes(4))


def _chains(nft: nf.Nftables) -> Tables:
    tables: Tables = {}
    for _, body in nft.socket.ask(_dump(nf.GETCHAIN)):
        family, parts = body[0], dict(parse_attrs(body[4:]))
        table, chain = _text(parts[1]), _text(parts[3])
        if family not in FAMILIES or table.startswith(OWN):
            continue
        it = tables.setdefault((family, table), ForeignTable(family, table))
        if chain in CHAINS.values():
            it.ours[chain] = 0
        hook = dict(parse_attrs(parts[4])).get(1, b"") if 4 in parts else b""
        where = HOOKS.get(int.from_bytes(hook, "big")) if hook else None
        if where is not None and _text(parts.get(7, b"")) == "filter":
            it.bases[chain] = where
            if int.from_bytes(parts.get(5, b""), "big") == nf.NF_DROP:
                it.droppers.add(chain)
    return tables


def _note_rule(tables: Tables, body: bytes) -> None:
    parts = dict(parse_attrs(body[4:]))
    table, chain = tables.get((body[0], _text(parts[1]))), _text(parts[2])
    if table is None:
        return
    if chain in table.ours:
        table.ours[chain] += 1
    if chain not in table.bases:
        return
    for _, one in parse_attrs(parts.get(4, b"")):
        name, data = _expression(one)
        code, target = _verdict(data) if name == "immediate" else (None, "")
        if target in CHAINS.values():
            table.jumps.setdefault(chain, []).append(int.from_bytes(parts[3], "big"))
        elif name in HANDS_ON or code not in (None, nf.NF_ACCEPT, nf.NFT_RETURN) or _maps_to_verdicts(name, data):
            table.droppers.add(chain)


Attributes = dict[int, memoryview]


def _expression(one: memoryview) -> tuple[str, Attributes]:
    parts = dict(parse_attrs(one))
    return _text(parts[1]), dict(parse_attrs(parts.get(2, memoryview(b""))))


def _verdict(data: Attributes) -> tuple[int | None, str]:
    """Code and chain of an immediate verdict; (None, "") when it loads something else."""
    parts = dict(parse_attrs(dict(parse_attrs(data.get(2, b""))).get(2, b"")))
    if 1 not in parts:
        return None, ""
    return struct.unpack(">i", parts[1])[0], _text(parts.get(2, b""))


def _maps_to_verdicts(name: str, data: Attributes) -> bool:
    return name == "lookup" and 3 in data and not any(data[3])


def _text(value: bytes | memoryview) -> str:
    return bytes(value).rstrip(b"\0").decode(errors="replace")
