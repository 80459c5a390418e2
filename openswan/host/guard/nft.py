# SPDX-License-Identifier: GPL-2.0-or-later
"""The nftables back end: one table of our own, owned by this process and persistent where the kernel knows how (6.9).

An owned table resists `nft flush ruleset`; a persistent one outlives its owner's death and can be adopted by the next.
Every change is one batch that the kernel takes whole or not at all, so there is never a moment without.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from openswan.base.errors import HostError
from openswan.base.numbers import IKE_PORT, NATT_PORT, IpProtocol
from openswan.host import nfnetlink as nf
from openswan.host.guard.boxes import Box
from openswan.host.guard.model import Change, Element, GuardModel
from openswan.host.guard.rules import (
    CHAINS,
    COUNTERS,
    MARK,
    MASK,
    NAT_CHAINS,
    SOURCE,
    TABLE,
    Chain,
    Family,
    Guarded,
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
    Rule,
    Test,
    Through,
    ToIkePort,
    ToStreamPort,
    UdpPorts,
    field_order,
    home_names,
    open_name,
    set_names,
)
from openswan.host.nlmsg import Message

DEVICES, IKE_PORTS, STREAM_PORTS = "interfaces", "ikeports", "streamports"
FIRST = 8
"""NFT_REG32_00, the first of sixteen 32-bit registers."""
NFPROTO = {4: nf.NFPROTO_IPV4, 6: nf.NFPROTO_IPV6}
ADDRESS_SIZE = {4: 4, 6: 16}
ADDRESS_AT = {4: {"saddr": 12, "daddr": 16}, 6: {"saddr": 8, "daddr": 24}}
PROTOCOL_AT = {4: 9, 6: 6}
ICMP_HEADER = 8
SIZES = {"proto": 1, "rport": 2, "lport": 2, "device": 16}
ALL_SETS = tuple(name for version in (4, 6) for name in (*set_names(version), open_name(version), *home_names(version)))
TCP_FLAGS_AT = 13
SYN, SYN_ACK = b"\x02", b"\x12"


def set_type(name: str) -> nf.SetType:
    """Datatypes and sizes of a selector set's key."""
    address = nf.IPV4 if name.endswith("4") else nf.IPV6
    kinds = {"remote": address, "local": address, "proto": nf.PROTO, "device": nf.IFNAME}
    kinds |= {"rport": nf.SERVICE, "lport": nf.SERVICE}
    return nf.SetType(tuple(kinds[field] for field in field_order(name)), interval=True)


def pack_key(name: str, box: Box) -> tuple[bytes, bytes]:
    """First and last key of an element, network byte order, fields padded to four octets."""
    version = 4 if name.endswith("4") else 6
    ends = []
    for which in (0, 1):
        parts = []
        for field, span in zip(field_order(name), box, strict=True):
            octets = span[which].to_bytes(SIZES.get(field, ADDRESS_SIZE[version]), "big")
            parts.append(octets + bytes(-len(octets) & 3))
        ends.append(b"".join(parts))
    return ends[0], ends[1]


def _port_keys(ports: Iterable[int]) -> Iterator[tuple[bytes, bytes | None]]:
    return ((port.to_bytes(2, "big"), None) for port in ports)


def device_key(name: str) -> bytes:
    """An interface name as a set holds it."""
    return name.encode().ljust(16, b"\0")


def _native(value: int) -> bytes:
    return struct.pack("=I", value)


def _protocol(number: int) -> list[bytes]:
    return [nf.meta("l4proto", FIRST), nf.compare(FIRST, bytes((number,)))]


def _family(version: int) -> list[bytes]:
    return [nf.meta("nfproto", FIRST), nf.compare(FIRST, bytes((NFPROTO[version],)))]


def _through(test: Through) -> list[bytes]:
    return [nf.meta(test.key, FIRST), nf.lookup(DEVICES, FIRST)]


def _ours(_test: Ours) -> list[bytes]:
    return [nf.meta("iif", FIRST), nf.compare(FIRST, bytes(4))]


IS_OURS = [nf.bitwise(FIRST, _native(MASK), bytes(4)), nf.compare(FIRST, _native(MARK))]
"""The register holds a mark with our bit."""


def _marked(_test: Marked) -> list[bytes]:
    return [nf.meta("mark", FIRST), *IS_OURS]


def _udp_ports(test: UdpPorts) -> list[bytes]:
    expressions = _protocol(IpProtocol.UDP)
    for offset, port in ((0, test.src), (2, test.dst)):
        expressions += [nf.payload("transport", offset, 2, FIRST), nf.compare(FIRST, port.to_bytes(2, "big"))]
    return expressions


def _to_ike_port(_test: ToIkePort) -> list[bytes]:
    return [*_protocol(IpProtocol.UDP), nf.payload("transport", 2, 2, FIRST), nf.lookup(IKE_PORTS, FIRST)]


def _to_stream_port(_test: ToStreamPort) -> list[bytes]:
    return [*_protocol(IpProtocol.TCP), nf.payload("transport", 2, 2, FIRST), nf.lookup(STREAM_PORTS, FIRST)]


def _own_stream(_test: OwnStream) -> list[bytes]:
    from_peer = [nf.payload("transport", 0, 2, FIRST), nf.lookup(IKE_PORTS, FIRST)]
    return [*_protocol(IpProtocol.TCP), *from_peer, nf.socket_mark(FIRST), *IS_OURS]


def _icmp_types(test: IcmpTypes) -> list[bytes]:
    number = IpProtocol.ICMP if test.version == 4 else IpProtocol.ICMP6
    expressions = [*_protocol(number), nf.payload("transport", 0, 1, FIRST)]
    if test.first == test.last:
        return [*expressions, nf.compare(FIRST, bytes((test.first,)))]
    return [*expressions, nf.compare(FIRST, bytes((test.first,)), ">="), nf.compare(FIRST, bytes((test.last,)), "<=")]


def _local(_test: Local) -> list[bytes]:
    return [nf.fib_type(FIRST), nf.compare(FIRST, _native(2))]  # RTN_LOCAL


def _later_fragment(test: LaterFragment) -> list[bytes]:
    if test.version == 4:
        offset, mask = nf.payload("network", 6, 2, FIRST), b"\x1f\xff"
    else:
        offset, mask = nf.extension_header(IpProtocol.FRAGMENT, 2, 2, FIRST), b"\xff\xf8"
    return [*_family(test.version), offset, nf.bitwise(FIRST, mask, bytes(2)), nf.compare(FIRST, bytes(2), "!=")]


def _opening(_test: Opening) -> list[bytes]:
    flags = [nf.payload("transport", TCP_FLAGS_AT, 1, FIRST), nf.bitwise(FIRST, SYN_ACK, bytes(1))]
    return [*_protocol(IpProtocol.TCP), *flags, nf.compare(FIRST, SYN)]


def _guarded(test: Guarded) -> list[bytes]:
    version, register = test.version, FIRST
    # The version is known here already; saying it again makes `nft list` show `ip saddr` and not an offset.
    expressions = [] if test.quoted else _family(version)
    base, start = ("transport", ICMP_HEADER) if test.quoted else ("network", 0)
    remote_is_source = test.remote == SOURCE
    addresses = {"remote": test.remote, "local": "daddr" if remote_is_source else "saddr"}
    ports = {"rport": 0 if remote_is_source else 2, "lport": 2 if remote_is_source else 0}
    for field in field_order(test.set):
        if field in addresses:
            size = ADDRESS_SIZE[version]
            expressions.append(nf.payload(base, start + ADDRESS_AT[version][addresses[field]], size, register))
            register += size // 4
            continue
        if field in ports:
            expressions.append(nf.payload("transport", ports[field], 2, register))
        elif test.quoted:
            expressions.append(nf.payload(base, start + PROTOCOL_AT[version], 1, register))
        else:
            expressions.append(nf.meta("l4proto", register))
        register += 1
    return [*expressions, nf.lookup(test.set, FIRST)]


def _home(test: Home) -> list[bytes]:
    size = ADDRESS_SIZE[test.version]
    destination = nf.payload("network", ADDRESS_AT[test.version]["daddr"], size, FIRST)
    second = "oifname" if test.set.startswith("home") else "l4proto"
    return [*_family(test.version), destination, nf.meta(second, FIRST + size // 4), nf.lookup(test.set, FIRST)]


COMPILE: dict[type[Any], Callable[[Any], list[bytes]]] = {
    Through: _through,
    Ours: _ours,
    Marked: _marked,
    Family: lambda test: _family(test.version),
    Protocol: lambda test: _protocol(test.number),
    UdpPorts: _udp_ports,
    ToIkePort: _to_ike_port,
    ToStreamPort: _to_stream_port,
    OwnStream: _own_stream,
    IcmpTypes: _icmp_types,
    HopLimit: lambda test: [*_family(6), nf.payload("network", 7, 1, FIRST), nf.compare(FIRST, bytes((test.value,)))],
    Local: _local,
    LaterFragment: _later_fragment,
    Opening: _opening,
    Guarded: _guarded,
    Home: _home,
}


def compile_test(test: Test) -> list[bytes]:
    """The nf_tables expressions of one test."""
    return COMPILE[type(test)](test)


def compile_rule(rule: Rule) -> list[bytes]:
    """The nf_tables expressions of a rule."""
    expressions = [expression for test in rule.tests for expression in compile_test(test)]
    if rule.action == "drop":
        return [*expressions, nf.count(rule.target), nf.verdict(nf.NF_DROP)]
    if rule.action == "mark":
        xor = (_native(0xFFFFFFFF & ~MASK), _native(MARK))
        return [*expressions, nf.meta("mark", FIRST), nf.bitwise(FIRST, *xor), nf.meta_set_mark(FIRST)]
    if rule.action == "keep":
        version = int(rule.target)
        where = ADDRESS_AT[version]["saddr"]
        saddr = nf.payload("network", where, ADDRESS_SIZE[version], FIRST)
        return [*expressions, saddr, nf.snat_to(NFPROTO[version], FIRST)]
    code = {"accept": nf.NF_ACCEPT, "jump": nf.NFT_JUMP, "goto": nf.NFT_GOTO}[rule.action]
    return [*expressions, nf.verdict(code, rule.target)]


FINGERPRINT = hashlib.sha256(repr((CHAINS, sys.byteorder)).encode()).hexdigest()[:16]
"""Changes with the rules: a table left by another version of them is replaced, not adopted."""


class NftBackend:
    """Holds the netlink socket that owns the table. HostError when the kernel has no nf_tables or we may not use it."""

    name = "nft"

    def __init__(self, ike_ports: Iterable[int] = (IKE_PORT, NATT_PORT), stream_ports: Iterable[int] = ()) -> None:
        self.ports, self.stream_ports = frozenset(ike_ports), frozenset(stream_ports)
        self.sockets = True
        """Does the kernel know whose socket a packet is for (nft_socket)?"""
        self.nft = nf.Nftables(TABLE)
        self.flags = nf.TABLE_OWNER | nf.TABLE_PERSIST
        self.nat = False
        try:
            self.nft.rule_counts()
        except OSError as why:
            self.nft.close()
            raise HostError(f"nftables is not available: {why.strerror}") from None

    def close(self) -> None:
        """Let go of the table without touching it."""
        self.nft.close()

    @property
    def portid(self) -> int:
        """Our netlink address: events that carry it are our own doing."""
        return self.nft.socket.portid

    def load(self, model: GuardModel) -> None:
        """Make the kernel hold exactly the model: adopt what a predecessor left and change only what differs."""
        info = self.nft.table_info()
        if info is not None and info[1] == FINGERPRINT and self._adopt(model, info[0]):
            return
        foreign_nat = self.nft.foreign_nat_chains()
        while True:
            old = [self.nft.delete_table()] if info is not None else []
            try:
                self.nft.commit([*old, *self._everything(model, foreign_nat)])
            except HostError as why:
                cause = why.__cause__
                if self.flags and isinstance(cause, OSError) and cause.errno in (22, 95):  # EINVAL, EOPNOTSUPP
                    self.flags = 0  # a kernel before 6.9: a plain table, watched instead
                    continue
                if self.sockets and isinstance(cause, FileNotFoundError):
                    self.sockets = False  # streams between addresses that are guarded themselves will not work
                    continue
                if info is not None and info[0] & nf.TABLE_OWNER and isinstance(cause, PermissionError):
                    raise HostError(f"table inet {TABLE} belongs to another process: is a pluto running here?") from why
                raise
            self.nat = foreign_nat
            return

    def _adopt(self, model: GuardModel, flags: int) -> bool:
        """Take an orphan over as it stands, then make good the difference; False when it must be replaced."""
        try:
            if flags & nf.TABLE_PERSIST:
                self.nft.commit([self.nft.new_table(self.flags)])
            else:
                self.flags = flags
            if not self._complete():
                return False
            self.nat = "keep" in self.nft.rule_counts()
            self.nft.commit(self._difference(model))
        except (HostError, OSError):
            return False
        return True

    def apply(self, change: Change) -> None:
        """Carry a change out, atomically."""
        self.nft.commit(self._messages(change))

    def check(self, model: GuardModel) -> bool:
        """Does the kernel hold exactly what the model says?"""
        try:
            info = self.nft.table_info()
            return (
                info is not None
                and info[1] == FINGERPRINT
                and self._complete()
                and next(self._difference(model), None) is None
            )
        except OSError:
            return False

    def clear(self) -> None:
        """Delete the table."""
        if self.nft.table_info() is not None:
            self.nft.commit([self.nft.delete_table()])

    def follow_nat(self) -> None:
        """Have the NAT exemption exactly while somebody else translates sources."""
        wanted = self.nft.foreign_nat_chains()
        if wanted == self.nat:
            return
        if wanted:
            self.nft.commit(self._chains(NAT_CHAINS))
        else:
            names = [chain.name for chain in reversed(NAT_CHAINS)]
            self.nft.commit(
                [*(self.nft.flush_chain(name) for name in names), *(self.nft.delete_chain(name) for name in names)]
            )
        self.nat = wanted

    def counters(self) -> dict[str, int]:
        """Packets dropped, by counter name."""
        try:
            return {name: packets for name, (packets, _) in self.nft.dump_counters().items()}
        except OSError:
            return {}

    def _complete(self) -> bool:
        counts = self.nft.rule_counts()
        return all(counts.get(chain.name) == len(list(self._rules(chain))) for chain in CHAINS)

    def _everything(self, model: GuardModel, foreign_nat: bool) -> Iterator[Message]:
        nft = self.nft
        yield nft.new_table(self.flags, FINGERPRINT)
        yield from (nft.counter(name) for name in COUNTERS)
        yield nft.new_set(DEVICES, 1, nf.SetType((nf.IFNAME,)))
        yield nft.new_set(IKE_PORTS, 2, nf.SetType((nf.SERVICE,)))
        yield nft.new_set(STREAM_PORTS, 3, nf.SetType((nf.SERVICE,)))
        for number, name in enumerate(ALL_SETS, 4):
            yield nft.new_set(name, number, set_type(name))
        # Full sets before the chains that look into them, so that no packet meets an empty one.
        everything = Change(add=model.elements(), devices_add=model.devices())
        yield from self._messages(everything)
        yield from nft.elements(IKE_PORTS, sorted(_port_keys(self.ports)))
        yield from nft.elements(STREAM_PORTS, sorted(_port_keys(self.stream_ports)))
        yield from self._chains(CHAINS)
        if foreign_nat:
            yield from self._chains(NAT_CHAINS)

    def _chains(self, chains: Iterable[Chain]) -> Iterator[Message]:
        for chain in chains:
            if chain.hook:
                yield self.nft.base_chain(chain.name, chain.kind, chain.hook, chain.priority)
            else:
                yield self.nft.chain(chain.name)
            yield from (self.nft.rule(chain.name, compile_rule(rule)) for rule in self._rules(chain))

    def _rules(self, chain: Chain) -> Iterator[Rule]:
        """Those this kernel can have."""
        return (rule for rule in chain.rules if self.sockets or OwnStream() not in rule.tests)

    def _messages(self, change: Change) -> Iterator[Message]:
        yield from self.nft.elements(DEVICES, ((device_key(name), None) for name in sorted(change.devices_add)))
        yield from self._elements(change.remove, delete=True)
        yield from self._elements(change.add)
        yield from self.nft.elements(
            DEVICES, ((device_key(name), None) for name in sorted(change.devices_remove)), True
        )

    def _elements(self, elements: Iterable[Element], delete: bool = False) -> Iterator[Message]:
        by_set: dict[str, list[tuple[bytes, bytes | None]]] = {}
        for name, box in elements:
            by_set.setdefault(name, []).append(pack_key(name, box))
        for name in sorted(by_set):
            yield from self.nft.elements(name, by_set[name], delete)

    def _difference(self, model: GuardModel) -> Iterator[Message]:
        """What would bring the kernel's sets in line with the model."""
        wanted: dict[str, set[tuple[bytes, bytes | None]]] = {name: set() for name in ALL_SETS}
        for name, box in model.elements():
            wanted[name].add(pack_key(name, box))
        wanted[DEVICES] = {(device_key(name), None) for name in model.devices()}
        wanted[IKE_PORTS] = set(_port_keys(self.ports))
        wanted[STREAM_PORTS] = set(_port_keys(self.stream_ports))
        for name, keys in wanted.items():
            held = self.nft.dump_elements(name)
            yield from self.nft.elements(name, held - keys, delete=True)
            yield from self.nft.elements(name, keys - held)
