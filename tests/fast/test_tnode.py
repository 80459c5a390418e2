# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes of the tree of prefixes: what they cost, what they skip, and what is left of them."""

from __future__ import annotations

from random import Random

from _fast.trie import Trie


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


def test_a_node_far_below_its_parent_knows_what_was_skipped() -> None:
    tree = Trie()
    deep = bytes(14) + b"\1"
    tree.put(deep + b"\1", 128, 1)
    tree.put(deep + b"\2", 128, 2)
    assert tree.covering(deep + b"\1") == [1] and tree.covering(b"\x20" + deep[1:] + b"\1") == []
    tree.put(b"\x20" + bytes(15), 4, 3)
    tree.put(bytes(16), 0, 4)
    assert tree.covering(deep + b"\2") == [2, 4] and tree.covering(b"\x20" + deep[1:] + b"\2") == [3, 4]
    assert tree.cut(b"\x20" + bytes(15), 4) == 3 and tree.cut(bytes(16), 0) == 4
    assert tree.covering(deep + b"\2") == [2] and tree.covering(b"\x20" + deep[1:] + b"\2") == []


def test_every_length_of_one_address_nests() -> None:
    tree = Trie()
    address = bytes.fromhex("20010db8a5a5a5a5ffff0000ffff0001")
    for length in range(129):
        tree.put(
            (int.from_bytes(address, "big") >> (128 - length) << (128 - length)).to_bytes(16, "big"), length, length
        )
    assert tree.covering(address) == list(range(128, -1, -1))
    assert tree.covering(address[:-1] + b"\0") == list(range(127, -1, -1))
    assert tree.covering(b"\x20\1" + bytes(14))[0] == 20
