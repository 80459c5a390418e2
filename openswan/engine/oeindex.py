# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs by where their destinations lie, so that a net's pairs are found without a look at all the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from openswan.base.address import Subnet
from openswan.engine.oeevents import Pair

BITS = {4: 24, 6: 64}
"""Destinations whose first bits are the same are kept together."""


def _block(pair: Pair) -> tuple[int, int]:
    version = pair.dst.version
    return version, int(pair.dst) >> (pair.dst.max_prefixlen - BITS[version])


@dataclass(slots=True)
class PairIndex:
    """Adding and removing cost the same however many there are; finding, in proportion to what is found or nearby."""

    blocks: dict[tuple[int, int], dict[Pair, None]] = field(default_factory=dict)

    def add(self, pair: Pair) -> None:
        """One more."""
        self.blocks.setdefault(_block(pair), {})[pair] = None

    def remove(self, pair: Pair) -> None:
        """One less; one that is not there is fine."""
        where = _block(pair)
        found = self.blocks.get(where)
        if found is not None:
            found.pop(pair, None)
            if not found:
                del self.blocks[where]

    def within(self, net: Subnet) -> Iterator[Pair]:
        """Pairs whose destination is in a net."""
        shift = net.max_prefixlen - BITS[net.version]
        first, last = int(net.network_address) >> shift, int(net.broadcast_address) >> shift
        if last - first < len(self.blocks):
            keys: list[tuple[int, int]] = [(net.version, number) for number in range(first, last + 1)]
        else:
            keys = [key for key in self.blocks if key[0] == net.version and first <= key[1] <= last]
        whole = net.prefixlen <= BITS[net.version]
        for key in keys:
            yield from [pair for pair in self.blocks.get(key, ()) if whole or pair.dst in net]
