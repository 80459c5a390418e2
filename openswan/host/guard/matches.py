# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rule of the guard may ask of a packet; every back end knows how to ask it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

DEVICES, IKE_PORTS, STREAM_PORTS = "interfaces", "ikeports", "streamports"
"""Sets that hold no selectors: devices protected traffic may use, and ports of pluto's."""
SOURCE, DESTINATION = "saddr", "daddr"


@dataclass(frozen=True, slots=True)
class Through:
    """The packet's incoming (`iifname`) or outgoing (`oifname`) device is one of ours or loopback."""

    key: str


@dataclass(frozen=True, slots=True)
class Ours:
    """The packet has no incoming device: a socket of this host sends it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """It carries the mark of our own IKE and ESP sockets."""


@dataclass(frozen=True, slots=True)
class Spared:
    """IKE or ESP of a host behind us that encrypts for itself, by the mark that interception gives it."""


@dataclass(frozen=True, slots=True)
class Family:
    """IP version."""

    version: int


@dataclass(frozen=True, slots=True)
class Protocol:
    """IP protocol (the last header of an IPv6 chain)."""

    number: int


@dataclass(frozen=True, slots=True)
class UdpPorts:
    """UDP from one port to another."""

    src: int
    dst: int


@dataclass(frozen=True, slots=True)
class ToIkePort:
    """UDP to a port pluto listens on."""


@dataclass(frozen=True, slots=True)
class ToStreamPort:
    """TCP to the port pluto takes connections on (RFC 9329), if it does.

    By port, as UDP: while a connection is being made the kernel has no whole socket for it whose mark could be asked.
    """


@dataclass(frozen=True, slots=True)
class OwnStream:
    """TCP from a peer's port for IKE to a socket with our mark: a connection of ours."""


@dataclass(frozen=True, slots=True)
class IcmpTypes:
    """ICMP (of IP `version`) with a type in this range."""

    version: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class HopLimit:
    """IPv6 with this hop limit."""

    value: int


@dataclass(frozen=True, slots=True)
class Local:
    """The destination is an address of this host."""


@dataclass(frozen=True, slots=True)
class LaterFragment:
    """A fragment other than the first, which has no ports.

    That loading ports fails is no way to tell: where nf_tables takes its short cut for small loads, it reads whatever
    stands there.
    """

    version: int


@dataclass(frozen=True, slots=True)
class Opening:
    """TCP: the first segment of a connection, SYN without ACK."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """The packet (or, with `quoted`, the one an ICMP error is about) is in a set.

    `remote` says which of its addresses is the peer's side.
    """

    set: str
    version: int
    remote: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Home:
    """The destination is known to be ours and (`home`) leaves by a device it is known to live on, (`known`) anyhow."""

    set: str
    version: int


@dataclass(frozen=True, slots=True)
class HasSocket:
    """A socket of a program in this network namespace sends it: what is forwarded has none, the kernel's own neither.

    Where no incoming device is known any more it stands for Ours().
    """


@dataclass(frozen=True, slots=True)
class ToIkeStream:
    """TCP to a peer's port for IKE."""


@dataclass(frozen=True, slots=True)
class FromStreamPort:
    """TCP from the port pluto takes connections on."""


Test: TypeAlias = (
    Through
    | Ours
    | Marked
    | Spared
    | Family
    | Protocol
    | UdpPorts
    | ToIkePort
    | ToStreamPort
    | OwnStream
    | IcmpTypes
    | HopLimit
    | Local
    | LaterFragment
    | Opening
    | Guarded
    | Home
    | HasSocket
    | ToIkeStream
    | FromStreamPort
)
