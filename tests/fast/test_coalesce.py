# SPDX-License-Identifier: GPL-2.0-or-later
"""Decrypted packets become super-packets, and only those that may."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from random import Random

import pytest
from _fast.segment import cut

from openswan.plane.commands import AttachDevice, DetachDevice
from openswan.plane.events import OffloadRefused
from tests.fast.rig import HERE, THERE, Rig, ip, tcp, udp

HERE6, THERE6 = "fd01::5", "fd02::7"


@pytest.fixture
def merging(tunnel: Rig) -> Rig:
    tunnel.klips._engine.set_offload(0, True, True)
    # The engine must find all of a test's packets at once, so it starts when they are there.
    tunnel.klips.stop()
    return tunnel


def through(rig: Rig, packets: Iterable[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """(gso type, gso size, packet) of every frame that comes out for these packets, arriving together."""
    packets = list(packets)
    for packet in packets:
        rig.arrive(rig.seal(packet))
    rig.klips.start()
    left = len(packets)
    while left:
        frame = rig.from_host()
        _, kind, _, size = struct.unpack_from("<BBHH", frame)
        why, pieces = cut(frame)
        assert why == 0
        left -= len(pieces)
        yield kind, size, frame[10:]
    assert left == 0 and rig.silent(0.05)


def stream(src: str, dst: str, count: int, size: int = 1000, port: int = 5, **more: int) -> list[bytes]:
    return [
        tcp(src, dst, port, 6, bytes([n % 251]) * size, seq=1 + n * size, ident=n + 1, **more) for n in range(count)
    ]  # type: ignore[arg-type]


@pytest.mark.parametrize("src,dst,kind", [(THERE, HERE, 1), (THERE6, HERE6, 4)])
def test_a_tcp_stream_becomes_one_and_splits_back_into_itself(merging: Rig, src: str, dst: str, kind: int) -> None:
    packets = [*stream(src, dst, 40), tcp(src, dst, 5, 6, b"end", seq=40001, flags=0x18, ident=41)]
    frames = list(through(merging, packets))
    assert all(f[0] in (0, kind) for f in frames) and len(frames) < 10
    split = [
        p
        for f in frames
        for p in cut(struct.pack("<BBHHHH", 1, f[0], 0, f[1], 0, 0) + f[2] if f[0] else bytes(10) + f[2])[1]
    ]
    assert split == packets


def test_udp_datagrams_of_one_size_become_one(merging: Rig) -> None:
    packets = [udp(THERE, HERE, 5, 6, bytes([n]) * 300) for n in range(30)] + [udp(THERE, HERE, 5, 6, b"last")]
    frames = list(through(merging, packets))
    assert len(frames) < 10 and {f[0] for f in frames} <= {0, 5}


@pytest.mark.parametrize(
    "second",
    [
        tcp(THERE, HERE, 5, 6, b"b" * 1000, seq=2001),
        tcp(THERE, HERE, 5, 6, b"b" * 1000, seq=1001, ack=2),
        tcp(THERE, HERE, 5, 6, b"b" * 1000, seq=1001, window=501),
        tcp(THERE, HERE, 5, 6, b"b" * 1000, seq=1001, options=b"\x01\x01\x01\x01"),
        tcp(THERE, HERE, 5, 6, b"b" * 1001, seq=1001),
        tcp(THERE, HERE, 5, 6, b"b" * 1000, seq=1001, flags=0x11),
        tcp(THERE, HERE, 5, 6, b"b" * 1000, seq=1001, flags=0x30),
        tcp(THERE, HERE, 5, 6, b"b" * 1000, seq=1001, flags=0x50),
        tcp(THERE, HERE, 5, 6, b"b" * 1000, seq=1001, tos=4),
        tcp(THERE, HERE, 5, 6, b"b" * 1000, seq=1001, ttl=63),
        tcp(THERE, HERE, 5, 6, b"b" * 1000, seq=1001, df=False),  # type: ignore[arg-type]
        tcp(THERE, HERE, 5, 6, b"", seq=1001),
        tcp(THERE, HERE, 7, 6, b"b" * 1000, seq=1001),
        udp(THERE, HERE, 5, 6, b"b" * 1000),
    ],
    ids=lambda packet: f"{len(packet)}-{packet[20:34].hex()}",
)
def test_what_differs_is_not_merged(merging: Rig, second: bytes) -> None:
    first = tcp(THERE, HERE, 5, 6, b"a" * 1000)
    assert [f[2] for f in through(merging, [first, second])] == [first, second]


def test_a_damaged_segment_is_passed_on_damaged(merging: Rig) -> None:
    packets = stream(THERE, HERE, 3)
    damaged = packets[1][:60] + b"\xff" + packets[1][61:]
    frames = list(through(merging, [packets[0], damaged, packets[2]]))
    assert [f[2] for f in frames] == [packets[0], damaged, packets[2]] and {f[0] for f in frames} == {0}


def test_order_within_a_pair_is_kept(merging: Rig) -> None:
    rng = Random(3)
    flows = {port: iter(stream(THERE, HERE, 60, 100, port)) for port in range(10, 40)}
    packets: list[bytes] = []
    while flows:
        port = rng.choice(list(flows))
        packet = next(flows[port], None)
        if packet is None:
            del flows[port]
        else:
            packets.append(packet)
            if rng.random() < 0.1:
                packets.append(ip(THERE, HERE, 47, bytes([len(packets) % 256])))
    frames = list(through(merging, packets[:600]))
    split = [
        p
        for f in frames
        for p in cut(struct.pack("<BBHHHH", 1, f[0], 0, f[1], 0, 0) + f[2] if f[0] else bytes(10) + f[2])[1]
    ]
    assert sorted(split) == sorted(packets[:600])
    for port in range(10, 40):
        mine = [p for p in packets[:600] if p[9] == 6 and p[21] == port]
        assert [p for p in split if p[9] == 6 and p[21] == port] == mine
    # What is not merged overtakes nothing of its pair.
    for odd in (p for p in split if p[9] == 47):
        before = set(packets[: packets.index(odd)])
        assert before >= set(split[: split.index(odd)]) - {odd}


@pytest.mark.parametrize("proto", ["TSO", "USO"])
def test_super_packets_the_kernel_refuses_go_one_by_one_and_soon_it_is_not_asked_any_more(
    merging: Rig, proto: str
) -> None:
    # A socket that may neither fragment nor exceed 1280 octets refuses them with EMSGSIZE, as a device might.
    merging.do(DetachDevice("ipsec0"))
    merging.host.close()
    merging.host, inside = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
    for each in (merging.host, inside):
        each.bind(("::1", 0))
    inside.connect(merging.host.getsockname())
    inside.setsockopt(socket.IPPROTO_IPV6, 24, 1280)  # IPV6_MTU
    inside.setsockopt(socket.IPPROTO_IPV6, 62, 1)  # IPV6_DONTFRAG
    merging.do(AttachDevice("ipsec0", "lo", (inside.detach(),), 1500))
    merging.klips._engine.set_offload(0, True, True)
    for burst in range(12):
        if proto == "TSO":
            packets = [
                tcp(THERE, HERE, 5, 6, bytes([n]) * 1000, seq=1 + n * 1000, ident=n + 1, flags=0x18 if n == 9 else 0x10)
                for n in range(10)
            ]
        else:
            packets = [udp(THERE, HERE, 5, 6, bytes([n]) * 1000) for n in range(10)]
        sealed = [merging.seal(packet) for packet in packets]
        merging.klips.stop()
        for each in sealed:
            merging.arrive(each)
        merging.klips.start()
        got = [merging.received() for _ in range(10)]
        assert got == packets, burst
    assert sum(merging.klips.drops().values()) == 0
    assert merging.events(2)[1:] == [OffloadRefused("ipsec0", proto)]
    assert merging.klips.devices()[0].offloads == (() if proto == "TSO" else ("TSO",))


def test_nothing_is_merged_for_a_device_that_cannot(tunnel: Rig) -> None:
    tunnel.klips.stop()
    packets = stream(THERE, HERE, 10)
    assert [f[2] for f in through(tunnel, packets)] == packets
