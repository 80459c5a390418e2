# SPDX-License-Identifier: GPL-2.0-or-later
"""The SA identifier: protocol, SPI and destination, and the magic ones that name shunts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from openswan.base.address import Address
from openswan.base.numbers import IpProtocol


class Shunt(IntEnum):
    """What an eroute does when it names no SA; values are the classic `int` SPIs."""

    PASS = 256
    DROP = 257
    REJECT = 258
    HOLD = 259
    TRAP = 260

    def __str__(self) -> str:
        return "%" + self.name.lower()


PREFIX = {
    IpProtocol.AH: "ah",
    IpProtocol.ESP: "esp",
    IpProtocol.IPIP: "tun",
    IpProtocol.COMP: "comp",
    IpProtocol.INT: "int",
}


@dataclass(frozen=True, slots=True)
class Said:
    """An SA's name on the wire: protocol (ESP, AH, ...), SPI in host order, outer destination address."""

    proto: IpProtocol
    spi: int
    dst: Address

    def __str__(self) -> str:
        """Listing form `esp.1234@192.0.2.1`; `esp:1234@2001:db8::1` for IPv6."""
        sep = "." if self.dst.version == 4 else ":"
        return f"{PREFIX.get(self.proto, f'unk{int(self.proto)}')}{sep}{self.spi:x}@{self.dst}"

    def hex(self) -> str:
        """Table form `esp0x1234@192.0.2.1`; IPv6 keeps the colon: `esp:0x1234@2001:db8::1`."""
        sep = "" if self.dst.version == 4 else ":"
        return f"{PREFIX.get(self.proto, f'unk{int(self.proto)}')}{sep}0x{self.spi:x}@{self.dst}"


NOWHERE = IPv4Address(0)
