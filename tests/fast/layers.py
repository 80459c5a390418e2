# SPDX-License-Identifier: GPL-2.0-or-later
"""The eroute table's definition once more, quick enough for many: a dictionary for each pair of prefix lengths."""

from __future__ import annotations

from random import Random

from openswan.klips.keys import RawFlow, RawKey

Lengths = tuple[int, int]
Cell = dict[tuple[int, int, int], int]


def cut(address: bytes, length: int) -> int:
    """The first so many bits, as a number."""
    return int.from_bytes(address, "big") >> (len(address) * 8 - length)


class Layers:
    """Keys to cookies, as openswan.klips.slow.radij has it."""

    def __init__(self) -> None:
        self._layers: dict[tuple[int, int, int], dict[Lengths, Cell]] = {}
        self.keys: dict[RawKey, int] = {}

    @staticmethod
    def _place(key: RawKey) -> tuple[tuple[int, int, int], Lengths, tuple[int, int, int]]:
        version, src, srclen, dst, dstlen, *ports = key
        return (version, srclen, dstlen), (cut(src, srclen), cut(dst, dstlen)), (ports[0], ports[1], ports[2])

    def set(self, key: RawKey, cookie: int) -> None:
        """Add or replace."""
        lengths, nets, ports = self._place(key)
        self._layers.setdefault(lengths, {}).setdefault(nets, {})[ports] = cookie
        self.keys[key] = cookie

    def remove(self, key: RawKey) -> bool:
        """False when there is none."""
        lengths, nets, ports = self._place(key)
        self.keys.pop(key, None)
        return self._layers.get(lengths, {}).get(nets, {}).pop(ports, None) is not None

    def match(self, flow: RawFlow) -> int | None:
        """Source first, then destination, protocol, source and destination port."""
        version, src, dst, *ports = flow
        for lengths in sorted(self._layers, reverse=True):
            if lengths[0] != version:
                continue
            cell = self._layers[lengths].get((cut(src, lengths[1]), cut(dst, lengths[2])), {})
            hits = [key for key in cell if all(one in (0, other) for one, other in zip(key, ports, strict=True))]
            if hits:
                return cell[max(hits, key=lambda key: tuple(each != 0 for each in key))]
        return None


def address(rng: Random, version: int, first: int = 0) -> bytes:
    """Any, or any with these first four octets' bits."""
    size = 4 if version == 4 else 16
    return bytes(a | b for a, b in zip(rng.randbytes(size), first.to_bytes(4, "big") + bytes(12), strict=False))
