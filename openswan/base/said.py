# SPDX-License-Identifier: GPL-2.0-or-later
"""The SA identifier: protocol, SPI and destination, and the magic ones that name shunts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from openswan.base.address import Address, parse_address
from openswan.base.errors import ConfigError
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

PROTOCOLS = {text: protocol for protocol, text in PREFIX.items()}
TEXT = re.compile(
    r"(ah|esp|tun|comp|int)"
    r"(?:([.:])([0-9a-fA-F]{1,8})|0[xX]([0-9a-fA-F]{1,8})|:0x([0-9a-fA-F]{1,8})|([0-9]{1,10}))@(.+)"
)


def parse_said(text: str) -> Said | Shunt:
    """Read an SA identifier in any of its forms, or a shunt; ConfigError for anything else.

    `esp.1f@192.0.2.1` and `esp:1f@2001:db8::1` (hexadecimal), `esp0x1f@...`, `esp31@...` (decimal), `%trap`, and the
    `int256@0.0.0.0` that a shunt was called in tables.
    """
    if text.startswith("%"):
        for shunt in Shunt:
            if text == str(shunt):
                return shunt
        raise ConfigError(f"'{text}' is not a shunt: there are {' '.join(map(str, Shunt))}")
    found = TEXT.fullmatch(text)
    if found is None:
        raise ConfigError(f"'{text}' is not an SA: write it as esp.1234@192.0.2.1")
    protocol, separator, listed, hexadecimal, table, decimal, host = found.groups()
    spi = int(decimal) if decimal else int(listed or hexadecimal or table, 16)
    address = parse_address(host)
    if spi > 0xFFFFFFFF or (separator == "." and address.version == 6):
        raise ConfigError(f"'{text}' is not an SA: write it as esp.1234@192.0.2.1")
    if protocol == "int" and int(address) == 0 and spi in Shunt._value2member_map_:
        return Shunt(spi)
    return Said(PROTOCOLS[protocol], spi, address)
