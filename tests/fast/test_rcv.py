# SPDX-License-Identifier: GPL-2.0-or-later
"""Inbound: what is told apart on the socket, and every reason to refuse a packet."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.said import Said, Shunt
from openswan.plane.commands import Direction, MoveSa, SetSelectors
from openswan.plane.events import Acquire, NewMapping, SaFirstUse, UnknownSpi
from openswan.policy.selector import Selector
from tests.fast.rig import HERE, IN_SPI, THERE, Rig, eventually, icmp_error, ip, tcp, udp

HERE6, THERE6 = "fd01::5", "fd02::7"


@pytest.mark.parametrize("cipher", ["aes_gcm_16", "chacha20_poly1305", "aes_cbc"])
@pytest.mark.parametrize("provider", ["auto", "evp"])
@pytest.mark.parametrize("esn", [False, True])
def test_packets_of_every_size_come_out(cipher: str, provider: str, esn: bool) -> None:
    rig = Rig(cipher, provider, esn=esn)
    try:
        rig.tunnel()
        for n in range(0, 1300, 53):
            for packet in (udp(THERE, HERE, 1, 2, b"z" * n), udp(THERE6, HERE6, 1, 2, b"z" * n)):
                rig.arrive(rig.seal(packet))
                assert rig.received() == packet
        assert rig.events(1) == [SaFirstUse(rig.in_said)]
        eventually(lambda: rig.klips.sas()[0].packets == rig.sequence)
        view = rig.klips.sas()[0]
        assert view.sequence == rig.sequence and view.idle >= 0
    finally:
        rig.close()


def test_unknown_spis_are_reported_a_few_times_a_second(tunnel: Rig) -> None:
    stranger = tunnel.seal(udp(THERE, HERE, 1, 2), spi=0x5555)
    for _ in range(200):
        tunnel.arrive(stranger)
    tunnel.dropped(Drop.NO_SA, 200)
    events = tunnel.klips.poll_events()
    assert 1 <= len(events) <= 30 and set(events) == {UnknownSpi(tunnel.local, tunnel.remote, 0x5555)}


def test_a_replay_is_dropped_and_counted(tunnel: Rig) -> None:
    packet = udp(THERE, HERE, 1, 2)
    sealed = [tunnel.seal(packet, sequence=n) for n in (1, 200, 73, 72, 1000)]
    for datagram in [sealed[0], sealed[1], sealed[2]]:
        tunnel.arrive(datagram)
        assert tunnel.received() == packet
    # Twice, left of the window of 128, and again the first.
    for datagram in (sealed[1], sealed[2], sealed[3], sealed[0]):
        tunnel.arrive(datagram)
    tunnel.dropped(Drop.REPLAY, 4)
    assert tunnel.klips.sas()[0].replays == 4 and tunnel.silent()


def test_a_forged_packet_moves_no_window(tunnel: Rig) -> None:
    packet = udp(THERE, HERE, 1, 2)
    forged = bytearray(tunnel.seal(packet, sequence=4000))
    forged[-1] ^= 1
    tunnel.arrive(bytes(forged))
    tunnel.dropped(Drop.AUTH_FAILED)
    tunnel.arrive(tunnel.seal(packet, sequence=1))
    assert tunnel.received() == packet
    assert tunnel.klips.sas()[0].auth_failures == 1 and tunnel.klips.sas()[0].sequence == 1


@pytest.mark.parametrize("cipher", ["aes_gcm_16", "chacha20_poly1305", "aes_cbc"])
@pytest.mark.parametrize("provider", ["auto", "evp"])
def test_every_truncation_and_every_bit_is_refused(cipher: str, provider: str) -> None:
    rig = Rig(cipher, provider)
    try:
        rig.tunnel()
        whole = rig.seal(udp(THERE, HERE, 1, 2, b"q" * 40))
        for length in range(4, len(whole)):
            rig.arrive(whole[:length])
        for at in range(4, len(whole)):
            rig.arrive(whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :])
        count = 2 * (len(whole) - 4)
        refused = (Drop.MALFORMED, Drop.AUTH_FAILED, Drop.REPLAY)

        def total() -> int:
            return sum(rig.klips.drops()[reason] for reason in refused)

        rig.arrive(whole)
        assert rig.received() == udp(THERE, HERE, 1, 2, b"q" * 40)
        assert total() == count and rig.silent()
    finally:
        rig.close()


def test_wrong_padding_next_header_and_inner_lies(tunnel: Rig) -> None:
    good = udp(THERE, HERE, 1, 2)

    def raw(text: bytes) -> bytes:
        # A correctly authenticated packet with this text, trailer included.
        tunnel.sequence += 1
        head = IN_SPI.to_bytes(4, "big") + tunnel.sequence.to_bytes(4, "big")
        iv = tunnel.sequence.to_bytes(8, "big")
        return head + iv + tunnel.to_engine.seal_aead(iv, text, head)

    tunnel.arrive(raw(b"\x01\x02\x09\x03\x00\x00\xff\x04"))
    tunnel.arrive(raw(b"\x00\x00\x00\x00\x01\x03\x02\x04"))
    tunnel.dropped(Drop.BAD_PADDING, 2)
    tunnel.arrive(tunnel.seal(b"anything", next_header=59))
    tunnel.dropped(Drop.DUMMY)
    sa = tunnel.klips.sa(tunnel.in_said)
    assert sa is not None and sa.packets == 0 and sa.idle >= 0, "the peer is heard"
    assert tunnel.events(1) == [SaFirstUse(tunnel.in_said)]
    tunnel.arrive(tunnel.seal(good, next_header=6))
    tunnel.dropped(Drop.UNKNOWN_NEXT_HEADER)
    lies = [
        (good, 41),
        (b"", 4),
        (good[:19], 4),
        (b"\x44" + good[1:], 4),
        (good[:2] + b"\xff\xff" + good[4:], 4),
        (good[:2] + b"\x00\x05" + good[4:], 4),
        (b"\x4f" + good[1:], 4),
        (b"\x60" + bytes(38), 41),
    ]
    for inner, header in lies:
        tunnel.arrive(tunnel.seal(inner, next_header=header) if inner else raw(b"\x01\x02\x02\x04"))
    tunnel.dropped(Drop.MALFORMED, len(lies))
    assert tunnel.silent()
    # Octets behind the inner packet are traffic-flow-confidentiality padding (RFC 4303 2.7).
    tunnel.arrive(tunnel.seal(good + b"padding beyond"))
    assert tunnel.received() == good


def test_selectors_of_the_sa_decide(rig: Rig) -> None:
    lan, far = Selector.of(ip_network("10.1.0.0/24")), Selector.of(ip_network("10.2.0.0/24"))
    ranged = Selector(ip_address("10.3.0.10"), ip_address("10.3.0.20"), 17, 1000, 2000)
    opaque = Selector(ip_address("10.4.0.0"), ip_address("10.4.0.255"), 17, 65535, 0)
    rig.do(
        rig.sa(
            Direction.IN, selectors=((far, lan), (ranged, lan), (opaque, Selector(lan.first, lan.last, 17, 65535, 0)))
        )
    )
    inside = [
        udp("10.2.0.255", "10.1.0.0", 1, 2),
        udp("10.3.0.10", HERE, 1000, 9),
        udp("10.3.0.20", HERE, 2000, 9),
        ip("10.2.0.1", HERE, 17, b"f" * 32, df=False, frag=8),
        ip("10.4.0.1", HERE, 17, b"f" * 32, df=False, frag=8),
    ]
    outside = [
        udp("10.2.1.0", HERE, 1, 2),
        udp("10.2.0.1", "10.1.1.0", 1, 2),
        udp("10.3.0.9", HERE, 1000, 9),
        udp("10.3.0.21", HERE, 1000, 9),
        udp("10.3.0.10", HERE, 999, 9),
        udp("10.3.0.10", HERE, 2001, 9),
        tcp("10.3.0.10", HERE, 1000, 9),
        ip("10.3.0.9", HERE, 17, b"f" * 32, df=False, frag=8),
        udp("10.4.0.1", HERE, 1, 2),
        udp(THERE6, HERE6, 1, 2),
    ]
    for packet in inside:
        rig.arrive(rig.seal(packet))
        assert rig.received() == packet
    for packet in outside:
        rig.arrive(rig.seal(packet))
    # One that may turn out to be allowed waits for the rest of its datagram, and goes no further by itself.
    rig.arrive(rig.seal(ip("10.3.0.10", HERE, 17, b"f" * 32, df=False, frag=8)))
    rig.dropped(Drop.SELECTOR_MISMATCH, len(outside))
    assert rig.klips.sas()[0].selector_failures == len(outside) and rig.silent()


def test_an_sa_without_selectors_lets_nothing_in(rig: Rig) -> None:
    rig.do(rig.sa(Direction.IN, selectors=()))
    rig.arrive(rig.seal(udp(THERE, HERE, 1, 2)))
    rig.dropped(Drop.SELECTOR_MISMATCH)


def test_selectors_are_replaced_while_packets_flow(tunnel: Rig) -> None:
    lan, far = Selector.of(ip_network("10.1.0.0/24")), Selector.of(ip_network("10.2.0.0/24"))
    packet = udp(THERE, HERE, 1, 2)
    for dropped, (selectors, allowed) in enumerate(
        ((((lan, far),), False), (((far, lan),), True), ((), False), (((lan, far), (far, lan)), True)), 1
    ):
        tunnel.do(SetSelectors(tunnel.in_said, selectors))
        tunnel.arrive(tunnel.seal(packet))
        if allowed:
            assert tunnel.received() == packet
        else:
            tunnel.dropped(Drop.SELECTOR_MISMATCH, (dropped + 1) // 2)


def test_icmp_errors_about_our_packets_come_in(tunnel: Rig) -> None:
    # Their router, outside the selectors, complains about a packet of ours.
    for error in (
        icmp_error("192.168.9.9", HERE, udp(HERE, THERE, 7, 8)[:28]),
        icmp_error("fe80::1", HERE6, udp(HERE6, THERE6, 7, 8)[:60], 1, 0),
    ):
        tunnel.arrive(tunnel.seal(error))
        assert tunnel.received() == error
    for foreign in (
        icmp_error("192.168.9.9", HERE, udp(HERE, "10.9.0.1", 7, 8)[:28]),
        icmp_error("192.168.9.9", HERE, udp("10.1.0.6", THERE, 7, 8)[:28]),
        icmp_error("192.168.9.9", HERE, b"short"),
        icmp_error("192.168.9.9", HERE, b"\x45" + bytes(40)),
    ):
        tunnel.arrive(tunnel.seal(foreign))
    tunnel.dropped(Drop.ICMP_ERROR_FOREIGN, 4)
    echo = ip("192.168.9.9", HERE, 1, b"\x08\0\xf7\xff\0\0\0\0")
    tunnel.arrive(tunnel.seal(echo))
    tunnel.dropped(Drop.SELECTOR_MISMATCH)


def test_congestion_marks_of_the_outer_header_come_in(tunnel: Rig) -> None:
    # (inner, outer) -> what the host sees; None: dropped (RFC 6040 4.2)
    cases = {(0, 0): 0, (0, 1): 0, (0, 2): 0, (0, 3): None, (2, 0): 2, (2, 1): 1, (2, 2): 2, (2, 3): 3}
    cases |= {(1, 0): 1, (1, 1): 1, (1, 2): 1, (1, 3): 3, (3, 0): 3, (3, 1): 3, (3, 2): 3, (3, 3): 3}
    for (inner, outer), seen in cases.items():
        tunnel.peer.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, outer)
        for src, dst in ((THERE, HERE), (THERE6, HERE6)):
            tunnel.arrive(tunnel.seal(udp(src, dst, 1, 2, tos=0x40 | inner)))
            if seen is None:
                assert tunnel.silent(0.05)
            else:
                assert tunnel.received() == udp(src, dst, 1, 2, tos=0x40 | seen)
    assert tunnel.klips.drops()[Drop.CONGESTED] == 2
    # Not-ECT under any mark, ECT(1) under ECT(0), CE under ECT(1): five pairs, two families.
    assert next(v for v in tunnel.klips.sas() if v.direction is Direction.IN).ecn_alarms == 10


def test_a_first_use_and_a_mapping_that_found_no_room_are_told_later(tunnel: Rig) -> None:
    tunnel.eroute(Shunt.TRAP, dst="10.3.0.0/16")
    for n in range(16384):
        tunnel.send(udp(HERE, f"10.3.{n >> 8}.{n & 255}", 1, 2))
    eventually(lambda: sum(view.held for view in tunnel.klips.eroutes()) == 16384, timeout=10.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as moved:
        moved.bind(("127.0.0.1", 0))
        to = (str(tunnel.local.address), tunnel.local.port)
        elsewhere = Endpoint(ip_address("127.0.0.1"), moved.getsockname()[1])
        moved.sendto(tunnel.seal(udp(THERE, HERE, 1, 2)), to)
        tunnel.received()
        assert {type(event) for event in tunnel.events(16384)} == {Acquire}
        moved.sendto(tunnel.seal(udp(THERE, HERE, 1, 2)), to)
        tunnel.received()
        assert tunnel.events(2) == [NewMapping(tunnel.in_said, elsewhere), SaFirstUse(tunnel.in_said)]


def test_a_nat_that_changes_its_mind_is_reported_once(tunnel: Rig) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as moved:
        moved.bind(("127.0.0.1", 0))
        to = (str(tunnel.local.address), tunnel.local.port)
        elsewhere = Endpoint(ip_address("127.0.0.1"), moved.getsockname()[1])
        for _ in range(3):
            moved.sendto(tunnel.seal(udp(THERE, HERE, 1, 2)), to)
            assert tunnel.received() == udp(THERE, HERE, 1, 2)
        assert tunnel.events(2) == [NewMapping(tunnel.in_said, elsewhere), SaFirstUse(tunnel.in_said)]
        # A forged packet from a third place says nothing.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
            forged = tunnel.seal(udp(THERE, HERE, 1, 2))
            liar.sendto(forged[:-1] + bytes([forged[-1] ^ 1]), to)
        tunnel.dropped(Drop.AUTH_FAILED)
        assert tunnel.klips.poll_events() == []
        tunnel.do(MoveSa(tunnel.out_said, tunnel.local, elsewhere))
        tunnel.do(MoveSa(tunnel.in_said, elsewhere, tunnel.local))
        tunnel.send(udp(HERE, THERE, 1, 2))
        moved.settimeout(2)
        assert tunnel.from_engine.open(moved.recv(2000))[1] == udp(HERE, THERE, 1, 2)
        moved.sendto(tunnel.seal(udp(THERE, HERE, 1, 2)), to)
        tunnel.received()
        assert tunnel.klips.poll_events() == []


def test_a_source_that_is_not_the_peer_is_refused_without_nat(rig: Rig) -> None:
    rig.do(rig.sa(Direction.IN, src=ip_address("127.0.0.9"), encap=None))
    rig.arrive(rig.seal(udp(THERE, HERE, 1, 2)))
    rig.dropped(Drop.SOURCE_MISMATCH)
    assert rig.silent()


def test_two_sas_interleaved_keep_their_own_windows(tunnel: Rig) -> None:
    other = Said(tunnel.in_said.proto, 0x3003, tunnel.in_said.dst)
    tunnel.do(tunnel.sa(Direction.IN, other))
    for n in range(1, 40):
        tunnel.arrive(tunnel.seal(udp(THERE, HERE, 1, n), sequence=n))
        tunnel.arrive(tunnel.seal(udp(THERE, HERE, 2, n), sequence=n, spi=0x3003))
    got = {tunnel.received() for _ in range(78)}
    assert got == {udp(THERE, HERE, port, n) for n in range(1, 40) for port in (1, 2)}
    eventually(lambda: [v.packets for v in tunnel.klips.sas() if v.direction is Direction.IN] == [39, 39])


def test_what_is_under_way_to_the_address_before_is_taken_after_a_move(tunnel: Rig) -> None:
    packet = udp(THERE, HERE, 1, 2)
    for last, taken in ((8, True), (9, False)):
        tunnel.do(MoveSa(tunnel.in_said, tunnel.remote, Endpoint(ip_address(f"127.0.0.{last}"), tunnel.local.port)))
        tunnel.arrive(tunnel.seal(packet))
        if taken:
            assert tunnel.received() == packet
    tunnel.dropped(Drop.NO_SA)


def test_in_one_batch_each_packet_is_judged_by_itself(tunnel: Rig) -> None:
    tunnel.klips.stop()
    good = [udp(THERE, HERE, 1, n + 1) for n in range(20)]
    for n, packet in enumerate(good):
        sealed = tunnel.seal(packet)
        tunnel.arrive(sealed)
        if n == 3:
            tunnel.arrive(sealed)
        if n == 5:
            tunnel.arrive(tunnel.seal(udp("10.9.9.9", HERE, 1, 6)))
        if n == 7:
            forged = bytearray(tunnel.seal(packet))
            forged[-20] ^= 1
            tunnel.arrive(bytes(forged))
        if n == 9:
            tunnel.arrive(sealed[:8])
            tunnel.arrive(tunnel.seal(packet, spi=0x7777))
    tunnel.klips.start()
    assert [tunnel.received() for _ in good] == good and tunnel.silent(0.05)
    drops = {why: count for why, count in tunnel.klips.drops().items() if count}
    assert drops == {
        Drop.REPLAY: 1,
        Drop.SELECTOR_MISMATCH: 1,
        Drop.AUTH_FAILED: 1,
        Drop.MALFORMED: 1,
        Drop.NO_SA: 1,
    }
    inside = next(v for v in tunnel.klips.sas() if v.said == tunnel.in_said)
    assert (inside.packets, inside.replays, inside.auth_failures) == (20, 1, 1)
