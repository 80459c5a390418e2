# SPDX-License-Identifier: GPL-2.0-or-later
"""Which packets show whether what is protected stays off the wire: a few for each flow, from addresses inside it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from openswan.base.address import Address, Subnet
from openswan.base.numbers import IpProtocol
from openswan.policy.selector import FlowKey

DISCARD = 9
"""The port of RFC 863: whoever listens there throws away what comes."""
FROM = 33434
WIDE = {4: 8, 6: 16}
"""Nets of shorter prefixes hold places that are nobody's, or the link's; a documentation address stands for them."""
SOMEWHERE = tuple(
    map(ip_address, ("198.51.100.1", "203.0.113.1", "192.0.2.1", "2001:db8:ffff::1", "2001:db8:fffe::1", "3fff::1"))
)
"""RFC 5737, RFC 3849, RFC 9637."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One packet to send."""

    owner: str
    """The conn whose flow it belongs to,"""
    key: FlowKey
    """and that flow."""
    src: Address
    dst: Address
    protocol: int
    ports: tuple[int, int]
    """Source and destination."""
    device: str = ""
    """Through which it is to come in, as from a host behind this one; empty: this host sends it."""


def _hosts(net: Subnet) -> Iterator[Address]:
    """A few addresses of a net, those that hosts may have first."""
    last = net.num_addresses - 1
    for at in dict.fromkeys((last - 1, 1, last // 2, last, 0)):
        if 0 <= at <= last:
            yield net[at]


def _destination(key: FlowKey, avoid: Collection[Subnet]) -> Address | None:
    """An address of the far side that no other policy wants; None when all that were looked at are wanted by one."""
    wide = key.dst.prefixlen < WIDE[key.dst.version]
    named = [each for each in SOMEWHERE if each in key.dst] if wide else []
    hole = (key.src,) if key.src != key.dst and key.src[0] in key.dst and key.src[-1] in key.dst else ()
    taken = (*avoid, *hole)
    return next((each for each in named or _hosts(key.dst) if not any(each in net for net in taken)), None)


def probes(
    flows: Iterable[tuple[str, FlowKey]],
    own: Collection[Address],
    clear: Collection[Subnet],
    homes: Collection[tuple[Subnet, str]] = (),
) -> Iterator[Probe]:
    """Packets for each (conn, protected flow): UDP, TCP and an echo request where any protocol is protected.

    They come from an address of this host where the flow has one, and from that of a host behind it where `homes`, the
    (subnet, device) of its routes, say on which device such hosts are; where there is neither, this host stands in.
    Nothing is addressed to `own`, the host's addresses, or into nets that a policy lets pass in `clear`.
    """
    for owner, key in flows:
        dst = _destination(key, clear)
        if dst is None or dst in own:
            continue
        echo = IpProtocol.ICMP if key.src.version == 4 else IpProtocol.ICMP6
        for src, device in _sources(key, own, homes):
            for protocol in (key.protocol,) if key.protocol else (IpProtocol.UDP, IpProtocol.TCP, echo):
                if src != dst:
                    ports = (key.src_port or FROM, key.dst_port or DISCARD)
                    yield Probe(owner, key, src, dst, protocol, ports, device)


def _sources(
    key: FlowKey, own: Collection[Address], homes: Collection[tuple[Subnet, str]]
) -> Iterator[tuple[Address, str]]:
    mine = next((each for each in own if each in key.src), None)
    if mine is not None:
        yield mine, ""
    host = next((each for each in _inner(key, homes) if each not in own), None)
    device = _device(host, homes) if host is not None else ""
    if host is not None and device:
        yield host, device
    elif mine is None:
        yield next(_hosts(key.src)), ""


def _inner(key: FlowKey, homes: Collection[tuple[Subnet, str]]) -> Iterator[Address]:
    """Addresses of the near side: of the nets in it that have a device, if it is wider than they are."""
    inside = [net for net, _ in homes if net.version == key.src.version and net[0] in key.src and net[-1] in key.src]
    for net in inside or [key.src]:
        yield from _hosts(net)


def _device(host: Address, homes: Collection[tuple[Subnet, str]]) -> str:
    """Where the most specific route to a host leads; empty: there is none but a default one."""
    found = [(net.prefixlen, device) for net, device in homes if host in net]
    return max(found)[1] if found else ""
