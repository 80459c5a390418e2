# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets as they lie in a packet socket's ring: opened, or dropped for what the IP layer would have dropped them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from _fast.intake import block, feed
from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.plane.commands import AttachSocket, Direction
from tests.fast.rig import HERE, THERE, Rig, checksum, ip, tcp, udp

OURS, PEER = "192.0.2.1", "192.0.2.2"
OURS6, PEER6 = "2001:db8::1", "2001:db8::2"


@pytest.fixture
def raw() -> Iterator[Rig]:
    """A rig whose tunnel is raw ESP between addresses that no socket of ours has: packets are laid before worker 0."""
    rig = Rig()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        for address in (OURS, OURS6):
            rig.do(AttachSocket(Endpoint(ip_address(address), 0), (sock.fileno(),)))
    rig.do(rig.sa(Direction.IN, encap=None, said=said(rig, OURS), src=ip_address(PEER)))
    yield rig
    rig.close()


def said(rig: Rig, address: str, spi: int | None = None):  # type: ignore[no-untyped-def]
    """The inbound SA's name at an address of ours."""
    return type(rig.in_said)(rig.in_said.proto, spi or rig.in_said.spi, ip_address(address))


def lay(rig: Rig, *packets: bytes) -> int:
    """A block with these packets."""
    return feed(rig.klips._engine.worker(0), block(list(packets)))


def esp(rig: Rig, n: int = 1, **more: int) -> bytes:
    """An ESP packet to us, header and all."""
    return ip(PEER, OURS, 50, rig.seal(udp(THERE, HERE, 7, n)), **more)  # type: ignore[arg-type]


def test_packets_of_a_block_come_out_in_order(raw: Rig) -> None:
    assert lay(raw, *(esp(raw, n) for n in range(100))) == 100
    frame = raw.from_host()
    while len(frame) < 10 + 20 + 100 * 15:
        frame += raw.from_host()
    assert lay(raw) == 0
    assert not any(raw.klips.drops().values())
    view = next(v for v in raw.klips.sas() if v.direction is Direction.IN)
    assert view.packets == 100


def test_tcp_of_a_block_becomes_one_super_packet(raw: Rig) -> None:
    raw.klips._engine.set_offload(0, True, True)
    packets = [tcp(THERE, HERE, 7, 8, b"x" * 1000, seq=1 + 1000 * n, ident=n) for n in range(20)]
    lay(raw, *(ip(PEER, OURS, 50, raw.seal(each)) for each in packets))
    assert len(raw.from_host()) == 10 + 40 + 20 * 1000


def test_ipv6_outside(raw: Rig) -> None:
    raw.do(raw.sa(Direction.IN, encap=None, said=said(raw, OURS6, 0x3003), src=ip_address(PEER6)))
    inner = udp(THERE, HERE, 7, 8)
    both = [ip(PEER, OURS, 50, raw.seal(inner)), ip(PEER6, OURS6, 50, raw.seal(inner, spi=0x3003, sequence=1), tos=3)]
    lay(raw, both[0], both[1] + b"trailer of a short frame", both[0])
    assert raw.received() == inner
    raw.dropped(Drop.REPLAY)
    # Congestion experienced outside, an inner packet that cannot say so: RFC 6040 4.2 has it dropped.
    raw.dropped(Drop.CONGESTED)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (0, b"\x46"),  # options
        (0, b"\x44"),
        (0, b"\x55"),
        (2, b"\xff\xff"),  # longer than what is there
        (2, b"\0\x14"),  # nothing but a header
        (2, b"\0\x0c"),
        (6, b"\x20\0"),  # more fragments
        (6, b"\0\x01"),  # a later fragment
        (9, b"\x33"),  # AH
        (16, bytes((192, 0, 2, 77))),  # not ours
    ],
)
def test_what_the_filter_should_not_have_let_in_is_dropped(raw: Rig, field: int, value: bytes) -> None:
    packet = bytearray(esp(raw))
    packet[field : field + len(value)] = value
    packet[10:12] = bytes(2)
    packet[10:12] = struct.pack("!H", checksum(bytes(packet[:20])))
    lay(raw, bytes(packet))
    raw.dropped(Drop.MALFORMED)


def test_a_damaged_header_is_dropped_as_the_kernel_would(raw: Rig) -> None:
    good = esp(raw)
    for at in range(20):
        bad = bytearray(good)
        bad[at] ^= 0x10
        lay(raw, bytes(bad))
    raw.dropped(Drop.MALFORMED, 20)
    lay(raw, good)
    assert raw.received() == udp(THERE, HERE, 7, 1)


def test_every_truncation(raw: Rig) -> None:
    good = esp(raw)
    for n in range(len(good)):
        lay(raw, good[:n])
    raw.dropped(Drop.MALFORMED, len(good))
    assert raw.silent()


def test_a_block_that_lies_about_its_packets_is_left(raw: Rig) -> None:
    honest = block([esp(raw, n) for n in range(3)])
    worker = raw.klips._engine.worker(0)
    for cut in range(48, len(honest), 37):
        assert feed(worker, honest[:cut]) <= 3
    for at in range(16, len(honest), 4):
        feed(worker, honest[:at] + b"\xff" * 4 + honest[at + 4 :])
    # The first of them at an odd place, where no kernel puts one.
    assert feed(worker, honest[:16] + struct.pack("=I", 49) + honest[20:]) == 0
    with pytest.raises(ValueError):
        feed(worker, b"short")


def test_many_sources_in_one_block_keep_their_names(raw: Rig) -> None:
    # More than wait to be opened at once, and more than are remembered.
    packets = [ip(f"198.51.100.{n}", OURS, 50, raw.seal(udp(THERE, HERE, 7, n))) for n in range(1, 201)]
    packets.append(esp(raw, 999))
    lay(raw, *packets)
    raw.dropped(Drop.SOURCE_MISMATCH, 200)
    assert raw.received() == udp(THERE, HERE, 7, 999)


def test_slots_and_workers_that_are_not_there_are_refused(raw: Rig) -> None:
    engine = raw.klips._engine
    for slot, reader in ((64, 1), (-1, 1), (0, 0), (0, 2)):
        with pytest.raises(ValueError):
            engine.attach_intake(slot, 0, reader, 4096, 1)
    with pytest.raises(OSError, match="mapped"):
        engine.attach_intake(0, raw.peer.fileno(), 1, 4096, 1)


def test_strangers_take_no_names_of_packets_that_wait(raw: Rig) -> None:
    # Dropped before they are opened, from ever new addresses, between packets of the peer's: more than are remembered.
    strangers = [ip(f"198.51.100.{n}", OURS, 50, bytes.fromhex("77777777") + bytes(60)) for n in range(1, 201)]
    lay(raw, esp(raw, 1), *strangers, esp(raw, 2), *strangers, esp(raw, 3))
    raw.dropped(Drop.NO_SA, 400)
    assert [raw.received() for _ in range(3)] == [udp(THERE, HERE, 7, n) for n in (1, 2, 3)]
    assert raw.klips.drops()[Drop.SOURCE_MISMATCH] == 0
