# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that wait: order within a pair, bounds, SYNs."""

from __future__ import annotations

from _fast.hold import Store

from tests.fast.rig import HERE, THERE, tcp, udp


def test_first_in_first_out_per_pair() -> None:
    store = Store()
    packets = [udp(HERE, f"10.2.0.{n % 3}", 1, n + 1) for n in range(300)]
    assert all(store.put(packet) == 0 for packet in packets)
    assert len(store) == 300
    out = [store.take() for _ in range(300)]
    assert store.take() is None and len(store) == 0 and store.octets == 0
    for n in range(3):
        dst = bytes([10, 2, 0, n])
        assert [p for p in out if p[16:20] == dst] == [p for p in packets if p[16:20] == dst]


def test_a_pair_keeps_its_newest() -> None:
    store = Store()
    gone = sum(store.put(udp(HERE, THERE, 1, n % 65535 + 1)) for n in range(5000))
    assert gone == 5000 - 4096 == 5000 - len(store)
    assert store.take() == udp(HERE, THERE, 1, gone + 1)


def test_a_pair_is_bounded_in_octets_too() -> None:
    store = Store()
    gone = sum(store.put(udp(HERE, THERE, 1, 1, bytes(60000))) for _ in range(200))
    assert gone and store.octets <= 8 << 20 and len(store) == 200 - gone


def test_the_total_is_bounded_and_the_oldest_of_all_goes() -> None:
    store = Store()
    gone = 0
    for n in range(40000):
        gone += store.put(udp(HERE, f"10.{n >> 14}.{n >> 7 & 127}.{n & 127}", 1, 1))
    assert gone == 40000 - 32768 and len(store) == 32768
    left = {store.take() for _ in range(32768)}
    assert udp(HERE, "10.0.0.0", 1, 1) not in left and udp(HERE, "10.2.56.63", 1, 1) in left


def test_syns_collapse_per_connection() -> None:
    store = Store()
    syn = [tcp(HERE, THERE, port, 80, seq=seq, flags=2) for port, seq in ((1, 1), (2, 2), (1, 3))]
    assert [store.put(packet) for packet in syn] == [0, 0, 1]
    # The answer of a simultaneous open is not a retransmission.
    assert store.put(tcp(HERE, THERE, 1, 80, flags=0x12)) == 0
    assert [store.take() for _ in range(3)] == [syn[1], syn[2], tcp(HERE, THERE, 1, 80, flags=0x12)]


def test_a_flood_of_connections_costs_no_search() -> None:
    """Every SYN of thousands under one pair finds its earlier self at once, whichever went meanwhile."""
    store = Store()
    syns = [tcp(HERE, THERE, 1 + n, 80, flags=2) for n in range(4096)]
    assert sum(store.put(packet) for packet in syns) == 0
    assert [store.put(packet) for packet in syns] == [1] * 4096 and len(store) == 4096
    assert [store.take() for _ in range(1000)] == syns[:1000]
    assert [store.put(packet) for packet in syns] == [0] * 1000 + [1] * 3096 and len(store) == 4096
