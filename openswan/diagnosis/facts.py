# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything a diagnosis looks at, as plain data; whatever could not be learned has its default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from openswan.base.address import Address
from openswan.base.interval import Duration
from openswan.config.complaint import Complaint
from openswan.diagnosis.firewall import Firewall
from openswan.diagnosis.xfrmpolicies import KernelPolicy
from openswan.policy.connection import Connection, End

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the daemon's log."""

    time: float
    """Seconds since 1970."""
    event: str
    text: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that a conn names for an end, or one of ipsec.d/cacerts."""

    conn: str
    side: str
    name: str
    """Of its file."""
    subject: str
    start: datetime
    end: datetime
    key: bool = True
    """Is its private key in ipsec.secrets?"""
    issued: bool = True
    """Is its issuer in ipsec.d/cacerts?"""


@dataclass(frozen=True, slots=True)
class Link:
    """A network device."""

    name: str
    up: bool
    """Is it up, with a carrier?"""
    mtu: int = 1500
    strict: bool = False
    """Its reverse-path filter is strict, and marks do not count."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where packets for a peer go; `error` when nowhere."""

    device: str = ""
    gateway: Address | None = None
    source: Address | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """What is known of a peer's address."""

    name: str = ""
    """As the conn has it, when that is a host name."""
    address: Address | None = None
    lookup: str = ""
    """Why a name has no address."""
    way: Way | None = None
    neighbour: str = ""
    """State of the neighbour entry of the next hop, when that has failed."""
    answers: Mapping[int, bool] = field(default_factory=dict)
    """UDP port -> did anybody speak IKE there? Ports that were not asked are absent."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """UDP port -> what ICMP said."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the DNS by which the address asked about is reached under IPsec."""

    owner: str
    """`66.2.0.192.in-addr.arpa`"""
    kind: str
    """IPSECKEY or TXT."""
    gateway: Address
    signed: bool = False

    def __str__(self) -> str:
        return f"{self.owner} {self.kind}, gateway {self.gateway}, {'signed' if self.signed else 'not signed'}"


@dataclass(frozen=True, slots=True)
class Config:
    """ipsec.conf."""

    path: str = "/etc/ipsec.conf"
    error: str = ""
    """Why it cannot be read."""
    complaints: tuple[Complaint, ...] = ()
    conns: tuple[Connection, ...] = ()
    """Those that load; of a target only its own."""
    names: tuple[str, ...] = ()
    """Every conn of the file, broken ones too."""
    manual: tuple[str, ...] = ()
    """Those with keys of their own."""
    automatic: Mapping[str, str] = field(default_factory=dict)
    """auto= by name."""
    changed: float = 0.0
    """When the file was written, seconds since 1970."""
    keep_alive: Duration = 20.0
    """Seconds between NAT keepalives."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """ipsec.secrets; nothing of what is in it."""

    path: str = "/etc/ipsec.secrets"
    mode: int | None = 0o600
    """None: there is no such file."""
    complaints: tuple[str, ...] = ()
    changed: float = 0.0
    missing: Mapping[str, str] = field(default_factory=dict)
    """Conn -> what it wants and the file has not."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """pluto."""

    alive: bool = True
    orphan: bool = False
    """A pid file of a process that is gone."""
    answers: bool = True
    """Does the control socket answer?"""
    listening: bool = True
    started: float = 0.0
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The kernel and its settings."""

    seen: bool = True
    """False: it could not be looked at in time."""
    tun: str = ""
    """Why /dev/net/tun cannot be used."""
    queueing: str = ""
    """Why NFQUEUE cannot be used."""
    owners: Mapping[int, str] = field(default_factory=dict)
    """UDP port -> a process that is not pluto and has it."""
    forwarding: Mapping[int, bool] = field(default_factory=lambda: {4: True, 6: True})
    addresses: tuple[tuple[Address, str], ...] = ()
    """(address, device), ipsecN left out."""
    links: Mapping[str, Link] = field(default_factory=dict)
    tunnels: Mapping[str, Link] = field(default_factory=dict)
    """ipsecN."""
    routed: tuple[str, ...] = ()
    """Subnets in our routing table."""
    rules: Mapping[int, bool] = field(default_factory=lambda: {4: True, 6: True})
    """Is the rule that leads to our table there, by address family?"""
    policies: tuple[KernelPolicy, ...] = ()
    """IPsec policies of the kernel's own."""
    nameserver: str = ""
    """Why the first name server does not answer; empty: it does, or was not asked."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it."""

    target: str = ""
    """The conn asked about; empty: all."""
    address: Address | None = None
    """The address asked about."""
    match: str = ""
    """The sentence `ipsec eroute --match` has for a packet to that address."""
    now: float = 0.0
    """Seconds since 1970."""
    config: Config = field(default_factory=Config)
    secrets: Secrets = field(default_factory=Secrets)
    certificates: tuple[Certificate, ...] = ()
    authorities: tuple[Certificate, ...] = ()
    daemon: Daemon = field(default_factory=Daemon)
    machine: Machine = field(default_factory=Machine)
    firewall: Firewall = field(default_factory=Firewall)
    peers: Mapping[str, Peer] = field(default_factory=dict)
    """By conn."""
    connections: tuple[Row, ...] = ()
    """Of `ipsec status --json`."""
    ike_sas: tuple[Row, ...] = ()
    child_sas: tuple[Row, ...] = ()
    sas: tuple[Row, ...] = ()
    """Of `ipsec spi --json`."""
    eroutes: tuple[Row, ...] = ()
    pairs: tuple[Row, ...] = ()
    """Those under policy groups whose far end is the address asked about."""
    records: tuple[Record, ...] = ()
    """What the DNS has told the daemon of that address, the best first,"""
    gateways: Mapping[Address, Peer] = field(default_factory=dict)
    """and what is known of each gateway it names."""
    guard: Mapping[str, int] = field(default_factory=dict)
    """What the leak guard has dropped, by place."""
    log: tuple[Line, ...] = ()
    unseen: tuple[str, ...] = ()
    """What could not be looked at in time."""

    def ours(self, conn: Connection) -> tuple[End, End] | None:
        """(our end, the peer's), None when neither or both are addresses of this host."""
        mine = [self._here(end) for end in (conn.left, conn.right)]
        if mine == [True, False]:
            return conn.left, conn.right
        return (conn.right, conn.left) if mine == [False, True] else None

    def _here(self, end: End) -> bool:
        if end.host.address is not None:
            return any(end.host.address == address for address, _ in self.machine.addresses)
        return end.host.kind.value in ("%defaultroute", "interface")

    def loaded(self, conn: str) -> Row | None:
        """The row of a loaded connection, no instance."""
        return next((row for row in self.connections if row["name"] == conn and not row["instance"]), None)

    def children(self, conn: str) -> list[Row]:
        """The IPsec SAs of a connection and its instances."""
        return [row for row in self.child_sas if _is(row["connection"], conn)]

    def ikes(self, conn: str) -> list[Row]:
        """Its established IKE SAs."""
        return [row for row in self.ike_sas if row["established"] and _is(row["connection"] or "", conn)]

    def counted(self, conn: str, direction: str) -> int:
        """Packets its SAs have carried, in or out."""
        serials = {row["serial"] for row in self.children(conn)}
        return sum(row["packets"] for row in self.sas if row["serial"] in serials and row["direction"] == direction)

    def lines(self, conn: str) -> Iterator[Line]:
        """What the log says of a connection since it last was up, newest first; lines about nobody known as well."""
        prefix = f'"{conn}"'
        for line in reversed(self.log):
            named = line.text.startswith((prefix, f'"{conn}['))
            if named and line.event in ("child-established", "conn-added"):
                return
            if named or not line.text.startswith('"'):
                yield line


def _is(name: str, conn: str) -> bool:
    return name == conn or name.startswith((f"{conn}[", f"{conn}/"))
