# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses, subnets and endpoints: the standard library's values with IPsec's text forms around them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from openswan.base.errors import ConfigError

Address: TypeAlias = IPv4Address | IPv6Address
Subnet: TypeAlias = IPv4Network | IPv6Network

ANY4 = IPv4Network("0.0.0.0/0")
ANY6 = IPv6Network("::/0")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a conversation: an address and a port in host order, of UDP unless it is a TCP `stream` (RFC 9329)."""

    address: Address
    port: int
    stream: bool = False

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


def parse_address(text: str) -> Address:
    """Read a numeric IPv4 or IPv6 address; ConfigError says what is wrong with anything else."""
    try:
        return ip_address(text)
    except ValueError:
        raise ConfigError(f"'{text}' is not a numeric IP address") from None


def parse_subnet(text: str) -> Subnet:
    """Read NET/LEN, NET/MASK or a bare address (a host subnet); host bits set are an error."""
    try:
        return ip_network(text, strict=True)
    except ValueError as why:
        raise ConfigError(f"'{text}' is not a subnet: {why}") from None


def host_subnet(address: Address) -> Subnet:
    """The subnet that holds just `address`: /32 or /128."""
    # From numbers: from an address it would be written out and read again.
    return IPv4Network((int(address), 32)) if address.version == 4 else IPv6Network((int(address), 128))


def any_subnet(version: int) -> Subnet:
    """0.0.0.0/0 for version 4, ::/0 for version 6."""
    return ANY4 if version == 4 else ANY6


def half_subnets(subnet: Subnet) -> tuple[Subnet, ...]:
    """A default route cut in half, so that it eclipses the real one without replacing it; others unchanged.

    0.0.0.0/0 becomes 0.0.0.0/1 and 128.0.0.0/1; ::/0 becomes ::/1 and 8000::/1.
    """
    return tuple(subnet.subnets()) if subnet.prefixlen == 0 else (subnet,)


def less(subnet: Subnet, hole: Subnet) -> tuple[Subnet, ...]:
    """What of a subnet lies outside another one, as subnets; all of it when they are apart."""
    if subnet.version != hole.version or not subnet.overlaps(hole):
        return (subnet,)
    if subnet.prefixlen >= hole.prefixlen:
        return ()
    return tuple(sorted(subnet.address_exclude(hole)))  # type: ignore[arg-type]


def parse_classic_subnet(text: str, version: int = 0) -> tuple[Subnet, int]:
    """Read a subnet as ipsec.conf and the classic tools write it; returns it and the port behind it (0: none).

    NET/LEN, NET/MASK (also 0xMASK), `%default`, a port after a colon (`10.0.0.0/8:53`). NET may leave out trailing zero
    octets (`10/8`), have leading zeros (they are decimal), or be one hexadecimal number. Host bits are cleared.
    `version` 4 or 6 admits only that family. A bare address is an error, and so is a name.
    """
    if text == "%default":
        return any_subnet(version or 4), 0
    try:
        net, separator, rest = text.partition("/")
        if not separator:
            raise ValueError("no / in it")
        mask, colon, port_text = _cut_port(rest)
        six = ":" in net
        if version and six != (version == 6):
            raise ValueError(f"it is not IPv{version}")
        address: Address = _classic_v6(net) if six else IPv4Address(_classic_v4(net))
        length = _mask_length(mask, six)
        port = _c_number(port_text) if colon else 0
        if port > 0xFFFF:
            raise ValueError("port over 65535")
        return ip_network((address, length), strict=False), port
    except ValueError as why:
        raise ConfigError(f"'{text}' is not a subnet: {why}") from None


def _cut_port(rest: str) -> tuple[str, bool, str]:
    mask, colon, port = rest.partition(":")
    return mask, bool(colon), port


def _c_number(text: str) -> int:
    """A number as C reads it: 0x hexadecimal, a leading 0 octal, else decimal."""
    base = 16 if text[:2].lower() == "0x" else 8 if len(text) > 1 and text[0] == "0" else 10
    digits = text[2:] if base == 16 else text
    if not digits or not digits.isascii() or not digits.isalnum():
        raise ValueError(f"'{text}' is not a number")
    return int(digits, base)


def _classic_v4(net: str) -> int:
    if net[:2].lower() == "0x":
        if len(net) != 10:
            raise ValueError("a hexadecimal address has eight digits")
        return int(net[2:], 16)
    octets = net.split(".")
    if len(octets) > 4 or not all(0 < len(one) <= 3 and one.isascii() and one.isdigit() for one in octets):
        raise ValueError("not a dotted address")
    values = [int(one) for one in octets] + [0] * (4 - len(octets))
    return int.from_bytes(bytes(values), "big")


def _classic_v6(net: str) -> IPv6Address:
    if "." in net or "%" in net:
        raise ValueError("not an IPv6 address")
    return IPv6Address(net)


def _mask_length(mask: str, six: bool) -> int:
    width = 128 if six else 32
    if mask.isascii() and mask.isdigit():
        if len(mask) > 3 or int(mask) > width:
            raise ValueError(f"mask length over {width}")
        return int(mask)
    if six or not (mask[:2].lower() == "0x" or mask.count(".") == 3):
        raise ValueError("bad mask")
    bits = _classic_v4(mask)
    length = bits.bit_count()
    if bits != (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF:
        raise ValueError("mask has holes")
    return length


def parse_range(text: str) -> tuple[Address, Address]:
    """Read FIRST...LAST (also FIRST-LAST), a subnet or a single address, as first and last address, both inclusive."""
    for separator in ("...", "-"):
        if separator in text:
            low, high = (parse_address(part.strip()) for part in text.split(separator, 1))
            if low.version != high.version or int(low) > int(high):
                raise ConfigError(f"'{text}' is not a range of addresses: the first must not be above the last")
            return low, high
    if "/" in text:
        subnet = parse_classic_subnet(text)[0]
        return subnet[0], subnet[-1]
    address = parse_address(text)
    return address, address


def range_to_subnet(first: Address, last: Address) -> Subnet | None:
    """The one subnet that covers exactly FIRST to LAST, or None when there is none."""
    if first.version != last.version or int(first) > int(last):
        return None
    size = int(last) - int(first) + 1
    if size & (size - 1) or int(first) % size:
        return None
    return ip_network((first, first.max_prefixlen - size.bit_length() + 1))
