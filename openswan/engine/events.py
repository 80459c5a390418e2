# SPDX-License-Identifier: GPL-2.0-or-later
"""What pluto is told: frozen dataclasses, and the packet engine's own events (openswan.plane.events) beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from openswan.base.address import Address, Endpoint, Subnet
from openswan.base.interval import Instant
from openswan.config.secrets import SecretStore
from openswan.crypto.revocation import Places
from openswan.engine.oeevents import Learned
from openswan.plane.events import KlipsEvent
from openswan.policy.gateways import Published
from openswan.policy.known import KnownPeer
from openswan.policy.onlink import Links
from openswan.policy.selector import FlowKey


@dataclass(frozen=True, slots=True)
class TimerDue:
    """The instant that Pluto.next_timer() named has come."""

    by: Instant | None = None
    """All that had arrived by then has been handled, so deadlines up to it count; None: up to now."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """An IKE message arrived on UDP 500 (or an IKE socket of another port); no non-ESP marker in `data`."""

    local: Endpoint
    remote: Endpoint
    data: bytes


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Several IKE messages that had arrived on one socket when it was read; those of IKE SAs we have are dealt with
    first."""

    local: Endpoint
    messages: tuple[tuple[Endpoint, bytes], ...]
    """(remote, data) of each."""


@dataclass(frozen=True, slots=True)
class SendFailed:
    """The kernel reported an error for a datagram we sent (ECONNREFUSED, EHOSTUNREACH ...): a hint only."""

    local: Endpoint
    remote: Endpoint | None
    """None: refused by somebody, the kernel had no room for the details."""
    reason: str


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The connection of OpenStream is there, and the packet engine has it."""

    token: int
    local: Endpoint
    remote: Endpoint


@dataclass(frozen=True, slots=True)
class StreamRefused:
    """The connection of OpenStream could not be had."""

    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class PathTooBig:
    """ICMP says that a packet from `local` to `remote` was too big for a path of `mtu` octets: a claim, no more.

    What it quotes of the packet is here: the SPI of an ESP or AH packet (0: it was an IKE message), the UDP ports (0, 0
    for raw ESP), and the two SPIs of an IKE message, 16 octets.
    """

    local: Address
    remote: Address
    mtu: int
    spi: int = 0
    ports: tuple[int, int] = (0, 0)
    ike_spis: bytes = b""


@dataclass(frozen=True, slots=True)
class WhackRequest:
    """One request from the control socket. `verb` and `args` are as openswan.wire.whack describes them."""

    client: int
    """Names the asker in WhackLine and WhackDone."""
    verb: str
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WhackGone:
    """That client hung up; what it started goes on."""

    client: int


@dataclass(frozen=True, slots=True)
class Interface:
    """A physical interface pluto may use, its virtual one and its addresses."""

    name: str
    virtual: str
    """ipsecN on top of it; empty when none is attached."""
    addresses: tuple[tuple[Address, int], ...]
    """(address, prefix length); no link-local, tentative or deprecated ones."""
    up: bool = True
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """The default route of one family."""

    interface: str
    source: Address
    nexthop: Address | None
    """None: point to point."""


@dataclass(frozen=True, slots=True)
class NetworkState:
    """Interfaces, addresses, default routes and links as they are now; sent at start and after every change."""

    interfaces: tuple[Interface, ...]
    defaults: tuple[DefaultRoute, ...]
    resolvers: tuple[Address, ...] = ()
    """DNS servers this host is configured to ask."""
    links: Links = field(default_factory=Links)
    """What is reached without a router."""


@dataclass(frozen=True, slots=True)
class RoutesSeen:
    """Where nets live by the routing tables, default routes and ipsecN apart; sent at start and after changes."""

    homes: tuple[tuple[Subnet, str], ...]
    """(net, interface)."""


@dataclass(frozen=True, slots=True)
class SecretsRead:
    """ipsec.secrets was (re)read; `complaints` are lines for the log. Answers ReadSecrets."""

    store: SecretStore
    complaints: tuple[str, ...]
    client: int = 0


@dataclass(frozen=True, slots=True)
class GroupFile:
    """One file of ipsec.d/policies."""

    name: str
    path: str
    text: str | None
    """None: it is not there, or cannot be read."""
    reason: str = ""
    """Why it cannot be read; what was in it before counts on."""


@dataclass(frozen=True, slots=True)
class GroupsRead:
    """The files of policy groups as they are now. Answers ReadGroups."""

    files: tuple[GroupFile, ...]
    client: int = 0


@dataclass(frozen=True, slots=True)
class CertificatesRead:
    """The directories of ipsec.d and the ca sections of ipsec.conf, DER each. Answers ReadCertificates."""

    anchors: tuple[bytes, ...]
    """Authorities of cacerts and of ca sections."""
    crls: tuple[bytes, ...]
    complaints: tuple[str, ...]
    client: int = 0
    responders: tuple[tuple[str, bytes], ...] = ()
    """(file, certificate) of ocspcerts."""
    places: tuple[tuple[bytes, Places], ...] = ()
    """By DER of an authority's name: where ca sections say its lists and its responder are."""
    loaded: tuple[str, ...] = ()
    """A line for each file that was read."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What Fetch brought, or why it brought nothing."""

    token: int
    data: bytes
    reason: str = ""
    """Empty: `data` is what the server sent."""
    answered: bool = False
    """The server is there, and has refused."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A token has signed, or `reason` says why not. Answers Sign."""

    token: int
    signature: bytes
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """An XAUTH user's password is right, or `reason` says why not. Answers Login."""

    token: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HostResolved:
    """Addresses of a host name; empty when the name has none or the resolver failed (`reason`)."""

    name: str
    addresses: tuple[Address, ...]
    reason: str = ""
    ttl: float = 3600.0
    """Seconds the addresses may be believed."""


@dataclass(frozen=True, slots=True)
class GatewaysLearned:
    """What the DNS says about a destination, and a line for each record that is of no use. Answers LearnGateways."""

    learned: Learned
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeysLearned:
    """The public keys of a name, and a line for each record that is of no use. Answers LearnKeys."""

    name: str
    published: Published
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PacketsCounted:
    """What the pair of SAs that CountPackets named has carried so far; `received` is not 0 if dummies alone came."""

    token: int
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class FlowsUsed:
    """Eroutes between two hosts that have met a packet of late. Answers CountUse."""

    flows: tuple[FlowKey, ...]


@dataclass(frozen=True, slots=True)
class Intercepted:
    """A packet between a host here or behind us and one elsewhere met no decision. Decide answers what waits.

    Outbound ones wait. Inbound ones, in clear, have gone on: they only tell that the pair is in use.
    """

    src: Address
    """On our side, whichever way the packet went."""
    dst: Address
    inbound: bool = False


@dataclass(frozen=True, slots=True)
class InterceptionSeen:
    """How first packets are stopped before routing, and how many wait or were dropped there; for the status."""

    how: str
    """`by NFQUEUE`, or by the route into ipsecN."""
    counts: Mapping[str, int]
    """held: packets that wait now. dropped: those there was no room for. overflows: those that were read too late."""


@dataclass(frozen=True, slots=True)
class GuardSeen:
    """How protected flows are kept from leaving in clear, and how many packets were dropped there; for the status."""

    how: str
    """nft or iptables."""
    dropped: Mapping[str, int]
    """By the first guard: out4, out6, in4, in6."""
    last_on: tuple[str, ...] | None
    """Devices the last guard stands on; None: there is none."""
    last_dropped: Mapping[str, int]
    """By the last guard: last4, last6."""


@dataclass(frozen=True, slots=True)
class PeersRecalled:
    """What a daemon before this one had written down by KeepPeers; told once, before any connection."""

    known: tuple[KnownPeer, ...]


@dataclass(frozen=True, slots=True)
class UpdownDone:
    """The updown command that RunUpdown started has ended; `output` lines are for the log."""

    token: int
    status: int
    """Exit status; negative: ended by that signal."""
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EffectFailed:
    """An effect with a token could not be carried out."""

    token: int
    reason: str


EngineEvent: TypeAlias = (
    TimerDue
    | Datagram
    | Datagrams
    | SendFailed
    | StreamOpened
    | StreamRefused
    | PathTooBig
    | WhackRequest
    | WhackGone
    | NetworkState
    | RoutesSeen
    | SecretsRead
    | GroupsRead
    | CertificatesRead
    | Fetched
    | Signed
    | LoggedIn
    | HostResolved
    | GatewaysLearned
    | KeysLearned
    | PacketsCounted
    | FlowsUsed
    | Intercepted
    | InterceptionSeen
    | GuardSeen
    | PeersRecalled
    | UpdownDone
    | EffectFailed
    | KlipsEvent
)
