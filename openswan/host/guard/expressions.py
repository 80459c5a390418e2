# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard's rules as nf_tables takes them, in tables of family inet and of family netdev."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import IpProtocol
from openswan.host import nfnetlink as nf
from openswan.host.guard.matches import (
    DEVICES,
    IKE_PORTS,
    SOURCE,
    STREAM_PORTS,
    Family,
    FromStreamPort,
    Guarded,
    HasSocket,
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
    Spared,
    Test,
    Through,
    ToIkePort,
    ToIkeStream,
    ToStreamPort,
    UdpPorts,
)
from openswan.host.guard.rules import Rule, field_order

FIRST = 8
"""NFT_REG32_00, the first of sixteen 32-bit registers."""
NFPROTO = {4: nf.NFPROTO_IPV4, 6: nf.NFPROTO_IPV6}
ETHERTYPE = {4: b"\x08\x00", 6: b"\x86\xdd"}
ADDRESS_SIZE = {4: 4, 6: 16}
ADDRESS_AT = {4: {"saddr": 12, "daddr": 16}, 6: {"saddr": 8, "daddr": 24}}
PROTOCOL_AT = {4: 9, 6: 6}
ICMP_HEADER = 8
TCP_FLAGS_AT = 13
SYN, SYN_ACK = b"\x02", b"\x12"
Versions: TypeAlias = Callable[[int], list[bytes]]
"""How the packet's IP version is asked for, which depends on the table's family."""


def by_nfproto(version: int) -> list[bytes]:
    """In tables of family inet."""
    return [nf.meta("nfproto", FIRST), nf.compare(FIRST, bytes((NFPROTO[version],)))]


def by_ethertype(version: int) -> list[bytes]:
    """In tables of family netdev, which take other packets than IP too."""
    return [nf.meta("protocol", FIRST), nf.compare(FIRST, ETHERTYPE[version])]


def _native(value: int) -> bytes:
    return struct.pack("=I", value)


def _protocol(number: int) -> list[bytes]:
    return [nf.meta("l4proto", FIRST), nf.compare(FIRST, bytes((number,)))]


def _through(test: Through, _versions: Versions) -> list[bytes]:
    return [nf.meta(test.key, FIRST), nf.lookup(DEVICES, FIRST)]


def _ours(_test: Ours, _versions: Versions) -> list[bytes]:
    return [nf.meta("iif", FIRST), nf.compare(FIRST, bytes(4))]


def _is_ours(marks: Marks) -> list[bytes]:
    """The register holds a mark with our bit."""
    return [nf.bitwise(FIRST, _native(marks.guard), bytes(4)), nf.compare(FIRST, _native(marks.own))]


def _marked(_test: Marked, marks: Marks) -> list[bytes]:
    return [nf.meta("mark", FIRST), *_is_ours(marks)]


def _spared(_test: Spared, marks: Marks) -> list[bytes]:
    mine = [nf.bitwise(FIRST, _native(marks.mask), bytes(4)), nf.compare(FIRST, _native(marks.spared))]
    return [nf.meta("mark", FIRST), *mine]


def _udp_ports(test: UdpPorts, _versions: Versions) -> list[bytes]:
    expressions = _protocol(IpProtocol.UDP)
    for offset, port in ((0, test.src), (2, test.dst)):
        expressions += [nf.payload("transport", offset, 2, FIRST), nf.compare(FIRST, port.to_bytes(2, "big"))]
    return expressions


def _to_ike_port(_test: ToIkePort, _versions: Versions) -> list[bytes]:
    return [*_protocol(IpProtocol.UDP), nf.payload("transport", 2, 2, FIRST), nf.lookup(IKE_PORTS, FIRST)]


def _to_stream_port(_test: ToStreamPort, _versions: Versions) -> list[bytes]:
    return [*_protocol(IpProtocol.TCP), nf.payload("transport", 2, 2, FIRST), nf.lookup(STREAM_PORTS, FIRST)]


def _own_stream(_test: OwnStream, marks: Marks) -> list[bytes]:
    from_peer = [nf.payload("transport", 0, 2, FIRST), nf.lookup(IKE_PORTS, FIRST)]
    return [*_protocol(IpProtocol.TCP), *from_peer, nf.socket_mark(FIRST), *_is_ours(marks)]


def _icmp_types(test: IcmpTypes, _versions: Versions) -> list[bytes]:
    number = IpProtocol.ICMP if test.version == 4 else IpProtocol.ICMP6
    expressions = [*_protocol(number), nf.payload("transport", 0, 1, FIRST)]
    if test.first == test.last:
        return [*expressions, nf.compare(FIRST, bytes((test.first,)))]
    return [*expressions, nf.compare(FIRST, bytes((test.first,)), ">="), nf.compare(FIRST, bytes((test.last,)), "<=")]


def _local(_test: Local, _versions: Versions) -> list[bytes]:
    return [nf.fib_type(FIRST), nf.compare(FIRST, _native(2))]  # RTN_LOCAL


def _later_fragment(test: LaterFragment, versions: Versions) -> list[bytes]:
    if test.version == 4:
        offset, mask = nf.payload("network", 6, 2, FIRST), b"\x1f\xff"
    else:
        offset, mask = nf.extension_header(IpProtocol.FRAGMENT, 2, 2, FIRST), b"\xff\xf8"
    return [*versions(test.version), offset, nf.bitwise(FIRST, mask, bytes(2)), nf.compare(FIRST, bytes(2), "!=")]


def _opening(_test: Opening, _versions: Versions) -> list[bytes]:
    flags = [nf.payload("transport", TCP_FLAGS_AT, 1, FIRST), nf.bitwise(FIRST, SYN_ACK, bytes(1))]
    return [*_protocol(IpProtocol.TCP), *flags, nf.compare(FIRST, SYN)]


def _guarded(test: Guarded, versions: Versions) -> list[bytes]:
    version, register = test.version, FIRST
    # The version is known here already; saying it again makes `nft list` show `ip saddr` and not an offset.
    expressions = [] if test.quoted else versions(version)
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


def _home(test: Home, versions: Versions) -> list[bytes]:
    size = ADDRESS_SIZE[test.version]
    destination = nf.payload("network", ADDRESS_AT[test.version]["daddr"], size, FIRST)
    second = "oifname" if test.set.startswith("home") else "l4proto"
    return [*versions(test.version), destination, nf.meta(second, FIRST + size // 4), nf.lookup(test.set, FIRST)]


def _hop_limit(test: HopLimit, versions: Versions) -> list[bytes]:
    return [*versions(6), nf.payload("network", 7, 1, FIRST), nf.compare(FIRST, bytes((test.value,)))]


def _has_socket(_test: HasSocket, _versions: Versions) -> list[bytes]:
    # Loading the owner fails where there is none; the comparison is for whoever lists the rule.
    return [nf.meta("skuid", FIRST), nf.compare(FIRST, bytes(4), ">=")]


def _to_ike_stream(_test: ToIkeStream, _versions: Versions) -> list[bytes]:
    return [*_protocol(IpProtocol.TCP), nf.payload("transport", 2, 2, FIRST), nf.lookup(IKE_PORTS, FIRST)]


def _from_stream_port(_test: FromStreamPort, _versions: Versions) -> list[bytes]:
    return [*_protocol(IpProtocol.TCP), nf.payload("transport", 0, 2, FIRST), nf.lookup(STREAM_PORTS, FIRST)]


COMPILE: dict[type[Any], Callable[[Any, Versions], list[bytes]]] = {
    Through: _through,
    Ours: _ours,
    Family: lambda test, versions: versions(test.version),
    Protocol: lambda test, _: _protocol(test.number),
    UdpPorts: _udp_ports,
    ToIkePort: _to_ike_port,
    ToStreamPort: _to_stream_port,
    IcmpTypes: _icmp_types,
    HopLimit: _hop_limit,
    Local: _local,
    LaterFragment: _later_fragment,
    Opening: _opening,
    Guarded: _guarded,
    Home: _home,
    HasSocket: _has_socket,
    ToIkeStream: _to_ike_stream,
    FromStreamPort: _from_stream_port,
}


BY_MARK: dict[type[Any], Callable[[Any, Marks], list[bytes]]] = {
    Marked: _marked,
    Spared: _spared,
    OwnStream: _own_stream,
}
"""Those that depend on where our bits are."""


def compile_test(test: Test, versions: Versions = by_nfproto, marks: Marks = DEFAULT_MARKS) -> list[bytes]:
    """The nf_tables expressions of one test."""
    by_mark = BY_MARK.get(type(test))
    return by_mark(test, marks) if by_mark is not None else COMPILE[type(test)](test, versions)


def compile_rule(rule: Rule, versions: Versions = by_nfproto, marks: Marks = DEFAULT_MARKS) -> list[bytes]:
    """The nf_tables expressions of a rule."""
    expressions = [expression for test in rule.tests for expression in compile_test(test, versions, marks)]
    if rule.action == "drop":
        return [*expressions, nf.count(rule.target), nf.verdict(nf.NF_DROP)]
    if rule.action == "mark":
        xor = (_native(0xFFFFFFFF & ~marks.guard), _native(marks.own))
        return [*expressions, nf.meta("mark", FIRST), nf.bitwise(FIRST, *xor), nf.meta_set_mark(FIRST)]
    if rule.action == "keep":
        version = int(rule.target)
        where = ADDRESS_AT[version]["saddr"]
        saddr = nf.payload("network", where, ADDRESS_SIZE[version], FIRST)
        return [*expressions, saddr, nf.snat_to(NFPROTO[version], FIRST)]
    code = {"accept": nf.NF_ACCEPT, "jump": nf.NFT_JUMP, "goto": nf.NFT_GOTO}[rule.action]
    return [*expressions, nf.verdict(code, rule.target)]
