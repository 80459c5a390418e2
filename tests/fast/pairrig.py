# SPDX-License-Identifier: GPL-2.0-or-later
"""Two packet engines back to back over loopback, with raw sockets; for a namespace of its own, as root.

host --> [ west 127.0.0.1, ::1 ] --lo--> [ east 127.0.0.2, fd00::2 ] --> host
"""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from openswan.base.address import Address, Endpoint
from openswan.base.drops import Drop
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.host.ikesock import RAW, open_pass_socket, open_socket
from openswan.klips.engine import Klips
from openswan.plane.commands import (
    AddSa,
    AttachDevice,
    AttachPass,
    AttachSocket,
    Direction,
    GroupSas,
    Mode,
    SetEroute,
)
from openswan.policy.selector import FlowKey, Selector
from tests.fast.rig import eventually

ADDRESSES: dict[int, tuple[Address, Address]] = {
    4: (ip_address("127.0.0.1"), ip_address("127.0.0.2")),
    6: (ip_address("fd00::1"), ip_address("fd00::2")),
}
NETS = {4: ("10.1.0.0/16", "10.2.0.0/16"), 6: ("fd01::/16", "fd02::/16")}
EVERY = {4: "0.0.0.0/0", 6: "::/0"}
KEYS: dict[IpProtocol, dict[str, object]] = {
    IpProtocol.ESP: {"cipher": "aes_gcm_16", "enc_key": bytes(range(20))},
    IpProtocol.AH: {"cipher": "", "enc_key": b"", "integ": "hmac_sha2_256_128", "auth_key": bytes(range(32))},
    IpProtocol.COMP: {"cipher": "deflate", "enc_key": b""},
    IpProtocol.IPIP: {"cipher": "", "enc_key": b""},
}


@dataclass(frozen=True)
class Member:
    """One SA of a bundle, as both ends have it."""

    proto: IpProtocol
    mode: Mode = Mode.TRANSPORT
    more: tuple[tuple[str, object], ...] = ()


def tunnelled(members: Sequence[Member]) -> bool:
    """Does the innermost take any packet, not only those between the ends?"""
    return members[0].mode is Mode.TUNNEL or members[0].proto is IpProtocol.IPIP


class End:
    """One engine."""

    def __init__(self, which: int, mtu: int) -> None:
        self.klips = Klips("auto", 1)
        self.host, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socks = []
        self.klips.execute(AttachDevice("ipsec0", "lo", (inside.detach(),), mtu))
        for version in (4, 6):
            address = ADDRESSES[version][which]
            for kind in RAW:
                sock = open_socket(kind, address, 0)
                self.socks.append(sock)
                protocol = kind.protocol
                assert protocol is not None
                self.klips.execute(AttachSocket(Endpoint(address, 0), (sock.fileno(),), mtu, protocol=protocol))
            sock = open_pass_socket(version)
            self.socks.append(sock)
            self.klips.execute(AttachPass(version, sock.fileno()))
        self.klips.start()

    def close(self) -> None:
        """Stop it."""
        self.klips.stop()
        self.host.close()
        for sock in self.socks:
            sock.close()


class PairRig:
    """West sends, east receives, by one bundle."""

    def __init__(self, mtu: int = 1500) -> None:
        self.west, self.east = End(0, mtu), End(1, mtu)

    def bundle(
        self,
        members: Sequence[Member],
        outer: int,
        inner: int,
        group: bool = True,
        ends: Sequence[Direction] = (Direction.OUT, Direction.IN),
    ) -> list[Said]:
        """SAs of both ends, and west's eroute. Tunnels carry the nets of family `inner`, transport the ends.

        `ends`: west has what goes OUT, east what comes IN.
        """
        src, dst = ADDRESSES[outer]
        ours, theirs = (
            NETS[inner] if tunnelled(members) else (f"{src}/{src.max_prefixlen}", f"{dst}/{dst.max_prefixlen}")
        )
        pair = (Selector.of(ip_network(ours)), Selector.of(ip_network(theirs)))
        saids = []
        for at, member in enumerate(members):
            said = Said(member.proto, 0x1001 + at, dst)
            saids.append(said)
            for direction in ends:
                end = self.west if direction is Direction.OUT else self.east
                values = KEYS[member.proto] | dict(member.more)
                command = AddSa(
                    said=said,
                    src=src,
                    direction=direction,
                    mode=member.mode,
                    selectors=(pair,),
                    bundled=direction is Direction.IN and len(members) > 1 and group,
                    **values,  # type: ignore[arg-type]
                )
                end.klips.execute(command)
        if len(saids) > 1 and group:
            for direction in ends:
                (self.west if direction is Direction.OUT else self.east).klips.execute(GroupSas(tuple(saids)))
        if Direction.OUT in ends:
            self.west.klips.execute(SetEroute(FlowKey(ip_network(ours), ip_network(theirs)), saids[0]))
        return saids

    def through(self, packet: bytes, vnet: bytes = bytes(10)) -> bytes:
        """What comes out at east of what goes in at west."""
        self.west.host.send(vnet + packet)
        if not select.select([self.east.host], [], [], 3)[0]:
            raise AssertionError(f"nothing came: {self.told()}")
        return self.east.host.recv(70000)[10:]

    def told(self) -> str:
        """Drops of both ends."""
        return str([{k.name: n for k, n in end.klips.drops().items() if n} for end in (self.west, self.east)])

    def refused(self, packet: bytes, reason: Drop, at_west: bool = False) -> None:
        """The packet is dropped for this reason."""
        klips = (self.west if at_west else self.east).klips
        before = klips.drops()[reason]
        self.west.host.send(bytes(10) + packet)
        eventually(lambda: klips.drops()[reason] == before + 1, 3, self.told)

    def close(self) -> None:
        """Stop both."""
        self.west.close()
        self.east.close()
