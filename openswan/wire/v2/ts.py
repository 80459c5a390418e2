# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic Selector payloads, initiator's and responder's (RFC 7296 3.13).

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+-----------------------------------------------+
| number of TSs |                   reserved                    |
+---------------+---------------+-------------------------------+  selector
|    TS type    |  IP protocol  |        selector length        |
+---------------+---------------+-------------------------------+
|           start port          |            end port           |
+-------------------------------+-------------------------------+
|                starting address, ending address               |
+---------------------------------------------------------------+
```
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar, Self

from openswan.base.address import Address
from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import PayloadType, TsType

OPAQUE = (65535, 0)
"""Start and end port that mean "ports not visible" (RFC 7296 3.13.1)."""
ADDRESS: dict[TsType, tuple[type[IPv4Address] | type[IPv6Address], int]] = {
    TsType.IPV4_ADDR_RANGE: (IPv4Address, 4),
    TsType.IPV6_ADDR_RANGE: (IPv6Address, 16),
}


@dataclass(frozen=True, slots=True)
class TrafficSelector:
    """Ranges of addresses and ports, both ends inclusive; protocol 0 is any.

    For ICMP the ports hold type and code (type in the upper octet, RFC 7296 3.13.1).
    """

    type: TsType
    protocol: int
    first_port: int
    last_port: int
    first: Address
    last: Address

    @classmethod
    def of(cls, first: Address, last: Address, protocol: int = 0, first_port: int = 0, last_port: int = 65535) -> Self:
        """The selector of an address range; its type follows from the addresses' family."""
        kind = TsType.IPV4_ADDR_RANGE if first.version == 4 else TsType.IPV6_ADDR_RANGE
        return cls(kind, protocol, first_port, last_port, first, last)

    def emit(self) -> bytes:
        """The selector with its header."""
        body = Writer().u16(self.first_port).u16(self.last_port).octets(self.first.packed).octets(self.last.packed)
        return Writer().u8(self.type).u8(self.protocol).u16(len(body) + 4).octets(body.done()).done()


@dataclass(frozen=True, slots=True)
class _Ts(Payload):
    selectors: tuple[TrafficSelector, ...]
    skipped: int = 0
    """Selectors of a type nobody here knows, left out as RFC 7296 2.9 allows; never emitted."""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the selectors.

        WireError when the count is 0 or not what follows, a known type has a wrong length, or a range is upside down.
        """
        count = reader.u8()
        reader.octets(3)
        if not count:
            raise WireError("traffic selector payload without a selector")
        found: list[TrafficSelector] = []
        for _ in range(count):
            kind, protocol, length = TsType(reader.u8()), reader.u8(), reader.u16()
            body = Reader(reader.counted(length, 4))
            if kind in ADDRESS:
                found.append(_selector(kind, protocol, body))
        return cls(tuple(found), count - len(found))

    def emit(self) -> bytes:
        """Count and selectors."""
        out = Writer().u8(len(self.selectors)).octets(bytes(3))
        for selector in self.selectors:
            out.octets(selector.emit())
        return out.done()


def _selector(kind: TsType, protocol: int, body: Reader) -> TrafficSelector:
    make, size = ADDRESS[kind]
    first_port, last_port = body.u16(), body.u16()
    first, last = make(body.octets(size)), make(body.octets(size))
    body.expect_end()
    if int(first) > int(last):
        raise WireError(f"traffic selector from {first} down to {last}")
    if first_port > last_port and (first_port, last_port) != OPAQUE:
        raise WireError(f"traffic selector from port {first_port} down to {last_port}")
    return TrafficSelector(kind, protocol, first_port, last_port, first, last)


@dataclass(frozen=True, slots=True)
class TsI(_Ts):
    """What the initiator's side sends and receives."""

    TYPE: ClassVar[PayloadType] = PayloadType.TS_I


@dataclass(frozen=True, slots=True)
class TsR(_Ts):
    """What the responder's side sends and receives."""

    TYPE: ClassVar[PayloadType] = PayloadType.TS_R
