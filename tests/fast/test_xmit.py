# SPDX-License-Identifier: GPL-2.0-or-later
"""Outbound: tunnels, shunts, holds, segmentation, path MTU, the end of the sequence numbers."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_network

import pytest

from openswan.base.drops import Drop
from openswan.base.said import Shunt
from openswan.plane.commands import AttachPass, DelSa, Direction, SetEroute
from openswan.plane.events import Acquire, SaExpired
from openswan.policy.selector import FlowKey
from tests.fast.rig import HERE, THERE, Rig, checksum, checksums_right, eventually, icmp_error, ip, pseudo, tcp, udp

HERE6, THERE6 = "fd01::5", "fd02::7"
NEEDS_CSUM, TCPV4, TCPV6, UDP_L4 = 1, 1, 4, 5


def vnet(kind: int, head: int, size: int, start: int, offset: int, flags: int = NEEDS_CSUM) -> bytes:
    return struct.pack("<BBHHHH", flags, kind, head, size, start, offset)


def mss_option(value: int) -> bytes:
    return struct.pack("!BBH", 2, 4, value)


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


def test_lying_frames_are_dropped_and_counted(tunnel: Rig) -> None:
    good = tcp(HERE, THERE, 5, 6, b"x" * 3000)
    lies = [
        (good, vnet(TCPV6, 40, 1000, 20, 16)),
        (good, vnet(TCPV4, 40, 0, 20, 16)),
        (good, vnet(9, 40, 1000, 20, 16)),
        (udp(HERE, THERE, 5, 6), vnet(TCPV4, 40, 1000, 20, 16)),
        (good, vnet(0, 0, 0, 4000, 16)),
        (good[:32] + b"\xf0" + good[33:39], vnet(TCPV4, 40, 1000, 20, 16)),
        (good[:10], bytes(10)),
        (b"\x55" + good[1:], bytes(10)),
        (b"", bytes(10)),
        (b"", b"123"),
    ]
    for packet, header in lies:
        tunnel.host.send(header + packet)
    tunnel.dropped(Drop.MALFORMED, len(lies))
    assert tunnel.silent()


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
    assert tunnel.opened() == free


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


def test_no_eroute_and_shunts(rig: Rig) -> None:
    packet = udp(HERE, THERE, 1, 2)
    rig.send(packet)
    rig.dropped(Drop.NO_EROUTE)
    key = rig.eroute(Shunt.DROP)
    rig.send(packet)
    rig.dropped(Drop.SHUNT_DROP)
    rig.eroute(Shunt.REJECT)
    rig.send(packet)
    answer = rig.received()
    assert answer[20:22] == b"\x03\x0d" and answer[28:] == packet
    rig.dropped(Drop.SHUNT_REJECT)
    rig.eroute(Shunt.REJECT, src="fd01::/16", dst="fd02::/16")
    rig.send(udp(HERE6, THERE6, 1, 2))
    assert rig.received()[40:42] == b"\x01\x01"
    rig.eroute()
    rig.send(packet)
    rig.dropped(Drop.NO_SA)
    rig.uneroute(key)
    rig.send(packet)
    rig.dropped(Drop.NO_EROUTE, 2)
    assert rig.silent()


def test_reject_never_answers_an_icmp_error(rig: Rig) -> None:
    rig.eroute(Shunt.REJECT)
    rig.send(icmp_error(HERE, THERE, udp("10.9.9.9", "10.8.8.8", 1, 2)))
    rig.dropped(Drop.SHUNT_REJECT)
    assert rig.silent()


def test_pass_without_a_way_out_is_counted(rig: Rig) -> None:
    rig.eroute(Shunt.PASS)
    rig.send(udp(HERE, THERE, 1, 2))
    rig.dropped(Drop.SEND_FAILED)
    assert rig.silent()


def test_pass_goes_to_the_descriptor_given_for_it(rig: Rig) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stand_in:
        # Without root a UDP socket stands for the raw one: what counts is that the whole packet is handed over. Its
        # destination is the packet's own, with port 0, which a UDP socket refuses: counted, not lost silently.
        rig.do(AttachPass(4, stand_in.fileno()))
        rig.eroute(Shunt.PASS)
        rig.send(udp(HERE, THERE, 1, 2))
        rig.dropped(Drop.SEND_FAILED)


def test_a_trap_holds_and_asks_once_and_the_tunnel_gets_everything_in_order(rig: Rig) -> None:
    trap = rig.eroute(Shunt.TRAP)
    packets = [udp(HERE, THERE, 1, n + 1) for n in range(300)]
    for packet in packets:
        rig.send(packet)
    (event,) = rig.events(1)
    flow = FlowKey(ip_network(HERE), ip_network(THERE))
    assert event == Acquire(flow, trap, "ipsec0", "net")
    assert rig.silent()
    held = [view for view in rig.klips.eroutes() if view.key == flow]
    assert held[0].target is Shunt.HOLD and held[0].held == 300 and held[0].owner == "net"
    rig.do(rig.sa(Direction.OUT))
    rig.eroute()
    assert [rig.opened() for _ in packets] == packets
    assert [view.key for view in rig.klips.eroutes()] == [trap]
    assert not rig.klips.poll_events()
    assert sum(rig.klips.drops().values()) == 0


def test_the_hold_is_as_narrow_as_the_trap_discriminates(rig: Rig) -> None:
    trap = rig.eroute(Shunt.TRAP, protocol=17, dport=53)
    rig.send(udp(HERE, THERE, 4444, 53))
    rig.send(udp(HERE, THERE, 4445, 53))
    (event,) = rig.events(1)
    assert event == Acquire(FlowKey(ip_network(HERE), ip_network(THERE), 17, 0, 53), trap, "ipsec0", "net")
    rig.send(udp(HERE, THERE, 4444, 54))
    rig.dropped(Drop.NO_EROUTE)


def test_a_trap_for_one_pair_of_hosts_becomes_the_hold(rig: Rig) -> None:
    key = rig.eroute(Shunt.TRAP, src=f"{HERE}/32", dst=f"{THERE}/32")
    rig.send(udp(HERE, THERE, 1, 2))
    (event,) = rig.events(1)
    assert isinstance(event, Acquire) and event.flow == event.trap == key
    (view,) = rig.klips.eroutes()
    assert view.target is Shunt.HOLD and view.held == 1
    rig.do(rig.sa(Direction.OUT))
    rig.eroute(src=f"{HERE}/32", dst=f"{THERE}/32")
    assert rig.opened() == udp(HERE, THERE, 1, 2)


def test_every_pair_asks_for_itself_and_a_broad_hold_takes_over(rig: Rig) -> None:
    trap = rig.eroute(Shunt.TRAP)
    for n in range(1, 6):
        rig.send(udp(HERE, f"10.2.0.{n}", 1, 2))
    events = rig.events(5)
    assert {e.flow.dst for e in events if isinstance(e, Acquire)} == {ip_network(f"10.2.0.{n}") for n in range(1, 6)}
    rig.eroute(Shunt.HOLD)
    (view,) = rig.klips.eroutes()
    assert view.target is Shunt.HOLD and view.held == 5 and view.key == trap
    rig.send(udp(HERE, "10.2.0.9", 1, 2))
    assert rig.silent() and not rig.klips.poll_events()
    rig.do(rig.sa(Direction.OUT))
    rig.eroute()
    assert {rig.opened()[16:20] for _ in range(6)} == {bytes([10, 2, 0, n]) for n in (1, 2, 3, 4, 5, 9)}


def test_a_hold_inside_stays_when_a_more_specific_trap_rules_it(rig: Rig) -> None:
    rig.eroute(Shunt.TRAP, dst="10.2.0.0/24")
    rig.send(udp(HERE, THERE, 1, 2))
    rig.events(1)
    rig.do(rig.sa(Direction.OUT))
    rig.eroute(dst="10.2.0.0/16")
    assert rig.silent()
    rig.eroute(dst="10.2.0.0/24")
    assert rig.opened() == udp(HERE, THERE, 1, 2)


def test_failure_shunts_decide_about_what_is_held(rig: Rig) -> None:
    rig.eroute(Shunt.TRAP)
    rig.send(udp(HERE, THERE, 1, 2))
    (event,) = rig.events(1)
    assert isinstance(event, Acquire)
    rig.do(SetEroute(event.flow, Shunt.DROP))
    rig.dropped(Drop.HOLD_DISCARDED)
    rig.do(SetEroute(event.flow, Shunt.TRAP))
    rig.send(udp(HERE, THERE, 3, 4))
    rig.events(1)
    rig.do(SetEroute(event.flow, Shunt.REJECT))
    assert rig.received()[20:22] == b"\x03\x0d"


def test_a_removed_trap_lets_go_of_its_holds(rig: Rig) -> None:
    key = rig.eroute(Shunt.TRAP)
    rig.send(udp(HERE, THERE, 1, 2))
    rig.events(1)
    rig.uneroute(key)
    rig.dropped(Drop.HOLD_DISCARDED)
    assert rig.klips.eroutes() == []


def test_a_trap_set_anew_takes_over_the_holds_of_the_one_before(rig: Rig) -> None:
    key = rig.eroute(Shunt.TRAP)
    rig.send(udp(HERE, THERE, 1, 2))
    rig.events(1)
    rig.eroute(Shunt.TRAP)
    rig.uneroute(key)
    rig.dropped(Drop.HOLD_DISCARDED)
    assert rig.klips.eroutes() == []


def test_a_hold_that_becomes_a_trap_asks_again(rig: Rig) -> None:
    key = rig.eroute(Shunt.TRAP)
    rig.send(udp(HERE, THERE, 1, 2))
    rig.events(1)
    rig.eroute(Shunt.HOLD)
    rig.eroute(Shunt.TRAP)
    rig.dropped(Drop.HOLD_DISCARDED)
    (view,) = rig.klips.eroutes()
    assert view.key == key and view.target is Shunt.TRAP
    rig.send(udp(HERE, THERE, 1, 3))
    rig.events(1)


def test_a_trap_for_two_hosts_set_anew_keeps_what_its_acquire_is_about(rig: Rig) -> None:
    rig.eroute(Shunt.TRAP, src=f"{HERE}/32", dst=f"{THERE}/32")
    rig.send(udp(HERE, THERE, 1, 2))
    rig.events(1)
    rig.eroute(Shunt.TRAP, src=f"{HERE}/32", dst=f"{THERE}/32")
    rig.do(rig.sa(Direction.OUT))
    rig.eroute(src=f"{HERE}/32", dst=f"{THERE}/32")
    assert rig.opened() == udp(HERE, THERE, 1, 2)


def test_duplicate_syns_collapse_to_the_newest(rig: Rig) -> None:
    rig.eroute(Shunt.TRAP)
    first, again = (tcp(HERE, THERE, 5, 6, seq=n, flags=2, options=mss_option(1000)) for n in (1, 2))
    for packet in (first, udp(HERE, THERE, 1, 2), again):
        rig.send(packet)
    rig.events(1)
    rig.dropped(Drop.HOLD_OVERFLOW)
    rig.do(rig.sa(Direction.OUT))
    rig.eroute()
    assert [rig.opened(), rig.opened()] == [udp(HERE, THERE, 1, 2), again]


def test_a_held_packet_too_big_for_the_path_is_sent_all_the_same(rig: Rig) -> None:
    rig.eroute(Shunt.TRAP)
    big = udp(HERE, THERE, 1, 2, b"x" * 1460)
    rig.send(big)
    rig.events(1)
    rig.do(rig.sa(Direction.OUT))
    rig.eroute()
    assert rig.opened() == big
    assert rig.received()[20:22] == b"\x03\x04"


def test_packets_that_need_outer_fragments_go_one_by_one(rig: Rig) -> None:
    # On a device as small as the MTU says the kernel refuses them as segments; this receiver shows what was joined.
    rig.peer.setsockopt(socket.IPPROTO_UDP, 104, 1)  # UDP_GRO
    for size, together in ((1000, True), (2000, False)):
        rig.eroute(Shunt.HOLD)
        for _ in range(2):
            rig.send(udp(HERE, THERE, 1, 2, bytes(size), df=False))
        eventually(lambda: rig.klips.eroutes()[0].held == 2)
        if together:
            rig.do(rig.sa(Direction.OUT))
        rig.eroute()
        assert (len(rig.wire()) > 2 * size) is together


def test_icmp_errors_go_back_through_the_sa_of_the_packet(tunnel: Rig) -> None:
    # A router behind us, outside every selector, complains about a packet that came out of the tunnel.
    about = udp(THERE, HERE, 7, 8)
    error = icmp_error("192.168.77.1", THERE, about[:48])
    tunnel.send(error)
    assert tunnel.opened() == error
    # An error that goes elsewhere than to the sender of what it quotes is nobody's.
    tunnel.send(icmp_error("192.168.77.1", "10.2.0.99", about[:48]))
    tunnel.dropped(Drop.NO_EROUTE)


def test_ecn_goes_outside_and_dscp_does_not(tunnel: Rig) -> None:
    tunnel.peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    for tos, outer in ((0, 0), (2, 2), (1, 1), (3, 3), (0xB8, 0), (0xBA, 2)):
        tunnel.send(udp(HERE, THERE, 1, 2, tos=tos))
        _, control, _, _ = tunnel.peer.recvmsg(2000, 200)
        assert [data[0] for _, kind, data in control if kind == socket.IP_TOS] == [outer]


def test_sequence_numbers_end_hard_and_say_so_before(tunnel: Rig) -> None:
    sa = tunnel.klips._sas[tunnel.out_said, Direction.OUT]
    tunnel.klips._engine.set_sequence(sa.cookie, 2**31 - 2)
    for _ in range(3):
        tunnel.send(udp(HERE, THERE, 1, 2))
    assert tunnel.events(1) == [SaExpired(tunnel.out_said, False)]
    tunnel.klips._engine.set_sequence(sa.cookie, 2**32 - 2)
    for _ in range(3):
        tunnel.send(udp(HERE, THERE, 1, 2))
    assert tunnel.events(1) == [SaExpired(tunnel.out_said, True)]
    tunnel.dropped(Drop.SEQUENCE_EXHAUSTED, 2)
    got = [tunnel.wire() for _ in range(4)]
    assert got[-1][4:8] == b"\xff\xff\xff\xff" and tunnel.silent()


def test_an_expiry_that_found_no_room_is_told_later(tunnel: Rig) -> None:
    sa = tunnel.klips._sas[tunnel.out_said, Direction.OUT]
    tunnel.eroute(Shunt.TRAP, dst="10.3.0.0/16")
    for n in range(16384):
        tunnel.send(udp(HERE, f"10.3.{n >> 8}.{n & 255}", 1, 2))
    tunnel.klips._engine.set_sequence(sa.cookie, 2**31 - 1)
    tunnel.send(udp(HERE, THERE, 1, 2))
    tunnel.wire()
    assert {type(event) for event in tunnel.events(16384)} == {Acquire}
    tunnel.send(udp(HERE, THERE, 1, 2))
    assert tunnel.events(1) == [SaExpired(tunnel.out_said, False)]


def test_an_sa_can_go_while_its_eroute_stays_and_come_back(tunnel: Rig) -> None:
    tunnel.do(DelSa(tunnel.out_said))
    tunnel.send(udp(HERE, THERE, 1, 2))
    tunnel.dropped(Drop.NO_SA)
    tunnel.do(tunnel.sa(Direction.OUT))
    tunnel.send(udp(HERE, THERE, 1, 2))
    assert tunnel.opened() == udp(HERE, THERE, 1, 2)


def test_fragments_inside_travel_as_they_are(tunnel: Rig) -> None:
    for packet in (
        ip(HERE, THERE, 17, b"x" * 64, df=False, frag=0x2000),
        ip(HERE, THERE, 17, b"y" * 32, df=False, frag=8),
    ):
        tunnel.send(packet)
        assert tunnel.opened() == packet
