# SPDX-License-Identifier: GPL-2.0-or-later
"""What the packet engine reports, and the rows of its tables: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from openswan.base.address import Address, Endpoint
from openswan.base.said import Said, Shunt
from openswan.plane.commands import NO_LIMIT, Direction, Life, Mode
from openswan.policy.selector import FlowKey, Selector


@dataclass(frozen=True, slots=True)
class Acquire:
    """A packet met %trap and is held; `flow` is its own host-to-host key, `trap` the eroute it met."""

    flow: FlowKey
    trap: FlowKey
    device: str
    owner: str


@dataclass(frozen=True, slots=True)
class SaExpired:
    """An SA has used up its sequence numbers, or its life by octets or packets (`hard`), or nearly so; once each."""

    said: Said
    hard: bool


@dataclass(frozen=True, slots=True)
class SaFirstUse:
    """An inbound SA has carried its first good packet: the peer uses it."""

    said: Said


@dataclass(frozen=True, slots=True)
class NewMapping:
    """An authenticated packet of an inbound UDP-encapsulated SA came from a new address or port."""

    said: Said
    remote: Endpoint


@dataclass(frozen=True, slots=True)
class UnknownSpi:
    """ESP for an SPI we do not know (rate limited by the engine)."""

    local: Endpoint
    remote: Endpoint
    spi: int


@dataclass(frozen=True, slots=True)
class IkeDatagram:
    """An IKE message that arrived on a UDP-encapsulation socket or in a stream; the non-ESP marker is removed."""

    local: Endpoint
    remote: Endpoint
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """A stream of AttachStream has ended by itself; one that DetachStream closes is not told of."""

    local: Endpoint
    remote: Endpoint
    reason: str


@dataclass(frozen=True, slots=True)
class OffloadRefused:
    """The kernel refused super-packets it had promised to take; from now on they go packet by packet."""

    where: str
    """A virtual interface, or a local endpoint."""
    what: str
    """TSO, USO, UDP_SEGMENT or packet socket."""


@dataclass(frozen=True, slots=True)
class NextHopWanted:
    """Raw ESP leaves in batches between two addresses whose next hop is not known (SetNextHop)."""

    local: Address
    remote: Address


@dataclass(frozen=True, slots=True)
class EspLoad:
    """Raw ESP arrives for this address by the tens of thousands a second: an AttachIntake would be worth while."""

    local: Address


KlipsEvent: TypeAlias = (
    Acquire
    | SaExpired
    | SaFirstUse
    | NewMapping
    | UnknownSpi
    | IkeDatagram
    | StreamClosed
    | OffloadRefused
    | NextHopWanted
    | EspLoad
)


@dataclass(frozen=True, slots=True)
class SaView:
    """One row of `ipsec spi`; times are seconds since the SA was added or last used (-1: never)."""

    said: Said
    src: Address
    direction: Direction
    cipher: str
    integ: str
    key_bits: int
    esn: bool
    replay_window: int
    encap_ports: tuple[int, int] | None
    device: str
    owner: str
    serial: int
    packets: int
    octets: int
    sequence: int
    """Highest sequence number sent or accepted, 64 bits with ESN."""
    replays: int
    auth_failures: int
    selector_failures: int
    age: float
    idle: float
    path_mtu: int = 0
    """Largest outer packet the path is known to take, octets; 0: not known."""
    inner_mtu: int = 0
    """Largest inner packet that needs no fragments; 0: not known."""
    ecn_alarms: int = 0
    """Packets whose congestion marks no honest path makes (RFC 6040 4.2)."""
    mode: Mode = Mode.TUNNEL
    life: Life = NO_LIMIT
    policy: tuple[Selector, Selector] | None = None
    """What may come out of an inbound SA when that is one pair of nets, not everything."""
    group: tuple[Said, ...] = ()
    """The bundle it belongs to, innermost first; empty: none."""
    in_stream: bool = False
    """`encap_ports` are those of a TCP stream."""


@dataclass(frozen=True, slots=True)
class ErouteView:
    """One row of `ipsec eroute`."""

    key: FlowKey
    target: Said | Shunt
    device: str
    owner: str
    serial: int
    packets: int
    idle: float
    """Seconds since a packet last met it; -1: never."""
    held: int
    """Packets held right now."""


@dataclass(frozen=True, slots=True)
class DeviceView:
    """One row of `ipsec tncfg`."""

    name: str
    physical: str
    mtu: int
    physical_mtu: int
    rx_packets: int
    tx_packets: int
    queues: int = 1
    """Descriptors of the TUN, one for each worker of the engine or fewer."""
    offloads: tuple[str, ...] = ()
    """Super-packets that may be written to it: TSO, USO."""
