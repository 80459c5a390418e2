# SPDX-License-Identifier: GPL-2.0-or-later
"""Outer IPv6 packets cut by ourselves: what the peer's kernel puts together is what it would have got whole."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv6Address, ip_network

import pytest

from _fast.outer import fragments
from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said, Shunt
from openswan.klips.engine import Klips
from openswan.klips.slow.esp import Esp
from openswan.plane.commands import (
    AddSa,
    AttachDevice,
    AttachPass,
    AttachSocket,
    Direction,
    Encap,
    SetEroute,
    SetPathMtu,
)
from openswan.policy.selector import FlowKey
from tests.fast.rig import KEYS, checksum, eventually, join4, pseudo, tcp, udp

HERE, THERE = IPv6Address("2001:db8::1").packed, IPv6Address("2001:db8::2").packed


@pytest.mark.parametrize("encap", [True, False])
@pytest.mark.parametrize("size", [1233, 1400, 3000, 9000, 65400])
@pytest.mark.parametrize("cut", [1280, 1420])
def test_the_pieces_make_the_packet(encap: bool, size: int, cut: int) -> None:
    sealed = bytes(n * 7 % 251 for n in range(size))
    pieces = fragments(sealed, HERE, 4500, THERE, 4501, encap, 0xB9, cut, 77)
    if size + (48 if encap else 40) <= cut:
        assert pieces is None
        return
    assert pieces is not None
    data = b""
    for piece in pieces:
        first, length, kind, hops = struct.unpack("!IHBB", piece[:8])
        assert (first, length, kind, hops) == (6 << 28 | 0xB9 << 20, len(piece) - 40, 44, 64) and len(piece) <= cut
        assert piece[8:40] == HERE + THERE and piece[44:48] == struct.pack("!I", 77)
        after, _, where = struct.unpack("!BBH", piece[40:44])
        assert after == (17 if encap else 50) and where & ~7 == len(data)
        assert where & 1 == (piece is not pieces[-1])
        data += piece[48:]
    if encap:
        assert struct.unpack("!HHH", data[:6]) == (4500, 4501, len(data))
        assert checksum(pseudo("2001:db8::1", "2001:db8::2", 17, len(data)) + data) == 0
        data = data[8:]
    assert data == sealed


def test_what_fits_is_left_alone() -> None:
    assert fragments(bytes(1232), HERE, 4500, THERE, 4500, True, 0, 1280, 1) is None
    assert fragments(bytes(1240), HERE, 0, THERE, 0, False, 0, 1280, 1) is None
    assert fragments(bytes(65000), HERE, 0, THERE, 0, False, 0, 0, 1) is None


def test_a_flush_amid_fragments_leaves_them_alone() -> None:
    # After the first of a large packet's inner fragments the outbox is full, and what is flushed then needs outer ones.
    klips = Klips("auto", 1)
    host, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pass_to, pass_from = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    here, peer = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
    try:
        host.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        for sock in (here, peer):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            sock.bind(("::1", 0))
        ports = here.getsockname()[1], peer.getsockname()[1]
        said = Said(IpProtocol.ESP, 0x2002, IPv6Address("::1"))
        klips.execute(AttachDevice("ipsec0", "lo", (inside.detach(),), 1500))
        klips.execute(AttachSocket(Endpoint(IPv6Address("::1"), ports[0]), (here.fileno(),), 1500))
        klips.execute(AttachPass(6, pass_to.fileno()))
        key, _, _ = KEYS["aes_gcm_16"]
        out = AddSa(said, IPv6Address("::1"), Direction.OUT, "aes_gcm_16", key, encap=Encap(*ports))
        klips.execute(out)
        klips.execute(SetPathMtu(said, 1300))
        every = FlowKey(ip_network("0.0.0.0/0"), ip_network("0.0.0.0/0"), 0, 0, 0)
        klips.execute(SetEroute(every, Shunt.HOLD))
        klips.start()
        large = udp("10.1.0.5", "10.2.0.7", 1, 2, bytes(n * 7 % 251 for n in range(60000)), df=False)
        # Too large and not to be cut: it was held, so it goes in outer fragments.
        host.send(bytes(10) + udp("10.1.0.5", "10.2.0.7", 1, 2, bytes(1400)))
        for _ in range(1022):
            host.send(bytes(10) + tcp("10.1.0.5", "10.2.0.7", 1, 2))
        host.send(bytes(10) + large)
        eventually(lambda: klips.eroutes()[0].held == 1024, 5.0)
        klips.execute(SetEroute(every, said))
        twin, pieces = Esp("aes_gcm_16", key, window=4096), []
        peer.settimeout(1.0)
        while sum(len(piece) - 20 for piece in pieces) < len(large) - 20:
            why, packet, header, _ = twin.open(peer.recv(70000))
            assert why is Drop.NONE
            if header == 4 and packet[9] == 17:
                pieces.append(packet)
        assert join4(pieces) == large[20:]
    finally:
        klips.stop()
        for sock in (host, pass_to, pass_from, here, peer):
            sock.close()
