# SPDX-License-Identifier: GPL-2.0-or-later
"""A packet engine without root: a socket pair stands for the TUN, a UDP socket on loopback for the peer.

test --host--> [ engine ] --wire--> peer          peer is driven by the plain-Python twin of ESP
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.klips.engine import Klips
from openswan.klips.slow.esp import Esp
from openswan.plane.commands import AddSa, AttachDevice, AttachSocket, Command, DelEroute, Direction, Encap, SetEroute
from openswan.plane.events import KlipsEvent
from openswan.policy.selector import FlowKey, Selector

VNET = bytes(10)
KEYS = {
    "aes_gcm_16": (bytes(range(20)), "", b""),
    "chacha20_poly1305": (bytes(range(36)), "", b""),
    "aes_cbc": (bytes(range(16)), "hmac_sha2_256_128", bytes(range(32))),
}
HERE, THERE = "10.1.0.5", "10.2.0.7"
IN_SPI, OUT_SPI = 0x1001, 0x2002


def checksum(data: bytes) -> int:
    """RFC 1071, as a number in network order."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ip(
    src: str,
    dst: str,
    protocol: int,
    payload: bytes,
    *,
    df: bool = True,
    tos: int = 0,
    frag: int = 0,
    ttl: int = 64,
    ident: int = 1,
) -> bytes:
    """An IPv4 or IPv6 packet; `frag` is the IPv4 flags-and-offset field beyond DF."""
    a, b = ip_address(src), ip_address(dst)
    if a.version == 6:
        return struct.pack("!IHBB", 6 << 28 | tos << 20, len(payload), protocol, ttl) + a.packed + b.packed + payload
    head = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(payload), ident, df << 14 | frag, ttl, protocol, 0)
    head += a.packed + b.packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def pseudo(src: str, dst: str, protocol: int, length: int) -> bytes:
    """The pseudo header of TCP, UDP and ICMPv6."""
    return ip_address(src).packed + ip_address(dst).packed + struct.pack("!IHBB", length, 0, 0, protocol)


def udp(src: str, dst: str, sport: int, dport: int, payload: bytes = b"payload", **more: int) -> bytes:
    """A UDP packet with its checksum."""
    head = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    total = checksum(pseudo(src, dst, 17, 8 + len(payload)) + head + payload) or 0xFFFF
    return ip(src, dst, 17, head[:6] + struct.pack("!H", total) + payload, **more)  # type: ignore[arg-type]


def tcp(
    src: str,
    dst: str,
    sport: int,
    dport: int,
    payload: bytes = b"",
    *,
    seq: int = 1,
    ack: int = 1,
    flags: int = 0x10,
    options: bytes = b"",
    window: int = 500,
    **more: int,
) -> bytes:
    """A TCP segment with its checksum; `options` must fill whole words."""
    head = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, (20 + len(options)) << 2, flags, window, 0, 0) + options
    total = checksum(pseudo(src, dst, 6, len(head) + len(payload)) + head + payload)
    return ip(src, dst, 6, head[:16] + struct.pack("!H", total) + head[18:] + payload, **more)  # type: ignore[arg-type]


def icmp_error(src: str, dst: str, about: bytes, kind: int = 3, code: int = 1) -> bytes:
    """An ICMP or ICMPv6 error quoting `about`."""
    body = struct.pack("!BBHI", kind, code, 0, 0) + about
    v6 = ip_address(src).version == 6
    total = checksum((pseudo(src, dst, 58, len(body)) if v6 else b"") + body)
    return ip(src, dst, 58 if v6 else 1, body[:2] + struct.pack("!H", total) + body[4:])


def checksums_right(packet: bytes) -> bool:
    """Is every checksum of this TCP or UDP packet right?"""
    if packet[0] >> 4 == 4:
        head, protocol = (packet[0] & 15) * 4, packet[9]
        if checksum(packet[:head]):
            return False
    else:
        head, protocol = 40, packet[6]
    src, dst = (packet[12:16], packet[16:20]) if head == 20 else (packet[8:24], packet[24:40])
    length = len(packet) - head
    return checksum(src + dst + struct.pack("!IHBB", length, 0, 0, protocol) + packet[head:]) == 0


def join4(pieces: list[bytes]) -> bytes:
    """The payload as RFC 791 3.2 puts it together; pieces may not overlap or leave a hole."""
    data = b""
    for piece in sorted(pieces, key=lambda p: int.from_bytes(p[6:8], "big") & 0x1FFF):
        head = (piece[0] & 15) * 4
        assert (int.from_bytes(piece[6:8], "big") & 0x1FFF) * 8 == len(data)
        data += piece[head : int.from_bytes(piece[2:4], "big")]
    return data


def vnet(kind: int, head: int, size: int, start: int, offset: int, flags: int = 1) -> bytes:
    return struct.pack("<BBHHHH", flags, kind, head, size, start, offset)


def mss_option(value: int) -> bytes:
    return struct.pack("!BBH", 2, 4, value)


class Rig:
    """One engine with a tunnel 10.1.0.0/16 <-> 10.2.0.0/16 whose peer is this process."""

    def __init__(
        self,
        cipher: str = "aes_gcm_16",
        provider: str = "auto",
        *,
        esn: bool = False,
        workers: int = 1,
        mtu: int = 1500,
    ) -> None:
        self.klips = Klips(provider, workers)
        self.host, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.host.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        inside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.peer.bind(("127.0.0.1", 0))
        self.cipher, self.esn = cipher, esn
        self.local = Endpoint(ip_address("127.0.0.1"), self.sock.getsockname()[1])
        self.remote = Endpoint(ip_address("127.0.0.1"), self.peer.getsockname()[1])
        self.do(AttachDevice("ipsec0", "lo", (inside.detach(),), mtu))
        self.do(AttachSocket(self.local, (self.sock.fileno(),), mtu))
        self.out_said = Said(IpProtocol.ESP, OUT_SPI, self.remote.address)
        self.in_said = Said(IpProtocol.ESP, IN_SPI, self.local.address)
        key, integ, auth = KEYS[cipher]
        self.from_engine = Esp(cipher, key, integ, auth, esn, 4096)
        self.to_engine = Esp(cipher, key, integ, auth, esn)
        self.sequence = 0
        self.klips.start()

    def do(self, command: Command) -> None:
        """Execute a command."""
        self.klips.execute(command)

    def refused(self, command: Command) -> str:
        """Why a command is refused, which is one line."""
        try:
            self.klips.execute(command)
        except KlipsError as why:
            assert "\n" not in str(why)
            return str(why)
        raise AssertionError(f"{command} was carried out")

    def sa(
        self,
        direction: Direction,
        said: Said | None = None,
        selectors: tuple[tuple[Selector, Selector], ...] | None = None,
        **more: object,
    ) -> AddSa:
        """An AddSa of this rig's keys."""
        key, integ, auth = KEYS[self.cipher]
        out = direction is Direction.OUT
        here, there = Selector.of(ip_network("10.1.0.0/16")), Selector.of(ip_network("10.2.0.0/16"))
        here6, there6 = Selector.of(ip_network("fd01::/16")), Selector.of(ip_network("fd02::/16"))
        pairs = ((here, there), (here6, there6)) if out else ((there, here), (there6, here6))
        values: dict[str, object] = {
            "said": said or (self.out_said if out else self.in_said),
            "src": self.local.address if out else self.remote.address,
            "direction": direction,
            "cipher": self.cipher,
            "enc_key": key,
            "integ": integ,
            "auth_key": auth,
            "esn": self.esn,
            "encap": Encap(self.local.port, self.remote.port) if out else Encap(self.remote.port, self.local.port),
            "selectors": pairs if selectors is None else selectors,
            "owner": "net",
        }
        return AddSa(**{**values, **more})  # type: ignore[arg-type]

    def eroute(
        self,
        target: Said | Shunt | None = None,
        src: str = "10.1.0.0/16",
        dst: str = "10.2.0.0/16",
        protocol: int = 0,
        sport: int = 0,
        dport: int = 0,
    ) -> FlowKey:
        """Set an eroute; to the tunnel unless a target is given."""
        key = FlowKey(ip_network(src), ip_network(dst), protocol, sport, dport)
        self.do(SetEroute(key, self.out_said if target is None else target, owner="net"))
        return key

    def uneroute(self, key: FlowKey) -> None:
        """Remove an eroute."""
        self.do(DelEroute(key))

    def tunnel(self) -> None:
        """Both SAs and the eroutes of both families."""
        self.do(self.sa(Direction.IN))
        self.do(self.sa(Direction.OUT))
        self.eroute()
        self.eroute(src="fd01::/16", dst="fd02::/16")

    def send(self, packet: bytes, vnet: bytes = VNET) -> None:
        """The host routes a packet into ipsec0."""
        self.host.send(vnet + packet)

    def from_host(self, timeout: float = 2.0) -> bytes:
        """The next frame the engine writes to ipsec0, vnet header first."""
        self.host.settimeout(timeout)
        return self.host.recv(70000)

    def received(self, timeout: float = 2.0) -> bytes:
        """The next packet out of ipsec0."""
        return self.from_host(timeout)[10:]

    def wire(self, timeout: float = 2.0) -> bytes:
        """The next ESP packet on the wire."""
        self.peer.settimeout(timeout)
        return self.peer.recv(70000)

    def opened(self, timeout: float = 2.0) -> bytes:
        """The next packet on the wire, decrypted by the twin."""
        why, inner, _, _ = self.from_engine.open(self.wire(timeout))
        assert why is Drop.NONE, why
        return inner

    def seal(
        self, inner: bytes, *, spi: int = IN_SPI, sequence: int | None = None, next_header: int | None = None
    ) -> bytes:
        """An ESP packet as the peer would send it."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        header = next_header if next_header is not None else 41 if inner[0] >> 4 == 6 else 4
        iv = sequence.to_bytes(16, "big")[16 - self.to_engine.iv_len :]
        return self.to_engine.seal(spi, sequence, inner, header, iv)

    def arrive(self, datagram: bytes) -> None:
        """A datagram from the peer."""
        self.peer.sendto(datagram, (str(self.local.address), self.local.port))

    def silent(self, seconds: float = 0.15) -> bool:
        """Does nothing come out, at either end?"""
        return not select.select([self.host, self.peer], [], [], seconds)[0]

    def dropped(self, reason: Drop, count: int = 1, timeout: float = 2.0) -> None:
        """Wait until `count` packets were dropped for `reason`, and assert it is no more."""
        eventually(lambda: self.klips.drops()[reason] >= count, timeout, lambda: str(self.klips.drops()))
        assert self.klips.drops()[reason] == count

    def events(self, count: int = 1, timeout: float = 2.0) -> list[KlipsEvent]:
        """The next `count` events."""
        got: list[KlipsEvent] = []
        end = time.monotonic() + timeout
        while len(got) < count and time.monotonic() < end:
            select.select([self.klips.event_fd()], [], [], 0.2)
            got += self.klips.poll_events()
        assert len(got) == count, got
        return got

    def close(self) -> None:
        """Stop the engine."""
        self.klips.stop()
        for each in (self.host, self.sock, self.peer):
            each.close()


def eventually(test: Callable[[], bool], timeout: float = 2.0, say: Callable[[], str] = lambda: "") -> None:
    """Wait until `test` holds."""
    end = time.monotonic() + timeout
    while not test():
        assert time.monotonic() < end, say()
        time.sleep(0.005)
