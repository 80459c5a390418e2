# SPDX-License-Identifier: GPL-2.0-or-later
"""What an SA makes of a frame: segments, sizes, marks, sequence numbers."""

from __future__ import annotations

import socket
import struct

import pytest

from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.base.said import Shunt
from openswan.plane.commands import Direction, SendDummy, SetMtu, SetPathMtu
from openswan.plane.events import Acquire, SaExpired
from tests.fast.rig import HERE, THERE, Rig, checksum, checksums_right, ip, join4, mss_option, pseudo, tcp, udp, vnet

HERE6, THERE6 = "fd01::5", "fd02::7"
NEEDS_CSUM, TCPV4, TCPV6, UDP_L4 = 1, 1, 4, 5


@pytest.mark.parametrize("cipher", ["aes_gcm_16", "chacha20_poly1305", "aes_cbc"])
@pytest.mark.parametrize("provider", ["auto", "evp"])
@pytest.mark.parametrize("esn", [False, True])
def test_packets_of_every_size_arrive_at_the_peer(cipher: str, provider: str, esn: bool) -> None:
    rig = Rig(cipher, provider, esn=esn)
    try:
        rig.tunnel()
        packets = [udp(HERE, THERE, 1000, 2000, bytes([n % 256]) * n) for n in range(0, 1300, 37)]
        packets += [udp(HERE6, THERE6, 1000, 2000, bytes([n % 256]) * n) for n in range(0, 1300, 61)]
        for packet in packets:
            rig.send(packet)
        assert [rig.opened() for _ in packets] == packets
        assert rig.klips.sas()[1].packets == len(packets)
        assert rig.klips.sas()[1].octets == sum(map(len, packets))
        assert rig.klips.sas()[1].sequence == len(packets)
    finally:
        rig.close()


def test_sequence_numbers_and_ivs_are_never_used_twice(tunnel: Rig) -> None:
    for n in range(200):
        tunnel.send(udp(HERE, THERE, 1, n + 1))
    seen = [tunnel.wire() for _ in range(200)]
    assert [int.from_bytes(p[4:8], "big") for p in seen] == list(range(1, 201))
    assert len({p[8:16] for p in seen}) == 200


def test_cbc_ivs_cannot_be_foretold() -> None:
    rig = Rig("aes_cbc")
    try:
        rig.tunnel()
        for _ in range(100):
            rig.send(udp(HERE, THERE, 1, 1))
        packets = [rig.wire() for _ in range(100)]
        ivs = {p[8:24] for p in packets}
        assert len(ivs) == 100
        # Neither a counter nor the last block of the packet before.
        assert not ivs & {p[-32:-16] for p in packets}
        assert len({iv[:4] for iv in ivs}) > 90 and len({iv[-4:] for iv in ivs}) > 90
    finally:
        rig.close()


def test_super_packet_of_tcp_is_cut_with_right_checksums(tunnel: Rig) -> None:
    data = bytes(range(256)) * 40
    for src, dst, kind, head in ((HERE, THERE, TCPV4, 40), (HERE6, THERE6, TCPV6, 60)):
        tunnel.send(tcp(src, dst, 5, 6, data, seq=0xFFFFF000, flags=0x19), vnet(kind, head, 1000, head - 20, 16))
        count = -(-len(data) // 1000)
        pieces = [tunnel.opened() for _ in range(count)]
        assert all(checksums_right(p) for p in pieces)
        assert b"".join(p[head:] for p in pieces) == data
        sequences = [int.from_bytes(p[head - 16 : head - 12], "big") for p in pieces]
        assert sequences == [(0xFFFFF000 + 1000 * n) % 2**32 for n in range(count)]
        # FIN and PSH on the last alone.
        assert [p[head - 7] for p in pieces] == [0x10] * (count - 1) + [0x19]


def test_super_packet_of_tcp_is_cut_smaller_when_the_path_is_narrow() -> None:
    rig = Rig(mtu=1000)
    try:
        rig.tunnel()
        data = b"x" * 5000
        rig.send(tcp(HERE, THERE, 5, 6, data), vnet(TCPV4, 40, 1448, 20, 16))
        got = b""
        while len(got) < len(data):
            packet = rig.wire()
            assert len(packet) + 28 <= 1000
            why, inner, _, _ = rig.from_engine.open(packet)
            assert why is Drop.NONE and checksums_right(inner)
            got += inner[40:]
        assert got == data and rig.klips.drops()[Drop.TOO_BIG] == 0
    finally:
        rig.close()


def test_super_packet_of_udp_is_cut_into_datagrams(tunnel: Rig) -> None:
    data = b"".join(bytes([n]) * 500 for n in range(20)) + b"end"
    tunnel.send(udp(HERE, THERE, 7, 8, data), vnet(UDP_L4, 28, 500, 20, 6))
    pieces = [tunnel.opened() for _ in range(21)]
    assert [p[28:] for p in pieces] == [bytes([n]) * 500 for n in range(20)] + [b"end"]
    assert all(checksums_right(p) for p in pieces)


def test_a_partial_checksum_is_completed(tunnel: Rig) -> None:
    whole = udp(HERE, THERE, 9, 10, b"abcdefg")
    partial = checksum(pseudo(HERE, THERE, 17, 15)) ^ 0xFFFF
    packet = whole[:26] + struct.pack("!H", partial) + whole[28:]
    tunnel.send(packet, vnet(0, 0, 0, 20, 6))
    assert tunnel.opened() == whole


def test_too_big_with_df_is_answered_and_without_is_sent(tunnel: Rig) -> None:
    big = udp(HERE, THERE, 1, 2, b"x" * 1460)
    tunnel.send(big)
    answer = tunnel.received()
    assert answer[9] == 1 and answer[20:22] == b"\x03\x04"
    mtu = int.from_bytes(answer[26:28], "big")
    assert mtu == 1500 - 20 - 8 - 8 - 8 - 16 - 2
    assert answer[28:] == big[: len(answer) - 28] and answer[12:20] == big[16:20] + big[12:16]
    tunnel.dropped(Drop.TOO_BIG)
    tunnel.send(udp(HERE, THERE, 1, 2, b"x" * (mtu - 28)))
    assert len(tunnel.opened()) == mtu
    free = udp(HERE, THERE, 1, 2, b"x" * 1460, df=False)  # type: ignore[arg-type]
    tunnel.send(free)
    pieces = [tunnel.opened(), tunnel.opened()]
    assert join4(pieces) == free[20:] and all(len(piece) <= mtu and checksum(piece[:20]) == 0 for piece in pieces)


def test_a_super_packet_without_df_becomes_fragments_too(tunnel: Rig) -> None:
    data = bytes(range(256)) * 23
    whole = udp(HERE, THERE, 7, 8, data, df=False)  # type: ignore[arg-type]
    tunnel.send(whole, vnet(UDP_L4, 28, 1460, 20, 6))
    pieces = [tunnel.opened() for _ in range(9)]
    datagrams = [join4([p for p in pieces if p[4:6] == ident]) for ident in sorted({p[4:6] for p in pieces})]
    assert [len(d) for d in datagrams] == [1468] * 4 + [56] and b"".join(d[8:] for d in datagrams) == data


def test_hidetos_no_lets_the_dscp_out(rig: Rig) -> None:
    rig.do(rig.sa(Direction.OUT, copy_dscp=True))
    rig.eroute()
    rig.peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    for tos in (0, 2, 0xB8, 0xBB):
        rig.send(udp(HERE, THERE, 1, 2, tos=tos))
        _, control, _, _ = rig.peer.recvmsg(2000, 200)
        assert [data[0] for _, kind, data in control if kind == socket.IP_TOS] == [tos]


def test_traffic_flow_padding_hides_lengths(rig: Rig) -> None:
    rig.do(rig.sa(Direction.OUT, tfc=1000))
    rig.eroute()
    lengths = set()
    for size in (0, 1, 500, 960):
        packet = udp(HERE, THERE, 1, 2, b"x" * size)
        rig.send(packet)
        sealed = rig.wire()
        lengths.add(len(sealed))
        why, inner, _, _ = rig.from_engine.open(sealed)
        assert why is Drop.NONE and inner == packet + bytes(1000 - len(packet))
    assert len(lengths) == 1
    large = udp(HERE, THERE, 1, 2, b"x" * 1200)
    rig.send(large)
    assert rig.opened() == large


def test_padding_is_never_more_than_the_path_takes(rig: Rig) -> None:
    rig.do(rig.sa(Direction.OUT, tfc=9000, mtu=800))
    rig.eroute()
    rig.send(udp(HERE, THERE, 1, 2))
    assert 790 < len(rig.wire()) + 28 <= 800


def test_a_shorter_path_cuts_super_packets_smaller(tunnel: Rig) -> None:
    data = bytes(range(256)) * 20
    frame = vnet(TCPV4, 40, 1400, 20, 16)
    for mtu, count in ((1500, 4), (700, 9), (1500, 4)):
        tunnel.do(SetPathMtu(tunnel.out_said, mtu))
        tunnel.send(tcp(HERE, THERE, 5, 6, data), frame)
        sealed = [tunnel.wire() for _ in range(count)]
        assert all(len(packet) + 28 <= mtu for packet in sealed) and tunnel.silent(0.05)
        assert b"".join(tunnel.from_engine.open(packet)[1][40:] for packet in sealed) == data
        out = next(view for view in tunnel.klips.sas() if view.direction is Direction.OUT)
        assert out.path_mtu == mtu and mtu - 66 <= out.inner_mtu <= mtu - 62


def test_the_mss_follows_the_path_both_ways(rig: Rig) -> None:
    rig.do(rig.sa(Direction.IN))
    rig.do(rig.sa(Direction.OUT, peer_said=rig.in_said))
    rig.eroute()
    rig.do(SetPathMtu(rig.out_said, 600))
    syn = tcp(HERE, THERE, 5, 6, flags=2, options=mss_option(1460))
    rig.send(syn)
    rig.arrive(rig.seal(tcp(THERE, HERE, 6, 5, flags=0x12, options=mss_option(1460))))
    for got in (rig.opened(), rig.received()):
        assert 600 - 66 - 40 <= int.from_bytes(got[42:44], "big") <= 600 - 62 - 40 and checksums_right(got)


def test_what_leaves_in_clear_must_fit_the_interface_below(rig: Rig) -> None:
    rig.do(SetMtu("lo", 1000, 1500))
    rig.eroute(Shunt.PASS)
    rig.send(udp(HERE, THERE, 1, 2, b"x" * 1100))
    answer = rig.received()
    assert answer[20:22] == b"\x03\x04" and int.from_bytes(answer[26:28], "big") == 1000
    rig.dropped(Drop.TOO_BIG)
    assert rig.klips.devices()[0].physical_mtu == 1000


def test_ipv6_too_big_names_at_least_1280() -> None:
    rig = Rig(mtu=1280)
    try:
        rig.tunnel()
        rig.send(udp(HERE6, THERE6, 1, 2, b"x" * 1300))
        answer = rig.received()
        assert answer[6] == 58 and answer[40] == 2 and int.from_bytes(answer[44:48], "big") == 1280
        # What fits 1280 has nowhere smaller to go: it is sent in outer fragments (RFC 8200 5).
        small = udp(HERE6, THERE6, 1, 2, b"x" * 1200)
        rig.send(small)
        assert rig.opened() == small
    finally:
        rig.close()


def test_mss_is_clamped_both_ways(tunnel: Rig) -> None:
    room = 1500 - 62 - 40
    for options in (mss_option(1460), b"\x01" + mss_option(1460) + b"\x01\x01\x00", mss_option(900)):
        syn = tcp(HERE, THERE, 5, 6, flags=2, options=options)
        tunnel.send(syn)
        out = tunnel.opened()
        tunnel.arrive(tunnel.seal(tcp(THERE, HERE, 6, 5, flags=0x12, options=options)))
        for got in (out, tunnel.received()):
            at = got.index(b"\x02\x04", 40)
            assert int.from_bytes(got[at + 2 : at + 4], "big") == min(
                room, int.from_bytes(options[options.index(4) + 1 : options.index(4) + 3], "big")
            )
            assert checksums_right(got)


def test_ecn_goes_outside_and_dscp_does_not(tunnel: Rig) -> None:
    tunnel.peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    for tos, outer in ((0, 0), (2, 2), (1, 1), (3, 3), (0xB8, 0), (0xBA, 2)):
        tunnel.send(udp(HERE, THERE, 1, 2, tos=tos))
        _, control, _, _ = tunnel.peer.recvmsg(2000, 200)
        assert [data[0] for _, kind, data in control if kind == socket.IP_TOS] == [outer]


def test_sequence_numbers_end_hard_and_say_so_before(tunnel: Rig) -> None:
    cookie = tunnel.klips._sas.cookie(tunnel.out_said, Direction.OUT)
    tunnel.klips._engine.set_sequence(cookie, 2**31 - 2)
    for _ in range(3):
        tunnel.send(udp(HERE, THERE, 1, 2))
    assert tunnel.events(1) == [SaExpired(tunnel.out_said, False)]
    got = [tunnel.wire() for _ in range(3)]
    tunnel.klips._engine.set_sequence(cookie, 2**32 - 2)
    for _ in range(3):
        tunnel.send(udp(HERE, THERE, 1, 2))
    assert tunnel.events(1) == [SaExpired(tunnel.out_said, True)]
    tunnel.dropped(Drop.SEQUENCE_EXHAUSTED, 2)
    got.append(tunnel.wire())
    assert got[-1][4:8] == b"\xff\xff\xff\xff" and tunnel.silent()


def test_an_expiry_that_found_no_room_is_told_later(tunnel: Rig) -> None:
    cookie = tunnel.klips._sas.cookie(tunnel.out_said, Direction.OUT)
    tunnel.eroute(Shunt.TRAP, dst="10.3.0.0/16")
    for n in range(16384):
        tunnel.send(udp(HERE, f"10.3.{n >> 8}.{n & 255}", 1, 2))
    tunnel.klips._engine.set_sequence(cookie, 2**31 - 1)
    tunnel.send(udp(HERE, THERE, 1, 2))
    tunnel.wire()
    assert {type(event) for event in tunnel.events(16384)} == {Acquire}
    tunnel.send(udp(HERE, THERE, 1, 2))
    assert tunnel.events(1) == [SaExpired(tunnel.out_said, False)]


def test_fragments_inside_travel_as_they_are(tunnel: Rig) -> None:
    for packet in (
        ip(HERE, THERE, 17, b"x" * 64, df=False, frag=0x2000),
        ip(HERE, THERE, 17, b"y" * 32, df=False, frag=8),
    ):
        tunnel.send(packet)
        assert tunnel.opened() == packet


def test_a_dummy_packet_reaches_the_peer_counts_as_nothing_and_proves_that_the_way_is_open(tunnel: Rig) -> None:
    """RFC 4303 2.6: next header 59, whatever is in it; whoever gets it drops it."""
    tunnel.do(SendDummy(tunnel.out_said))
    why, payload, next_header, _ = tunnel.from_engine.open(tunnel.wire())
    assert (why, payload, next_header) == (Drop.NONE, bytes(64), 59)
    sa = tunnel.klips.sa(tunnel.out_said)
    assert sa is not None and (sa.packets, sa.sequence) == (0, 1)
    tunnel.send(udp(HERE, THERE, 1, 2))
    assert tunnel.opened() == udp(HERE, THERE, 1, 2) and tunnel.klips.sa(tunnel.out_said).sequence == 2  # type: ignore[union-attr]
    with pytest.raises(KlipsError, match="does not exist"):
        tunnel.do(SendDummy(tunnel.in_said))
