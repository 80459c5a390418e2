# SPDX-License-Identifier: GPL-2.0-or-later
"""PROTO/PORT as leftprotoport= writes it: `tcp/80`, `17/1701`, `udp/%any`, `gre`, `%any`."""

from __future__ import annotations

from openswan.base.errors import ConfigError

# Those of /etc/protocols and /etc/services that selectors name; others are written as numbers.
PROTOCOLS = {
    "%any": 0,
    "any": 0,
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "ipencap": 4,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmp6": 58,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "ospf": 89,
    "pim": 103,
    "ipcomp": 108,
    "vrrp": 112,
    "l2tp-ip": 115,
    "sctp": 132,
    "udplite": 136,
}
PORTS = {
    "%any": 0,
    "%opaque": 0,
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "domain": 53,
    "http": 80,
    "ntp": 123,
    "snmp": 161,
    "bgp": 179,
    "https": 443,
    "l2tp": 1701,
    "l2f": 1701,
    "radius": 1812,
}
NAMES = {number: name for name, number in reversed(PROTOCOLS.items()) if name != "any"}
WITH_PORTS = {1, 6, 17, 33, 58, 132, 136}
"""Protocols whose selectors may name a port (RFC 7296 3.13.1 puts an ICMP type there)."""


def parse_protocol(text: str) -> int:
    """A protocol's number from its name or number; 0 is any."""
    if text.isascii() and text.isdigit() and len(text) < 4 and int(text) < 256:
        return int(text)
    number = PROTOCOLS.get(text.lower())
    if number is None:
        raise ConfigError(
            f"'{text}' is not a protocol: write its number, 0 to 255, or a name such as tcp, udp, icmp, gre"
        )
    return number


def parse_port(text: str) -> int:
    """A port's number; 0 is any."""
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) < 65536:
        return int(text)
    number = PORTS.get(text.lower())
    if number is None:
        raise ConfigError(f"'{text}' is not a port: write its number, 0 to 65535")
    return number


def parse_protoport(text: str) -> tuple[int, int, bool]:
    """Protocol, port and whether the port is `%any` (any one port of the peer's choice)."""
    protocol_text, slash, port_text = text.partition("/")
    protocol = parse_protocol(protocol_text.strip())
    if not slash:
        return protocol, 0, False
    port = parse_port(port_text.strip())
    if port and protocol not in WITH_PORTS:
        raise ConfigError(f"'{text}': protocol {protocol} has no ports")
    return protocol, port, port_text.strip().lower() == "%any"


def protoport_text(protocol: int, port: int) -> str:
    """`tcp/80`, `gre`; `%any` for no restriction."""
    name = NAMES.get(protocol, str(protocol))
    return f"{name}/{port}" if port else name
