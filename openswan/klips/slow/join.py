# SPDX-License-Identifier: GPL-2.0-or-later
"""Fragments put together as RFC 791 3.2 and RFC 8200 4.5 say it, octet by octet. Twin of _fast.join's heart.

Without its bounds of places and time: for one datagram after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openswan.base.drops import Drop

KEPT = -1


@dataclass
class Datagram:
    """One datagram under way."""

    octets: dict[int, int] = field(default_factory=dict)
    """By place."""
    front: bytes = b""
    """Headers of the first piece, before what was cut."""
    end: int = 0
    spoilt: bool = False

    def put(self, front: bytes, start: int, body: bytes, more: bool) -> tuple[int, bytes]:
        """(KEPT, b""), (0, what was cut), or (drop reason, b"") for one piece."""
        places = range(start, start + len(body))
        if self.spoilt:
            return int(Drop.FRAGMENT_OVERLAP), b""
        there = [at for at in places if at in self.octets]
        if there:
            same = len(there) == len(body) and all(self.octets[at] == body[at - start] for at in there)
            if same and (more or self.end == places.stop):
                return int(Drop.FRAGMENT_LOST), b""
            return self._spoil()
        if self.end and (places.stop > self.end or not more):
            return self._spoil()
        if not more:
            if any(at >= places.stop for at in self.octets):
                return self._spoil()
            self.end = places.stop
        self.octets.update(zip(places, body, strict=True))
        if start == 0:
            self.front = front
        if self.end and len(self.octets) == self.end:
            return 0, bytes(self.octets[at] for at in range(self.end))
        return KEPT, b""

    def _spoil(self) -> tuple[int, bytes]:
        self.spoilt = True
        return int(Drop.FRAGMENT_OVERLAP), b""
