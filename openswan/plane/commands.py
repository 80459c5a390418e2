# SPDX-License-Identifier: GPL-2.0-or-later
"""What the packet engine is told: plain frozen data, so that it can one day run in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from openswan.base.address import Address, Endpoint
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.policy.selector import FlowKey, Selector


class Direction(Enum):
    """Which way an SA carries packets."""

    IN = "in"
    OUT = "out"


class Mode(Enum):
    """What an SA wraps (RFC 4301 4.1): a whole packet in a new one, or the payload of one."""

    TUNNEL = "tunnel"
    TRANSPORT = "transport"


@dataclass(frozen=True, slots=True)
class Life:
    """When an SA ends by use, bytes of inner packets and packets; 0: never. Soft is reported, hard stops the SA."""

    soft_bytes: int = 0
    hard_bytes: int = 0
    soft_packets: int = 0
    hard_packets: int = 0


NO_LIMIT = Life()


@dataclass(frozen=True, slots=True)
class Encap:
    """Encapsulation of ESP in UDP (RFC 3948), or in a TCP stream (RFC 9329): the outer ports as this SA's packets carry
    them, in host order."""

    src_port: int
    dst_port: int
    stream: bool = False


@dataclass(frozen=True, slots=True)
class AddSa:
    """Install one SA; it is usable at once. KlipsError when it exists or its algorithm is not available."""

    said: Said
    """Protocol, SPI, and outer destination: the peer for OUT, ourselves for IN."""
    src: Address
    """Outer source: ourselves for OUT, the peer for IN."""
    direction: Direction
    cipher: str
    """Name in crypto.registry: aes_gcm_16, chacha20_poly1305, aes_cbc, null ...; `deflate` for an IPComp SA (whose SPI
    is its CPI), empty for AH and for an SA of protocol IPIP, which only puts a packet into another."""
    enc_key: bytes = field(repr=False)
    """Key material in RFC order; the 4-octet salt of an AEAD comes last (RFC 4106 8.1, RFC 7634 2)."""
    integ: str = ""
    """Name in crypto.registry: hmac_sha1_96, hmac_sha2_256_128, ...; empty with an AEAD."""
    auth_key: bytes = field(default=b"", repr=False)
    esn: bool = False
    replay_window: int = 128
    """Packets; 0 switches replay protection off."""
    encap: Encap | None = None
    """None: raw protocol 50. In a stream, AttachStream of these ends carries it; without one packets are lost."""
    device: str = "ipsec0"
    """The virtual interface whose packets these are: an IN SA writes there."""
    selectors: tuple[tuple[Selector, Selector], ...] = ()
    """Allowed (source, destination) pairs of inner packets as they travel in this SA; a packet outside is dropped."""
    owner: str = ""
    """Connection name for listings."""
    serial: int = 0
    """pluto's state number for listings."""
    peer_said: Said | None = None
    """The SA of the other direction: ICMP errors about decrypted packets return through it."""
    mode: Mode = Mode.TUNNEL
    bundled: bool = False
    """IN: GroupSas follows at once, and what ExpectSpi has kept waits for that: this SA alone could not read it."""
    life: Life = NO_LIMIT
    copy_dscp: bool = False
    """OUT, hidetos=no or encap-dscp=yes: the inner DSCP goes outside (RFC 4301 5.1.2.1). IN, decap-dscp=yes: the outer
    one goes inside, but for streams. ECN is always carried over as RFC 6040 says."""
    tfc: int = 0
    """OUT: pad inner packets to this many octets, or to what the path takes if that is less (RFC 4303 2.7); 0: no more
    than alignment needs."""
    mtu: int = 0
    """Outer path MTU set by hand or known already, octets; 0: the physical interface's, then what is learned."""
    unproven: bool = False
    """OUT: SetPathMtu will tell what the path takes. Until then IPv6 outer packets leave in fragments of 1280 octets,
    which every path takes, and senders are not told of any limit but the interface's."""
    original: tuple[Address, Address] | None = None
    """Transport mode behind a NAT: (source, destination) as the peers see themselves (RFC 7296 2.23.1), so that inner
    checksums can be put right."""
    alias: tuple[Address, Address] | None = None
    """(own, given) of one family: this host is behind NAT, and the peer has given it another address, which is what the
    selectors have. Packets that leave from the first have the second instead; what comes to that comes to the first."""


@dataclass(frozen=True, slots=True)
class ExpectSpi:
    """We have offered this inbound SPI and may be sent to before its keys are known (RFC 7296 2.8).

    What comes for it is kept for a moment, bounded in number, octets and time, and taken when AddSa brings the SA.
    `withdrawn`: no SA will come, what is kept is dropped and counted.
    """

    said: Said
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class DelSa:
    """Remove an SA and wipe its keys; KlipsError when it does not exist."""

    said: Said


@dataclass(frozen=True, slots=True)
class MoveSa:
    """Change an SA's outer addresses or ports while packets flow (a NAT mapping changed); keys and counters stay."""

    said: Said
    src: Endpoint
    dst: Endpoint


@dataclass(frozen=True, slots=True)
class GroupSas:
    """Make a bundle of up to four SAs of one direction, innermost first; one alone leaves its bundle.

    OUT: an eroute that names the first applies them all, in order. IN: what comes out of each must be of the one before
    it in this tuple, and none but the last is taken from outside the bundle. KlipsError when one does not exist or is
    of the other direction. Each does what its own mode says: round an IPIP SA, or one in tunnel mode, the others are
    in transport mode. Removing one stops them all: the rest would protect less than was asked for.
    """

    saids: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class SetSelectors:
    """Replace what an SA's inner packets may be, at once and while packets flow; none: nothing passes.

    KlipsError when the SA does not exist.
    """

    said: Said
    selectors: tuple[tuple[Selector, Selector], ...]


@dataclass(frozen=True, slots=True)
class SendDummy:
    """Send one packet by an OUT SA that its receiver discards (RFC 4303 2.6): a proof that ESP arrives.

    It counts as nothing here; the peer's SA has been used, though no packet came out of it. KlipsError when the SA does
    not exist or is not ESP by itself.
    """

    said: Said


@dataclass(frozen=True, slots=True)
class SetPathMtu:
    """The largest outer packet known to reach the SA's peer, octets, header included; only ever an OUT SA's.

    The SA of the other direction (AddSa.peer_said) clamps TCP's MSS to it too. KlipsError below 576 (IPv6: 1280).
    """

    said: Said
    mtu: int


@dataclass(frozen=True, slots=True)
class SetEroute:
    """Add or atomically replace the eroute of `key`; packets held there are sent the new way, in order."""

    key: FlowKey
    target: Said | Shunt
    """An OUT SA, or what to do without one."""
    device: str = "ipsec0"
    owner: str = ""
    serial: int = 0


@dataclass(frozen=True, slots=True)
class DelEroute:
    """Remove the eroute of `key`; packets held there are dropped and counted. KlipsError when there is none."""

    key: FlowKey


@dataclass(frozen=True, slots=True)
class Flush:
    """Remove every eroute and SA, wipe all keys."""


@dataclass(frozen=True, slots=True)
class AttachDevice:
    """Take over the queues of a TUN as virtual interface `name`, on top of physical interface `physical`.

    `fds` are open, with IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE, one for each worker of the engine or fewer (at
    least one); the engine sets their offloads and owns them from now on.
    """

    name: str
    physical: str
    fds: tuple[int, ...]
    mtu: int
    """Of the virtual interface, octets."""


@dataclass(frozen=True, slots=True)
class MoveDevice:
    """Say on which physical interface a virtual one stands from now on; packets flow on meanwhile."""

    name: str
    physical: str
    """Empty: on none."""
    physical_mtu: int = 0


@dataclass(frozen=True, slots=True)
class DetachDevice:
    """Stop reading `name` and close its descriptors."""

    name: str


@dataclass(frozen=True, slots=True)
class AttachSocket:
    """Hand over the bound, marked sockets of one local endpoint: ESP of SAs that have it goes in and out through them.

    `port` is 4500 (or what stands in for it) for UDP, 0 for a raw socket of `protocol`. The engine reads them from now
    on; datagrams with the non-ESP marker come back as IkeDatagram events. The descriptors stay open in the host too,
    which may send IKE on them.
    """

    local: Endpoint
    fds: tuple[int, ...]
    """One for each worker of the engine or fewer, at least one."""
    mtu: int = 1500
    """Of the physical interface, octets."""
    spread: bool = False
    """The kernel chooses among them by SPI, the first four octets: with S = SPI ^ SPI >> 16, socket
    `(S * 0x9E3779B1 mod 2^32 >> 16) mod len(fds)`, and the first for what is shorter."""
    protocol: IpProtocol = IpProtocol.ESP
    """Of a raw socket: ESP, AH or IPComp."""


@dataclass(frozen=True, slots=True)
class SetMtu:
    """The MTU of physical interface `physical` has changed: of sockets on these local addresses, and of what leaves in
    clear through ipsecN on top of it, whose own MTU becomes `virtual_mtu`."""

    physical: str
    mtu: int
    virtual_mtu: int
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class DetachSocket:
    """Stop reading that socket."""

    local: Endpoint
    protocol: IpProtocol = IpProtocol.ESP


@dataclass(frozen=True, slots=True)
class AttachPass:
    """Hand over a marked raw socket with its own IP header (IP_HDRINCL, IPV6_HDRINCL) for packets that meet %pass.

    One a family; a later one replaces it. Without one such packets are dropped and counted. The engine keeps a
    duplicate, the host may close its own.
    """

    version: int
    fd: int


@dataclass(frozen=True, slots=True)
class AttachLink:
    """Hand over a marked packet socket (AF_PACKET, SOCK_DGRAM, receiving nothing): raw ESP whose next hop is known is
    put on its link through it, past the kernel's IP layer and its filter.

    A later one replaces it. The engine keeps a duplicate, the host may close its own.
    """

    fd: int


@dataclass(frozen=True, slots=True)
class AttachStream:
    """Hand over a connected TCP socket: IKE and ESP of these two ends travel in it (RFC 9329).

    ESP goes to and from SAs; IKE messages come back as IkeDatagram events, and StreamClosed tells of its end. The
    engine keeps a duplicate, the host may close its own. KlipsError: there is one already, or too many.
    """

    local: Endpoint
    remote: Endpoint
    fd: int
    originator: bool
    """We opened the connection: the stream prefix is ours to send."""


@dataclass(frozen=True, slots=True)
class KeepStream:
    """An IKE SA uses that stream: it stays for as long as it likes. One that nobody keeps is closed after a minute."""

    local: Endpoint
    remote: Endpoint


@dataclass(frozen=True, slots=True)
class DetachStream:
    """Close that stream, if it is there."""

    local: Endpoint
    remote: Endpoint


@dataclass(frozen=True, slots=True)
class SendInStream:
    """Send an IKE message in that stream; lost when it is not there."""

    local: Endpoint
    remote: Endpoint
    data: bytes


@dataclass(frozen=True, slots=True)
class NextHop:
    """The ethernet neighbour that takes a packet on."""

    interface: int
    """Index of the interface."""
    address: bytes
    """Six octets."""


@dataclass(frozen=True, slots=True)
class SetNextHop:
    """Where raw ESP from `local` to `remote` goes, from now on and for SAs to come; None: where the kernel sends it."""

    local: Address
    remote: Address
    hop: NextHop | None


@dataclass(frozen=True, slots=True)
class AttachIntake:
    """Hand over packet sockets with rings (TPACKET_V3) that are given the raw ESP of an interface.

    Only whole packets, IPv4 without options, to addresses that have an AttachSocket; the host sees to it that the raw
    sockets do not get them too. The engine keeps duplicates, the host may close its own.
    """

    interface: str
    fds: tuple[int, ...]
    """One for each worker of the engine or fewer, at least one."""
    block: int
    """Octets of one block of a ring,"""
    blocks: int
    """and how many it has."""


@dataclass(frozen=True, slots=True)
class DetachIntake:
    """Stop using an interface's rings."""

    interface: str


Command: TypeAlias = (
    AddSa
    | ExpectSpi
    | DelSa
    | MoveSa
    | GroupSas
    | SetSelectors
    | SendDummy
    | SetPathMtu
    | SetEroute
    | DelEroute
    | Flush
    | AttachDevice
    | MoveDevice
    | DetachDevice
    | AttachSocket
    | SetMtu
    | DetachSocket
    | AttachPass
    | AttachLink
    | AttachStream
    | KeepStream
    | DetachStream
    | SendInStream
    | SetNextHop
    | AttachIntake
    | DetachIntake
)
