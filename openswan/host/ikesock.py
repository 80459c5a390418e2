# SPDX-License-Identifier: GPL-2.0-or-later
"""The outer sockets: UDP 500 read here; UDP 4500, raw ESP, AH and IPComp opened here, read by the packet engine.

All carry the mark that routing and the guard know as ours, so that they can never loop into ipsecN, and leave path MTU
to the engine (IP_MTU_DISCOVER OMIT: never DF, a learned MTU is ignored). UDP_ENCAP is never set: kernels accept it and
then swallow all ESP.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address

from openswan.base.address import Address, Endpoint
from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import IKE_PORT, NATT_PORT, NON_ESP_MARKER, SO_MARK, IpProtocol

SO_RCVBUFFORCE = 33
SO_SNDBUFFORCE = 32
SO_ATTACH_REUSEPORT_CBPF = 51
IP_MTU_DISCOVER, IP_PMTUDISC_OMIT = 10, 5
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT = 23, 5
IP_RECVERR, IPV6_RECVERR = 11, 25
IP_HDRINCL, IPV6_HDRINCL = 3, 36
MSG_ERRQUEUE = 0x2000
ORIGINS = {2: "ICMP", 3: "ICMP6"}
"""SO_EE_ORIGIN_* of linux/errqueue.h that others have said."""
BUFFER = 8 << 20
"""Octets of socket buffer: a second of a full gigabit is more, a scheduling gap of the engine's threads is less."""
LARGEST_DATAGRAM = 65536
BATCH = 64
"""Datagrams read per readiness, so that one busy port cannot starve the timers."""


class PortInUseError(HostError):
    """Another program has the port."""


class Kind(Enum):
    """What a socket carries."""

    IKE = "IKE"
    NATT = "NAT traversal"
    ESP = "raw ESP"
    AH = "AH"
    COMP = "IPComp"
    IPIP = "IPv4 in IP"
    IP6 = "IPv6 in IP"

    @property
    def protocol(self) -> IpProtocol | None:
        """What a raw socket carries; None: it is UDP."""
        return RAW.get(self)


RAW = {
    Kind.ESP: IpProtocol.ESP,
    Kind.AH: IpProtocol.AH,
    Kind.COMP: IpProtocol.COMP,
    Kind.IPIP: IpProtocol.IPIP,
    Kind.IP6: IpProtocol.IPV6,
}
BARE = (Kind.IPIP, Kind.IP6)
"""Only for IPComp without ESP or AH, whose incompressible packets come so: nobody else's tunnels are looked at."""


@dataclass(frozen=True, slots=True)
class Outer:
    """One open socket; `local.port` is 0 for a raw one."""

    kind: Kind
    local: Endpoint
    interface: str
    sock: socket.socket
    """What we send by."""
    more: tuple[socket.socket, ...] = ()
    """The rest of a group, where the kernel spreads ESP over several sockets by SPI."""

    @property
    def fds(self) -> tuple[int, ...]:
        """Descriptors of all."""
        return tuple(each.fileno() for each in (self.sock, *self.more))

    @property
    def spread(self) -> bool:
        """Is it a group?"""
        return bool(self.more)


def _sockaddr(address: Address, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    return (str(address), port) if address.version == 4 else (str(address), port, 0, 0)


def open_socket(
    kind: Kind,
    address: Address,
    port: int,
    shared: bool = False,
    marks: Marks = DEFAULT_MARKS,
    buffer: int = BUFFER,
) -> socket.socket:
    """A bound, marked, non-blocking socket; HostError says in one line what stands in the way.

    `shared`: beside others of ours on this port. `buffer`: octets the kernel keeps for us, each way.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    raw = kind.protocol is not None
    sock: socket.socket | None = None
    try:
        sock = socket.socket(
            family,
            (socket.SOCK_RAW if raw else socket.SOCK_DGRAM) | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            kind.protocol or 0,
        )
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, marks.own)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT)
            # IPv6 raw sockets deliver no header (the engine needs the destination from a control message), and
            # refuse V6ONLY, which the protocol number makes superfluous.
            option = socket.IPV6_RECVPKTINFO if raw else socket.IPV6_V6ONLY
            sock.setsockopt(socket.IPPROTO_IPV6, option, 1)
        if kind is Kind.IKE:
            sock.setsockopt(*((socket.IPPROTO_IP, IP_RECVERR) if family == socket.AF_INET else (41, IPV6_RECVERR)), 1)
        for option in (SO_RCVBUFFORCE, SO_SNDBUFFORCE):
            sock.setsockopt(socket.SOL_SOCKET, option, buffer)
        sock.bind(_sockaddr(address, port))
    except OSError as why:
        if sock is not None:
            sock.close()
        error = PortInUseError if why.errno == errno.EADDRINUSE else HostError
        raise error(_explain(kind, address, port, why)) from None
    return sock


def open_group(address: Address, port: int, count: int, marks: Marks = DEFAULT_MARKS) -> tuple[socket.socket, ...]:
    """UDP sockets for ESP on one address and port, among which the kernel chooses by SPI; one where it cannot.

    The first is bound alone, so that a port somebody else has is refused as ever, and it gets all that is not ESP.
    HostError as open_socket.
    """
    first = open_socket(Kind.NATT, address, port, marks=marks)
    group = [first]
    try:
        for _ in range(count - 1):
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            group.append(open_socket(Kind.NATT, address, port, True, marks))
        if len(group) > 1:
            _spread_by_spi(first, len(group))
    except (OSError, HostError):
        for each in group[1:]:
            each.close()
        return (first,)
    return tuple(group)


def _spread_by_spi(sock: socket.socket, lanes: int) -> None:
    """Tell the kernel which socket of a group gets a datagram: classic BPF on its first four octets, the SPI.

    The engine computes the same (plane.commands.AttachSocket). Too short a datagram ends the program with 0.
    """
    program = (
        (0x20, 0, 0, 0),  # A = the SPI, zero for IKE
        (0x07, 0, 0, 0),  # X = A
        (0x74, 0, 0, 16),  # A >>= 16
        (0xAC, 0, 0, 0),  # A ^= X
        (0x24, 0, 0, 0x9E3779B1),  # A *= K modulo 2^32
        (0x74, 0, 0, 16),  # A >>= 16
        (0x94, 0, 0, lanes),  # A %= lanes
        (0x16, 0, 0, 0),  # the socket's place in the group
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    filter_ = struct.pack("@HP", len(program), ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, filter_)


def open_pass_socket(version: int, marks: Marks = DEFAULT_MARKS) -> socket.socket:
    """A marked raw socket for whole packets, header and all: the way out for what an eroute lets pass in clear."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    sock: socket.socket | None = None
    try:
        sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.IPPROTO_RAW)
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, marks.own)
        sock.setsockopt(*((socket.IPPROTO_IP, IP_HDRINCL) if version == 4 else (socket.IPPROTO_IPV6, IPV6_HDRINCL)), 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER)
    except OSError as why:
        if sock is not None:
            sock.close()
        raise HostError(f"cannot open a raw IPv{version} socket: {why.strerror}") from None
    return sock


def _explain(kind: Kind, address: Address, port: int, why: OSError) -> str:
    where = f"{Endpoint(address, port)}" if port else f"{address}"
    if why.errno == errno.EADDRINUSE:
        return f"cannot listen on UDP {where} for {kind.value}: port in use by another program (ss -ulpn shows it)"
    if why.errno in (errno.EPERM, errno.EACCES):
        return f"cannot open the socket for {kind.value} on {where}: root (CAP_NET_ADMIN and CAP_NET_RAW) is needed"
    if why.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {where} for {kind.value}: the address has just gone, or is not usable yet"
    return f"cannot open the socket for {kind.value} on {where}: {why.strerror}"


def extended_error(data: bytes) -> str:
    """A struct sock_extended_err of 16 octets or more, and whose word it is, in the classic words."""
    number, origin, icmp_type, icmp_code = struct.unpack_from("=IBBB", data)
    text = os.strerror(number)
    if origin not in ORIGINS:
        return f"{text} [errno {number}, origin {origin}]"
    family, offender = int.from_bytes(data[16:18], sys.byteorder), data[18:]
    whose = ""
    if family == socket.AF_INET and len(offender) >= 6:
        whose = f"complainant {ip_address(offender[2:6])}: "
    elif family == socket.AF_INET6 and len(offender) >= 22:
        whose = f"complainant {ip_address(offender[6:22])}: "
    what = f"origin {ORIGINS[origin]} type {icmp_type} code {icmp_code} (not authenticated)"
    return f"{whose}{text} [errno {number}, {what}]"


class OuterSockets:
    """All outer sockets, kept in step with the addresses pluto listens on.

    `attach(outer)` is called for each socket that opens, `detach(outer)` before one closes: sockets the packet engine
    reads change hands there. It has `lanes` workers: that many sockets share UDP 4500. `ike_buffer`: octets
    of the buffers of UDP 500's; 0: the usual.
    `on_datagrams(local, ((remote, data), ...))` is what came in on UDP 500, `on_error(local, remote, reason)` what the
    kernel said about something we sent (remote None: it had no room to say to whom).
    """

    def __init__(
        self,
        on_datagrams: Callable[[Endpoint, tuple[tuple[Endpoint, bytes], ...]], None],
        on_error: Callable[[Endpoint, Endpoint | None, str], None],
        attach: Callable[[Outer], None],
        detach: Callable[[Outer], None],
        ike_port: int = IKE_PORT,
        natt_port: int = NATT_PORT,
        lanes: int = 1,
        ike_buffer: int = 0,
        marks: Marks = DEFAULT_MARKS,
    ) -> None:
        self._marks = marks
        self._on_datagrams = on_datagrams
        self._on_error = on_error
        self._attach = attach
        self._detach = detach
        self._lanes = lanes
        self._ike_buffer = ike_buffer or BUFFER
        self._ports = {Kind.IKE: ike_port, Kind.NATT: natt_port} | dict.fromkeys(RAW, 0)
        self._open: dict[tuple[Endpoint, IpProtocol | None], Outer] = {}
        self._addresses: dict[Address, str] = {}
        self._bare: set[Address] = set()

    def __iter__(self) -> Iterator[Outer]:
        return iter(tuple(self._open.values()))

    def follow(self, addresses: Mapping[Address, str]) -> list[HostError]:
        """Open what is missing, close what is no longer wanted; what could not be opened, and why.

        `addresses` maps a local address to its interface.
        """
        self._addresses = dict(addresses)
        wanted = {
            (Endpoint(address, port), kind.protocol): (kind, interface)
            for address, interface in addresses.items()
            for kind, port in self._ports.items()
            if kind not in BARE or address in self._bare
        }
        for key in [each for each in self._open if each not in wanted]:
            self._close(key)
        complaints: list[HostError] = []
        for key, (kind, interface) in wanted.items():
            local = key[0]
            if key in self._open:
                continue
            try:
                if kind is Kind.NATT:
                    sock, *more = open_group(local.address, local.port, self._lanes, self._marks)
                else:
                    buffer = self._ike_buffer if kind is Kind.IKE else BUFFER
                    sock = open_socket(kind, local.address, local.port, marks=self._marks, buffer=buffer)
                    more = []
            except HostError as why:
                complaints.append(why)
                continue
            outer = Outer(kind, local, interface, sock, tuple(more))
            self._open[key] = outer
            if kind is Kind.IKE:
                asyncio.get_running_loop().add_reader(sock.fileno(), self._readable, outer)
            self._attach(outer)
        return complaints

    def want_bare(self, address: Address) -> list[HostError]:
        """From now on take IP in IP at this address too; what could not be opened, and why."""
        self._bare.add(address)
        return self.follow(self._addresses)

    def _close(self, key: tuple[Endpoint, IpProtocol | None]) -> None:
        outer = self._open.pop(key)
        self._detach(outer)
        if outer.kind is Kind.IKE:
            asyncio.get_running_loop().remove_reader(outer.sock.fileno())
        for sock in (outer.sock, *outer.more):
            sock.close()

    def close(self) -> None:
        """Close all of them."""
        for key in list(self._open):
            self._close(key)

    def _readable(self, outer: Outer) -> None:
        messages: list[tuple[Endpoint, bytes]] = []
        for _ in range(BATCH):
            try:
                data, address = outer.sock.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                break
            except OSError as why:
                if not self._read_errors(outer) and why.errno == errno.ECONNREFUSED:
                    self._on_error(outer.local, None, os.strerror(why.errno))
                break
            messages.append((Endpoint(ip_address(address[0].partition("%")[0]), address[1]), data))
        if messages:
            self._on_datagrams(outer.local, tuple(messages))

    def _read_errors(self, outer: Outer) -> int:
        """Take ICMP errors about our own datagrams off the error queue, hints and no more; how many there were."""
        for number in range(BATCH):
            try:
                _, control, _, address = outer.sock.recvmsg(512, 512, MSG_ERRQUEUE | socket.MSG_DONTWAIT)
            except OSError:
                return number
            for level, kind, data in control:
                if (
                    (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (41, IPV6_RECVERR))
                    and len(data) >= 16
                    and address
                ):
                    remote = Endpoint(ip_address(address[0].partition("%")[0]), address[1])
                    self._on_error(outer.local, remote, extended_error(data))
        return BATCH

    def send(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """Send an IKE message from a local endpoint, the non-ESP marker in front where the port calls for it."""
        self.send_raw(local, remote, self.marked(local, data))

    def marked(self, local: Endpoint, data: bytes) -> bytes:
        """An IKE message as it travels from that endpoint."""
        return NON_ESP_MARKER + data if local.port != self._ports[Kind.IKE] else data

    def send_raw(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """Send octets as they are; a refusal becomes an `on_error` call."""
        outer = self._open.get((local, None))
        if outer is None:
            self._on_error(local, remote, f"{local} is not an address we listen on")
            return
        try:
            outer.sock.sendto(data, _sockaddr(remote.address, remote.port))
        except BlockingIOError:
            self._on_error(local, remote, "the socket's send buffer is full")
        except OSError as why:
            # A pending ICMP error makes one send fail that has nothing to do with it: clear it and try once more.
            self._read_errors(outer)
            try:
                outer.sock.sendto(data, _sockaddr(remote.address, remote.port))
            except OSError:
                self._on_error(local, remote, why.strerror or str(why))
