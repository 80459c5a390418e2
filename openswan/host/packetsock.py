# SPDX-License-Identifier: GPL-2.0-or-later
"""Packet sockets for raw ESP: one that puts packets on a link, and rings that take them off (TPACKET_V3).

    ring:  | block | block | block | ...    shared with the kernel, which fills one after the other

Numbers are those of linux/if_packet.h, linux/if_ether.h and linux/filter.h. The sockets vanish with their process.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence

from openswan.base.address import Address
from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import SO_MARK, IpProtocol

SO_SNDBUFFORCE = 32
SO_ATTACH_FILTER = 26
SOL_PACKET = 263
PACKET_RX_RING, PACKET_VERSION, PACKET_FANOUT, PACKET_FANOUT_DATA, PACKET_IGNORE_OUTGOING = 5, 10, 18, 22, 23
FANOUT_CBPF, FANOUT_UNIQUE = 6, 0x2000
TPACKET_V3 = 2
ETH_P_ALL = 0x0003
ETHERTYPES = {4: 0x0800, 6: 0x86DD}
PACKET_HOST, PACKET_OUTGOING = 0, 4
PLAIN_HEAD = 0x45
"""First octet of an IPv4 packet without options."""
FRAGMENT = 0x3FFF
"""More fragments, and the fragment offset."""
BUFFER = 8 << 20
BLOCK, BLOCKS = 1 << 15, 128
"""Octets of a block (some twenty full packets: fewer would wake the engine oftener, more would wait longer), and blocks
of a ring, which together hold what comes in while the engine's thread waits for its turn."""
FRAME = 2048
"""Of no meaning in this version, but it has to divide a block."""
RETIRE = 1
"""Milliseconds after which a block that is not full is handed over; the kernel knows no less."""
MOST_ADDRESSES = 16
ANCILLARY = 0xFFFFF000
"""SKF_AD_OFF: what the kernel knows of a packet beside its octets,"""
AD_PROTOCOL, AD_PKTTYPE = 0, 4
LOAD_BYTE, LOAD_HALF, LOAD_WORD, LOAD_INDEXED, HEAD_LENGTH = 0x30, 0x28, 0x20, 0x40, 0xB1
EQUAL, ANY_BIT, TO_X, RIGHT, XOR_X, TIMES, MODULO = 0x15, 0x45, 0x07, 0x74, 0xAC, 0x24, 0x94
JUMP, ANSWER, ANSWER_A, INDEX = 0x05, 0x06, 0x16, 0x01
WHOLE = 0xFFFF

Program = list[tuple[int, int, int, int]]
"""Classic BPF: (operation, jump if true, jump if false, operand)."""
REJECT: Program = [(ANSWER, 0, 0, 0)]


def program(addresses: Sequence[Address]) -> Program:
    """Let in whole ESP packets to one of these addresses, IPv4 ones without options; offsets count from the IP header.

    What comes to us by ethernet broadcast or was meant for others is none of ours.
    """
    steps: list[tuple[int, int, str]] = [(LOAD_WORD, ANCILLARY + AD_PKTTYPE, ""), (EQUAL, PACKET_HOST, "no")]
    for version in (4, 6):
        here = [each for each in addresses if each.version == version]
        if not here:
            continue
        after = f"after {version}"
        steps += [(LOAD_HALF, ANCILLARY + AD_PROTOCOL, ""), (EQUAL, ETHERTYPES[version], after)]
        steps += [(LOAD_BYTE, 9 if version == 4 else 6, ""), (EQUAL, IpProtocol.ESP, "no")]
        if version == 4:
            steps += [(LOAD_BYTE, 0, ""), (EQUAL, PLAIN_HEAD, "no"), (LOAD_HALF, 6, ""), (ANY_BIT, FRAGMENT, "no")]
        for n, each in enumerate(here):
            following = f"address {version} {n + 1}"
            for at in range(0, len(each.packed), 4):
                word = int.from_bytes(each.packed[at : at + 4], "big")
                steps += [(LOAD_WORD, (16 if version == 4 else 24) + at, ""), (EQUAL, word, following)]
            steps += [(ANSWER, WHOLE, ""), (-1, 0, following)]
        steps += [(ANSWER, 0, ""), (-1, 0, after)]
    steps += [(-1, 0, "no"), (ANSWER, 0, "")]
    return assemble(steps)


def assemble(steps: list[tuple[int, int, str]]) -> Program:
    """(operation, operand, label): a comparison that fails goes to its label, ANY_BIT when it holds; -1 places one."""
    places: dict[str, int] = {}
    count = 0
    for code, _, label in steps:
        if code == -1:
            places[label] = count
        else:
            count += 1
    made: Program = []
    for code, operand, label in steps:
        if code == -1:
            continue
        away = places[label] - len(made) - 1 if label else 0
        made.append((code, away, 0, operand) if code == ANY_BIT else (code, 0, away, operand))
    return made


def lane_program(lanes: int) -> Program:
    """Which of `lanes` sockets gets a packet, by SPI, as plane.commands.AttachSocket says; what is no ESP: any."""
    return [
        (LOAD_BYTE, 0, 0, 0),
        (RIGHT, 0, 0, 4),
        (EQUAL, 0, 2, 4),
        (HEAD_LENGTH, 0, 0, 0),  # X = octets of the IPv4 header
        (JUMP, 0, 0, 2),
        (EQUAL, 0, 9, 6),
        (INDEX, 0, 0, 40),
        (LOAD_INDEXED, 0, 0, 0),  # A = the SPI
        (TO_X, 0, 0, 0),
        (RIGHT, 0, 0, 16),
        (XOR_X, 0, 0, 0),
        (TIMES, 0, 0, 0x9E3779B1),
        (RIGHT, 0, 0, 16),
        (MODULO, 0, 0, lanes),
        (ANSWER_A, 0, 0, 0),
        (ANSWER, 0, 0, 0),
    ]


def attach_program(
    sock: socket.socket, steps: Program, level: int = socket.SOL_SOCKET, option: int = SO_ATTACH_FILTER
) -> None:
    """Hand a program to the kernel; OSError when it does not take it."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in steps))
    sock.setsockopt(level, option, struct.pack("@HP", len(steps), ctypes.addressof(code)))


def open_link(marks: Marks = DEFAULT_MARKS) -> socket.socket:
    """A marked packet socket that only sends, each packet where its address says; HostError when there is none."""
    sock: socket.socket | None = None
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, marks.own)
        sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER)
    except OSError as why:
        if sock is not None:
            sock.close()
        raise HostError(f"no packet socket: {why.strerror}") from None
    return sock


def open_rings(interface: str, addresses: Sequence[Address], count: int) -> tuple[socket.socket, ...]:
    """Packet sockets with rings of BLOCKS blocks of BLOCK octets that take ESP to these addresses off an interface.

    `count` of them share it by SPI, or one has all where the kernel cannot. HostError when there can be none.
    """
    if len(addresses) > MOST_ADDRESSES:
        raise HostError(f"{interface} has {len(addresses)} addresses, packet rings tell {MOST_ADDRESSES} apart")
    socks: list[socket.socket] = []
    try:
        for _ in range(count):
            socks.append(_open_ring(interface, addresses))
        if count > 1:
            _share(socks)
    except OSError as why:
        for each in socks:
            each.close()
        if count > 1:
            return open_rings(interface, addresses, 1)
        raise HostError(f"no packet ring on {interface}: {why.strerror or why}") from None
    return tuple(socks)


def _open_ring(interface: str, addresses: Sequence[Address]) -> socket.socket:
    # Protocol 0: it hears nothing before it is bound, and then only what its filter lets in.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        attach_program(sock, program(addresses))
        request = (BLOCK, BLOCKS, FRAME, BLOCK // FRAME * BLOCKS, RETIRE, 0, 0)
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("=7I", *request))
        # All protocols: sockets of one are served behind the place where packets are dropped (openswan.host.ingress).
        sock.bind((interface, ETH_P_ALL))
    except OSError:
        sock.close()
        raise
    return sock


def _share(socks: Sequence[socket.socket]) -> None:
    """Let the kernel choose among them by SPI. The first one gets a group number nobody else has."""
    socks[0].setsockopt(SOL_PACKET, PACKET_FANOUT, (FANOUT_CBPF | FANOUT_UNIQUE) << 16)
    number = socks[0].getsockopt(SOL_PACKET, PACKET_FANOUT) & 0xFFFF
    for each in socks[1:]:
        each.setsockopt(SOL_PACKET, PACKET_FANOUT, FANOUT_CBPF << 16 | number)
    attach_program(socks[0], lane_program(len(socks)), SOL_PACKET, PACKET_FANOUT_DATA)
