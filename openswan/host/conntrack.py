# SPDX-License-Identifier: GPL-2.0-or-later
"""Connection tracking: forgetting flows that a new guard has made the tunnel's.

A flow that was translated before the guard came would keep its translation inside the tunnel, where no selector fits
it, and an offloaded flow would keep running past the guard. Numbers are those of linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable

from openswan.base.address import Subnet
from openswan.base.errors import HostError
from openswan.base.numbers import IKE_PORT, NATT_PORT, IpProtocol
from openswan.host.nlmsg import (
    NETLINK_NETFILTER,
    NLM_F_DUMP,
    Message,
    NetlinkSocket,
    attr,
    parse_attrs,
)

SUBSYS_CTNETLINK = 1
CT_GET, CT_DELETE = 1, 2
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ID = 1, 2, 12
CTA_TUPLE_IP, CTA_TUPLE_PROTO, CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT = 1, 2, 1, 2, 3
SOURCE = {socket.AF_INET: 1, socket.AF_INET6: 3}
"""CTA_IP_V4_SRC, CTA_IP_V6_SRC; the destination's number is one more."""
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
OUR_PORTS = {IKE_PORT, NATT_PORT}
NESTED = 0x8000


class Conntrack:
    """Deletes conntrack entries. A kernel without conntrack has none, which is fine."""

    def flush(self, pairs: Iterable[tuple[Subnet, Subnet]]) -> int:
        """Delete the entries whose flow, translated or not, in either direction, lies in one of `pairs`; how many.

        IKE and ESP themselves are left alone: they are what protects, and a stateful firewall must go on knowing them.
        HostError when the kernel refuses.
        """
        wanted = list(pairs)
        deleted = 0
        for version in sorted({subnet.version for subnet, _ in wanted}):
            flows = Flows((a, b) for a, b in wanted if a.version == version)
            try:
                with NetlinkSocket(NETLINK_NETFILTER) as netlink:
                    deleted += _flush(netlink, FAMILY[version], flows)
            except OSError as why:
                if why.errno not in (errno.EINVAL, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP):
                    raise HostError(f"connection tracking: {why.strerror}") from None
        return deleted


def _span(subnet: Subnet) -> tuple[int, int]:
    return int(subnet.network_address), int(subnet.broadcast_address)


class Flows:
    """Pairs of subnets. Those of two hosts, of which there may be hundreds, are one look-up together."""

    def __init__(self, pairs: Iterable[tuple[Subnet, Subnet]]) -> None:
        spans = [(_span(a), _span(b)) for a, b in pairs]
        self._hosts = {(a[0], b[0]) for a, b in spans if a[0] == a[1] and b[0] == b[1]}
        self._wide = [(a, b) for a, b in spans if a[0] != a[1] or b[0] != b[1]]

    def hold(self, one: int, other: int) -> bool:
        """Do packets between two hosts, whichever way, lie in one of them?"""
        if (one, other) in self._hosts or (other, one) in self._hosts:
            return True
        return any(_in(one, other, pair) or _in(other, one, pair) for pair in self._wide)


def _head(family: int) -> bytes:
    return struct.pack(">BBH", family, 0, 0)


def _flush(netlink: NetlinkSocket, family: int, flows: Flows) -> int:
    deletions = []
    for _, body in netlink.ask(Message((SUBSYS_CTNETLINK << 8) | CT_GET, NLM_F_DUMP, _head(family))):
        attrs = dict(parse_attrs(body[4:]))
        if CTA_TUPLE_ORIG not in attrs or CTA_TUPLE_REPLY not in attrs or body[0] != family:
            continue
        ends = [_ends(attrs[which], family) for which in (CTA_TUPLE_ORIG, CTA_TUPLE_REPLY)]
        if any(flows.hold(src, dst) for src, dst in ends) and not _carries_ours(attrs[CTA_TUPLE_ORIG]):
            body_of_delete = _head(family) + attr(CTA_TUPLE_ORIG | NESTED, bytes(attrs[CTA_TUPLE_ORIG]))
            if CTA_ID in attrs:
                body_of_delete += attr(CTA_ID, bytes(attrs[CTA_ID]))
            deletions.append(Message((SUBSYS_CTNETLINK << 8) | CT_DELETE, 0, body_of_delete))
    for refusal in netlink.send(deletions):
        if refusal.error != errno.ENOENT:  # it has expired by itself
            raise OSError(refusal.error, str(refusal))
    return len(deletions)


def _ends(entry: memoryview, family: int) -> tuple[int, int]:
    ip = dict(parse_attrs(dict(parse_attrs(entry))[CTA_TUPLE_IP]))
    source = SOURCE[socket.AddressFamily(family)]
    return int.from_bytes(ip[source], "big"), int.from_bytes(ip[source + 1], "big")


def _in(one: int, other: int, pair: tuple[tuple[int, int], tuple[int, int]]) -> bool:
    (a, b), (c, d) = pair
    return a <= one <= b and c <= other <= d


def _carries_ours(entry: memoryview) -> bool:
    proto = dict(parse_attrs(dict(parse_attrs(entry)).get(CTA_TUPLE_PROTO, memoryview(b""))))
    number = proto[CTA_PROTO_NUM][0] if CTA_PROTO_NUM in proto else 0
    if number in (IpProtocol.ESP, IpProtocol.AH, IpProtocol.COMP):
        return True
    ports = {int.from_bytes(proto.get(which, b""), "big") for which in (CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT)}
    return number == IpProtocol.UDP and bool(ports & OUR_PORTS)
