# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree of prefixes against a dictionary, on prefixes that nest, and its memory."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random

import pytest
from _fast.trie import Trie


def near(rng: Random, octets: int) -> bytes:
    """An address whose bits agree with many others for a random stretch."""
    value = int.from_bytes(b"\x0a\x55\xaa\xff" * (octets // 4), "big")
    return (value ^ rng.getrandbits(octets * 8) >> rng.randrange(octets * 8)).to_bytes(octets, "big")


@pytest.mark.parametrize("octets", [4, 16])
@pytest.mark.parametrize("seed", range(4))
def test_races_a_dictionary(octets: int, seed: int) -> None:
    rng = Random(seed)
    tree, rows = Trie(), dict[tuple[bytes, int], int]()
    known: list[tuple[bytes, int]] = []
    for number in range(1, 1500):
        if known and rng.random() < 0.4:
            net, length = rng.choice(known)
            assert tree.cut(net, length) == rows.pop((net, length), None)
        else:
            length = rng.randrange(octets * 8 + 1)
            net = ip_network((near(rng, octets), length), strict=False).network_address.packed
            known.append((net, length))
            assert tree.put(net, length, number) == rows.get((net, length))
            rows[net, length] = number
        assert len(tree) == len(rows)
        if number % 5 == 0:
            address = near(rng, octets)
            host = ip_address(address)
            covering = sorted(
                ((n, row) for (net, n), row in rows.items() if host in ip_network((net, n))), reverse=True
            )
            assert tree.covering(address) == [row for _, row in covering]
    for net, length in list(rows):
        assert tree.cut(net, length) == rows.pop((net, length))
    assert len(tree) == 0 and tree.octets == 0


def test_a_node_of_one_prefix_is_none() -> None:
    tree = Trie()
    rng = Random(5)
    nets = {rng.getrandbits(128).to_bytes(16, "big") for _ in range(2000)}
    for net in nets:
        tree.put(net, 128, 1)
    full = tree.octets
    keep = sorted(nets)[:3]
    for net in nets - set(keep):
        tree.cut(net, 128)
    assert tree.octets <= 3 * 128 + 3 * 64 < full < 2000 * (128 + 128)
