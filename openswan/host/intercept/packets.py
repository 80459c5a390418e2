# SPDX-License-Identifier: GPL-2.0-or-later
"""Words of the rules of interception: where addresses stand in a packet, and what it is asked for."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from openswan.base.marks import Marks
from openswan.base.numbers import IKE_PORT, NATT_PORT, IpProtocol
from openswan.host import nfnetlink as nf
from openswan.host.intercept.holding import Hosts

R = 8
"""NFT_REG32_00, the first of sixteen 32-bit registers."""


@dataclass(frozen=True, slots=True)
class Addressing:
    """Where addresses stand in a packet of one family."""

    version: int

    @property
    def size(self) -> int:
        """Octets of an address."""
        return 4 if self.version == 4 else 16

    @property
    def kind(self) -> tuple[int, int]:
        """nft's datatype."""
        return nf.IPV4 if self.version == 4 else nf.IPV6

    def source(self, register: int = R) -> bytes:
        """Load the source address."""
        return nf.payload("network", 12 if self.version == 4 else 8, self.size, register)

    def destination(self, register: int = R) -> bytes:
        """Load the destination address."""
        return nf.payload("network", 16 if self.version == 4 else 24, self.size, register)

    @property
    def after(self) -> int:
        """The register behind two addresses."""
        return R + self.size // 2

    def outward(self) -> list[bytes]:
        """Load a pair as it is seen outbound, of an outbound packet,"""
        return [self.source(), self.destination(R + self.size // 4)]

    def inward(self) -> list[bytes]:
        """and of an inbound one."""
        return [self.destination(), self.source(R + self.size // 4)]

    def key(self, hosts: Hosts) -> bytes:
        """A pair as the sets hold it."""
        return hosts[0].packed + hosts[1].packed


def native(value: int) -> bytes:
    """A mark in a register, or as a map's data."""
    return struct.pack("=I", value)


ACCEPT, DROP = nf.verdict(nf.NF_ACCEPT), nf.verdict(nf.NF_DROP)


def set_mark(marks: Marks, value: int) -> list[bytes]:
    """Write our bits of the mark, and leave others' alone."""
    bits = nf.bitwise(R, native(marks.others), native(value))
    return [nf.meta("mark", R), bits, nf.meta_set_mark(R)]


def marked(value: int, mask: int) -> list[bytes]:
    """Go on only with that mark."""
    return [nf.meta("mark", R), nf.bitwise(R, native(mask), native(0)), nf.compare(R, native(value))]


def protocol(number: int) -> list[bytes]:
    """Go on only with that protocol."""
    return [nf.meta("l4proto", R), nf.compare(R, bytes((number,)))]


def icmp(number: int, first: int, last: int) -> list[bytes]:
    """ICMP of that protocol number, of these types."""
    kind = nf.payload("transport", 0, 1, R)
    return [*protocol(number), kind, nf.compare(R, bytes((first,)), ">="), nf.compare(R, bytes((last,)), "<=")]


def tcp(*flags: int) -> list[bytes]:
    """TCP with all of these flags."""
    wanted = bytes((sum(flags),))
    found = [nf.payload("transport", 13, 1, R), nf.bitwise(R, wanted, bytes(1)), nf.compare(R, wanted)]
    return [*protocol(IpProtocol.TCP), *found]


def of_its_own(version: int) -> tuple[list[bytes], ...]:
    """ESP, and IKE and ESP in UDP from and to one of their ports: what a host sends that encrypts for itself.

    Each is a rule's beginning. Later fragments of UDP have no ports, whatever stands where those would be; of IPv6 only
    what has no extension headers is taken.
    """
    first = [nf.payload("network", 6, 2, R), nf.bitwise(R, b"\x1f\xff", bytes(2)), nf.compare(R, bytes(2))]
    if version == 6:
        first = [nf.payload("network", 6, 1, R), nf.compare(R, bytes((IpProtocol.UDP,)))]
    udp = [*protocol(IpProtocol.UDP), *first, nf.payload("transport", 0, 4, R)]
    ports = (port.to_bytes(2, "big") * 2 for port in (IKE_PORT, NATT_PORT))
    return protocol(IpProtocol.ESP), *([*udp, nf.compare(R, both)] for both in ports)


def udp_to(port: int) -> list[bytes]:
    """Go on only with UDP to that port."""
    return [*protocol(IpProtocol.UDP), nf.payload("transport", 2, 2, R), nf.compare(R, port.to_bytes(2, "big"))]
