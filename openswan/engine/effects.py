# SPDX-License-Identifier: GPL-2.0-or-later
"""What pluto wants done: frozen dataclasses that the host carries out in order; data-plane commands are effects too.

The list that one Pluto.handle() call returns is carried out first to last. RunUpdown and Resolve do not block: what
must wait for an updown's exit status is emitted when its UpdownDone event comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from openswan.base.address import Address, Endpoint, Subnet
from openswan.base.said import Said
from openswan.crypto.sign import Scheme
from openswan.crypto.tokenkey import TokenKey
from openswan.plane.commands import Command
from openswan.policy.connection import XauthBy
from openswan.policy.known import KnownPeer
from openswan.policy.selector import FlowKey


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send an IKE message; the host puts the non-ESP marker in front when the local port is not the IKE port.

    From the end of a TCP stream it goes there.
    """

    local: Endpoint
    remote: Endpoint
    data: bytes
    whole: bool = False
    """With DF, never in IP fragments."""


@dataclass(frozen=True, slots=True)
class SendKeepalive:
    """Send one NAT keepalive octet 0xFF (RFC 3948 2.3)."""

    local: Endpoint
    remote: Endpoint


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Open a TCP connection from `local` and give it to the packet engine (AttachStream); StreamOpened or StreamRefused
    with the same token answers."""

    token: int
    local: Address
    remote: Endpoint


@dataclass(frozen=True, slots=True)
class KlipsCommand:
    """Give the packet engine a command; with a token, a refusal comes back as EffectFailed."""

    command: Command
    token: int = 0


@dataclass(frozen=True, slots=True)
class CountPackets:
    """How many packets a pair of SAs has carried, as long as it receives; PacketsCounted answers."""

    token: int
    out: Said
    into: Said


@dataclass(frozen=True, slots=True)
class CountUse:
    """Which eroutes between two hosts have met a packet in the last `seconds`; FlowsUsed answers."""

    seconds: float
    tunnels: tuple[tuple[FlowKey, Said], ...] = ()
    """Flows and the inbound SAs whose use counts as theirs."""


@dataclass(frozen=True, slots=True)
class GuardEntry:
    """One protected flow, seen outbound: it may leave only through `device`, its reverse may enter only there."""

    key: FlowKey
    device: str


@dataclass(frozen=True, slots=True)
class SetGuard:
    """These entries are what the guard holds for `connection` from now on (replacing what it held, make before break).

    `block_families` are IP versions whose traffic is blocked altogether because the conn is 0/0 in the other family.
    """

    connection: str
    entries: tuple[GuardEntry, ...]
    block_families: tuple[int, ...] = ()


class Way(Enum):
    """What policy groups say of packets to a net; of equal nets the first one counts."""

    CLOSED = "nothing goes there in clear before it is decided"
    OPEN = "looked for a tunnel, in clear where there is none"
    APART = "not looked at: in clear, refused, or an ordinary conn's"


@dataclass(frozen=True, slots=True)
class Intercept:
    """For whom packets are stopped until they are decided; the most specific of the nets counts."""

    nets: tuple[tuple[Subnet, Way], ...] = ()
    """Where they go."""
    inside: tuple[Subnet, ...] = ()
    """Nets behind this host whose packets are meant,"""
    own: tuple[Subnet, ...] = ()
    """and addresses of this host."""
    others: tuple[tuple[Subnet, Subnet], ...] = ()
    """(source, destination) of ordinary conns, which are none of a group's business."""
    selves: tuple[Subnet, ...] = ()
    """Where hosts behind this one may have IKE and ESP of their own pass that has no tunnel to go through,"""
    refused: tuple[Subnet, ...] = ()
    """but for these nets, for which some line closes all."""


class Decision(Enum):
    """What becomes of a pair's packets."""

    HOLD = "they wait"
    PASS = "in clear, past the packet engine"
    TUNNEL = "into ipsecN: there is a tunnel"
    REFUSE = "into ipsecN, where they are refused"
    DROP = "dropped"
    FORGET = "those that wait are dropped, the next ones ask anew"
    LEAVE = "none of our business: as if nobody had asked"


@dataclass(frozen=True, slots=True)
class Decide:
    """From now on packets from `src` to `dst` go this way, those that wait first."""

    src: Address
    dst: Address
    decision: Decision


@dataclass(frozen=True, slots=True)
class HaveDevice:
    """Have a virtual interface of its own for strangers, beside the one that stands on `interface`."""

    device: str
    interface: str


@dataclass(frozen=True, slots=True)
class DelGuard:
    """The connection protects nothing any more."""

    connection: str


@dataclass(frozen=True, slots=True)
class OpenFlows:
    """What this host may say in clear although it is guarded: these flows, each to one port of one other host, and what
    comes back; nothing that is forwarded. Replaces what was open before.
    """

    flows: tuple[FlowKey, ...]


@dataclass(frozen=True, slots=True)
class RunUpdown:
    """Run an updown verb; UpdownDone with the same token answers.

    `command` is leftupdown=; the default "ipsec _updown" is carried out in-process. `environment` is the whole PLUTO_*
    contract; PLUTO_VERB is in it.
    """

    token: int
    command: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look up a host name's addresses without blocking; HostResolved answers."""

    name: str
    version: int = 0
    """4, 6 or 0 for both."""


@dataclass(frozen=True, slots=True)
class LearnGateways:
    """Ask the DNS who the gateways of `destination` are; GatewaysLearned answers."""

    destination: Address


@dataclass(frozen=True, slots=True)
class LearnKeys:
    """Ask the DNS for the public keys of `name`; KeysLearned answers."""

    name: str


@dataclass(frozen=True, slots=True)
class ReadSecrets:
    """Read ipsec.secrets (again); SecretsRead answers."""

    client: int = 0


@dataclass(frozen=True, slots=True)
class ReadGroups:
    """Read the files of policy groups (again); GroupsRead answers."""

    names: tuple[str, ...]
    client: int = 0


@dataclass(frozen=True, slots=True)
class ReadCertificates:
    """Read the certificate directories (again); CertificatesRead answers."""

    client: int = 0


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch `uri` by HTTP without blocking; Fetched with the same token answers."""

    token: int
    uri: str
    limit: int
    """Octets of an answer at most."""
    timeout: float
    """Seconds for all of it."""
    body: bytes = b""
    """Sent by POST; empty: GET."""
    content_type: str = ""
    """Of `body`."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Have a token sign without blocking; Signed with the same token answers."""

    token: int
    key: TokenKey
    scheme: Scheme
    octets: bytes


@dataclass(frozen=True, slots=True)
class Login:
    """Have an XAUTH user's password judged without blocking; LoggedIn with the same token answers."""

    token: int
    connection: str
    user: str
    password: bytes = field(repr=False)
    remote: Address
    by: XauthBy


@dataclass(frozen=True, slots=True)
class Listen:
    """Open IKE and ESP sockets on these addresses and close those on others; virtual interfaces attached as needed."""

    addresses: tuple[tuple[Address, str], ...]
    """(local address, physical interface)."""


@dataclass(frozen=True, slots=True)
class FlushConntrack:
    """Delete connection tracking entries whose original direction lies in these flows: a new guard has gone in."""

    flows: tuple[tuple[Subnet, Subnet], ...]


@dataclass(frozen=True, slots=True)
class WhackLine:
    """One `NNN text` line for a whack client."""

    client: int
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class WhackDone:
    """No more lines for that client: close the connection."""

    client: int


@dataclass(frozen=True, slots=True)
class Log:
    """One line for the log; `serious` ones are errors. `event` is a stable machine-readable reason code."""

    text: str
    serious: bool = False
    event: str = ""


@dataclass(frozen=True, slots=True)
class KeepPeers:
    """Write down what is known of peers of policy groups; PeersRecalled tells it the next daemon."""

    known: tuple[KnownPeer, ...]


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the process; `keep_guard` is true at a restart: protection stays in place."""

    keep_guard: bool


Effect: TypeAlias = (
    SendDatagram
    | SendKeepalive
    | OpenStream
    | KlipsCommand
    | CountPackets
    | CountUse
    | SetGuard
    | DelGuard
    | OpenFlows
    | HaveDevice
    | Intercept
    | Decide
    | KeepPeers
    | RunUpdown
    | Resolve
    | LearnGateways
    | LearnKeys
    | ReadSecrets
    | ReadGroups
    | ReadCertificates
    | Fetch
    | Sign
    | Login
    | Listen
    | FlushConntrack
    | WhackLine
    | WhackDone
    | Log
    | Shutdown
)
