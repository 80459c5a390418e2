# SPDX-License-Identifier: GPL-2.0-or-later
"""Between the plain data of openswan.plane and the tuples of octets _fast takes."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TypeAlias

from openswan.base.address import Address, Endpoint
from openswan.plane.commands import Encap
from openswan.policy.selector import FlowKey, Selector

RawKey: TypeAlias = tuple[int, bytes, int, bytes, int, int, int, int]
"""Version, source, its prefix length, destination, its prefix length, protocol, source port, destination port."""
RawFlow: TypeAlias = tuple[int, bytes, bytes, int, int, int]
"""Version, source, destination, protocol, source port, destination port."""
RawSelector: TypeAlias = tuple[int, int, bytes, bytes, bytes, bytes, int, int, int, int]
"""Version, protocol, first and last source, first and last destination, source ports, destination ports."""

RAW, IN_UDP, IN_STREAM = range(3)
"""What carries ESP, as _fast.types has it."""

RawPath: TypeAlias = tuple[int, bytes, int, bytes, int, int, int, int, int, int, bytes]
"""Version, local address and port, remote address and port, encapsulation (RAW, IN_UDP, IN_STREAM), socket slot or -1,
outer MTU or 0, the size IPv6 outer packets are cut to or 0, and interface and address of the next hop or 0 and none."""


def raw_key(key: FlowKey) -> RawKey:
    """An eroute's key as _fast takes it."""
    src, dst = key.src, key.dst
    return (
        src.version,
        src.network_address.packed,
        src.prefixlen,
        dst.network_address.packed,
        dst.prefixlen,
        key.protocol,
        key.src_port,
        key.dst_port,
    )


def flow_key(raw: RawKey) -> FlowKey:
    """The key behind _fast's tuple."""
    _, src, srclen, dst, dstlen, protocol, sport, dport = raw
    return FlowKey(ip_network((src, srclen)), ip_network((dst, dstlen)), protocol, sport, dport)


def raw_flow(key: FlowKey) -> RawFlow:
    """A concrete flow: the first address of each net, which for a host is the host."""
    return (
        key.src.version,
        key.src.network_address.packed,
        key.dst.network_address.packed,
        key.protocol,
        key.src_port,
        key.dst_port,
    )


def raw_selector(src: Selector, dst: Selector) -> RawSelector:
    """One allowed pair. The protocol is that of the side which names one."""
    return (
        src.first.version,
        src.protocol or dst.protocol,
        src.first.packed,
        src.last.packed,
        dst.first.packed,
        dst.last.packed,
        src.first_port,
        src.last_port,
        dst.first_port,
        dst.last_port,
    )


def endpoint(version_address_port: tuple[int, bytes, int]) -> Endpoint:
    """The endpoint behind _fast's tuple."""
    _, packed, port = version_address_port
    return Endpoint(address(packed), port)


def encapsulation(encap: Encap | None) -> int:
    """What carries an SA's ESP."""
    return RAW if encap is None else IN_STREAM if encap.stream else IN_UDP


def address(packed: bytes) -> Address:
    """An address from its 4 or 16 octets."""
    return ip_address(packed)
