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
    flows: Iterable[tuple[str, FlowKey]], own: Collection[Address], clear: Collection[Subnet]
) -> Iterator[Probe]:
    """Packets for each (conn, protected flow): UDP, TCP and an echo request where any protocol is protected.

    The source is an address of this host where the flow has one, else that of a host behind it. Nothing is addressed
    to `own`, the host's addresses, or into nets that a policy lets pass in `clear`.
    """
    for owner, key in flows:
        dst = _destination(key, clear)
        src = next((each for each in own if each in key.src), None) or next(_hosts(key.src))
        if dst is None or dst in own or dst == src:
            continue
        echo = IpProtocol.ICMP if key.src.version == 4 else IpProtocol.ICMP6
        for protocol in (key.protocol,) if key.protocol else (IpProtocol.UDP, IpProtocol.TCP, echo):
            yield Probe(owner, key, src, dst, protocol, (key.src_port or FROM, key.dst_port or DISCARD))
