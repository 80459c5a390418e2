# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad input through the whole engine: a named, counted drop, while good flows go on and no memory is lost."""

from __future__ import annotations

import struct
from ipaddress import IPv4Network

import pytest

from openswan.base.drops import Drop
from openswan.plane.commands import Direction
from openswan.plane.events import IkeDatagram
from openswan.policy.selector import Selector
from tests.fast.rig import (
    HERE,
    IN_SPI,
    THERE,
    Rig,
    eventually,
    icmp_error,
    ip,
    tcp,
    udp,
    vnet,
)
from tests.soak.badinput import KINDS, WAIT, Kind, flood

HERE6, THERE6 = "fd01::5", "fd02::7"


def sealed_text(rig: Rig, text: bytes) -> bytes:
    """A packet of the valid peer with this text, trailer and all."""
    rig.sequence += 1
    head = IN_SPI.to_bytes(4, "big") + rig.sequence.to_bytes(4, "big")
    iv = rig.sequence.to_bytes(8, "big")
    return head + iv + rig.to_engine.seal_aead(iv, text + bytes(-len(text) % 4), head)


def drops_of(rig: Rig) -> dict[Drop, int]:
    return {reason: count for reason, count in rig.klips.drops().items() if count}


def all_dropped(rig: Rig, count: int, *reasons: Drop) -> None:
    """Exactly so many, for these reasons alone, and nothing came out."""
    eventually(lambda: sum(drops_of(rig).values()) >= count, 5.0, lambda: str(drops_of(rig)))
    assert sum(drops_of(rig).values()) == count and set(drops_of(rig)) <= set(reasons), drops_of(rig)
    assert rig.silent(0.05)


def still_good(rig: Rig) -> None:
    """A packet each way."""
    rig.send(udp(HERE, THERE, 7, 8, b"out"))
    assert rig.opened() == udp(HERE, THERE, 7, 8, b"out")
    rig.arrive(rig.seal(udp(THERE, HERE, 8, 7, b"in")))
    assert rig.received() == udp(THERE, HERE, 8, 7, b"in")


# --- lengths ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packet", [tcp(THERE, HERE, 1, 2, b"data"), udp(THERE6, HERE6, 1, 2, b"data")], ids=["v4", "v6"]
)
def test_inner_packets_truncated_at_every_octet(tunnel: Rig, packet: bytes) -> None:
    for length in range(1, len(packet)):
        tunnel.arrive(tunnel.seal(packet[:length], next_header=4 if packet[0] >> 4 == 4 else 41))
    all_dropped(tunnel, len(packet) - 1, Drop.MALFORMED)
    still_good(tunnel)


@pytest.mark.parametrize(
    "packet", [tcp(HERE, THERE, 1, 2, b"data"), udp(HERE6, THERE6, 1, 2, b"data")], ids=["v4", "v6"]
)
def test_frames_truncated_at_every_octet(tunnel: Rig, packet: bytes) -> None:
    frame = bytes(10) + packet
    for length in range(1, len(frame)):
        tunnel.host.send(frame[:length])
    all_dropped(tunnel, len(frame) - 1, Drop.MALFORMED)
    still_good(tunnel)


def test_datagrams_of_every_short_length(tunnel: Rig) -> None:
    # CVE-2013-4564 on the way in by port 4500: whatever pluto gets, it gets whole and once.
    for length in range(29):
        tunnel.arrive(bytes(length))
    events = tunnel.events(25)
    assert [event.data for event in events if isinstance(event, IkeDatagram)] == [bytes(n) for n in range(25)]
    for length in range(1, 8):
        tunnel.arrive(b"\x12" * length)
    tunnel.arrive(b"\xff")
    eventually(lambda: drops_of(tunnel).get(Drop.KEEPALIVE) == 1)
    assert set(drops_of(tunnel)) == {Drop.MALFORMED, Drop.KEEPALIVE}
    still_good(tunnel)


def test_super_packets_whose_header_lies(tunnel: Rig) -> None:
    stream, datagrams = tcp(HERE, THERE, 1, 2, bytes(300)), udp(HERE, THERE, 1, 2, bytes(300))
    lies = [
        vnet(1, 40, 0, 20, 16) + stream,
        vnet(4, 40, 100, 20, 16) + stream,
        vnet(5, 28, 0, 20, 6) + datagrams,
        vnet(5, 28, 100, 20, 6) + stream,
        vnet(1, 40, 100, 20, 16) + datagrams,
        vnet(3, 28, 100, 20, 6) + datagrams,
        vnet(0x7F, 28, 100, 20, 6) + datagrams,
        vnet(0, 0, 0, 65535, 65535) + datagrams,
        vnet(0, 0, 0, 327, 6) + datagrams,
        vnet(0, 0, 0, 0, 10) + datagrams,
        vnet(1, 40, 100, 20, 16) + tcp(HERE, THERE, 1, 2),
        vnet(1, 40, 100, 20, 16) + stream[:32] + b"\x10" + stream[33:],
        vnet(1, 40, 100, 20, 16) + stream[:32] + b"\xf0" + stream[33:60],
        vnet(1, 40, 100, 20, 16) + ip(HERE, THERE, 6, stream[20:], df=False, frag=0x2000),
    ]
    for lie in lies:
        tunnel.host.send(lie)
    all_dropped(tunnel, len(lies), Drop.MALFORMED)
    still_good(tunnel)


def test_inner_lengths_that_lie_above_ip_are_the_hosts_business_and_never_merged(tunnel: Rig) -> None:
    tunnel.klips._engine.set_offload(0, True, True)
    for packet in (
        ip(THERE, HERE, 6, tcp(THERE, HERE, 1, 2, b"x" * 40)[20:32] + b"\xf0" + bytes(47)),
        ip(THERE, HERE, 6, tcp(THERE, HERE, 1, 2, b"x" * 40)[20:32] + b"\x00" + bytes(47)),
        ip(THERE, HERE, 17, struct.pack("!HHHH", 1, 2, 65535, 1) + b"x" * 40),
        ip(THERE, HERE, 17, struct.pack("!HHHH", 1, 2, 3, 1) + b"x" * 40),
    ):
        for _ in range(2):
            tunnel.arrive(tunnel.seal(packet))
        assert [tunnel.received(), tunnel.received()] == [packet, packet]


# --- padding ------------------------------------------------------------------------------------------------------


def test_absurd_padding(tunnel: Rig) -> None:
    good = udp(THERE, HERE, 1, 2)
    wrong = [bytes(range(1, 6)) + bytes([pad, 4]) for pad in (6, 7, 100, 254, 255)]
    wrong += [good + bytes([3, 2, 1]) + b"\x03\x04", good + bytes(3) + b"\x03\x04", good + b"\xff" * 9 + b"\x09\x04"]
    texts = [bytes(-(len(text)) % 4) + text for text in wrong]
    for text in texts:
        tunnel.arrive(sealed_text(tunnel, text))
    all_dropped(tunnel, len(texts), Drop.BAD_PADDING)
    # As much as the field allows, and right, is no fault.
    pad = 255 - (len(good) + 255 + 2) % 4
    tunnel.arrive(sealed_text(tunnel, good + bytes(range(1, pad + 1)) + bytes([pad, 4])))
    assert tunnel.received() == good


# --- inside a valid SA --------------------------------------------------------------------------------------------


def test_fragments_that_overlap_pass_as_they_are_and_are_never_joined(tunnel: Rig) -> None:
    # Putting them together is the host's; what counts here is that none is merged, changed or let past the selectors.
    tunnel.klips._engine.set_offload(0, True, True)
    whole = udp(THERE, HERE, 1, 2, bytes(range(64)))[20:]
    pieces = [
        (0, whole[:48], True),
        (2, whole[16:64], True),
        (2, b"\xaa" * 40, False),
        (0, whole[:24], False),
        (8189, b"\xee" * 24, False),
    ]
    packets = [
        ip(THERE, HERE, 17, data, df=False, frag=place | (0x2000 if more else 0), ident=7)
        for place, data, more in pieces
    ]
    for packet in packets:
        tunnel.arrive(tunnel.seal(packet))
    assert [tunnel.received() for _ in packets] == packets


def test_fragments_do_not_get_past_selectors_with_ports(rig: Rig) -> None:
    here, there = Selector.of(IPv4Network("10.1.0.0/16")), Selector.of(IPv4Network("10.2.0.0/16"), 17, 53)
    rig.do(rig.sa(Direction.IN, selectors=((there, here),)))
    later = [ip(THERE, HERE, 17, b"f" * 32, df=False, frag=place) for place in (1, 2, 185, 8191)]
    for packet in later:
        rig.arrive(rig.seal(packet))
    # The first fragment of TCP so short that its flags come in the next (RFC 1858).
    rig.arrive(rig.seal(ip(THERE, HERE, 6, tcp(THERE, HERE, 53, 2)[20:28], df=False, frag=0x2000)))
    all_dropped(rig, 5, Drop.FRAGMENT_OVERLAP, Drop.MALFORMED)
    rig.arrive(rig.seal(udp(THERE, HERE, 53, 9)))
    assert rig.received() == udp(THERE, HERE, 53, 9)


def test_too_bigs_forged_inside_the_tunnel(tunnel: Rig) -> None:
    # About packets this side never sent, or that quote nothing that makes sense.
    about = udp("10.9.9.9", "10.8.8.8", 1, 2)
    forged = [icmp_error("192.168.9.9", HERE, about[:28], 3, 4), icmp_error("192.168.9.9", HERE, about[:20], 3, 4)]
    forged += [icmp_error("192.168.9.9", HERE, b"\x45" * n, 3, 4) for n in (0, 1, 19, 20)]
    forged += [icmp_error("fe80::1", HERE6, udp("fd09::1", "fd08::1", 1, 2)[:48], 2, 0)]
    for packet in forged:
        tunnel.arrive(tunnel.seal(packet))
    all_dropped(tunnel, len(forged), Drop.ICMP_ERROR_FOREIGN, Drop.MALFORMED, Drop.SELECTOR_MISMATCH)
    tunnel.send(udp(HERE, THERE, 1, 2, bytes(1300)))
    assert len(tunnel.opened()) == 1328


# --- floods -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_a_flood_is_counted_stalls_nobody_and_leaves_nothing_behind(kind: Kind) -> None:
    # A sample of `make soak-badinput`.
    result = flood(kind, 3000)
    assert result.growth < 8 << 20 and result.good == -(-3000 // kind.chunk)
    assert result.usual < WAIT and result.slowest < 5


# --- IVs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["auto", "evp"])
def test_the_iv_of_cbc_cannot_be_told_beforehand(provider: str) -> None:
    # The classic attack on ESP: the last block of one packet was the next one's IV.
    rig = Rig("aes_cbc", provider)
    try:
        rig.tunnel()
        seen: set[bytes] = set()
        for n in range(200):
            rig.send(udp(HERE, THERE, 7, 8, bytes(100)))
            sealed = rig.wire()
            iv, text = sealed[8:24], sealed[24:-16]
            blocks = {text[at : at + 16] for at in range(0, len(text), 16)}
            assert iv not in seen, n
            seen |= blocks | {iv}
    finally:
        rig.close()
