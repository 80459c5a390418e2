# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers several layers share, and enums that let unknown values travel."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class OpenIntEnum(IntEnum):
    """An IntEnum whose unknown values are kept and printed as NAME(n), so a parser never fails on a number."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or value < 0:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"{cls.__name__}({value})"
        member._value_ = value
        return member

    def __str__(self) -> str:
        return self._name_


class IpProtocol(OpenIntEnum):
    """IP protocol numbers this project names (IANA Protocol Numbers)."""

    ANY = 0
    ICMP = 1
    IPIP = 4
    TCP = 6
    UDP = 17
    IPV6 = 41
    FRAGMENT = 44
    ESP = 50
    AH = 51
    ICMP6 = 58
    INT = 61
    COMP = 108


IKE_PORT = 500
NATT_PORT = 4500
NON_ESP_MARKER = b"\0\0\0\0"
"""What stands where an SPI would on UDP 4500 when the datagram is IKE (RFC 3948 2.2)."""

SO_MARK = 36
"""The socket option that sets a firewall mark (<asm-generic/socket.h>)."""
ROUTE_TABLE = 50
"""Routing table that holds the routes into ipsecN."""
RULE_PRIORITY = 5000
"""Priority of `ip rule not fwmark MARK/MARK lookup 50`."""
