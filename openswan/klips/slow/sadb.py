# SPDX-License-Identifier: GPL-2.0-or-later
"""The database of inbound SAs as a dictionary. Twin of _fast.sadb."""

from __future__ import annotations


class Sadb:
    """(protocol, SPI in host order, local address as octets) to number."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int, bytes], int] = {}

    def add(self, proto: int, spi: int, dst: bytes, number: int) -> bool:
        """Add an SA; False when its name is taken."""
        if (proto, spi, dst) in self._rows:
            return False
        self._rows[proto, spi, dst] = number
        return True

    def remove(self, proto: int, spi: int, dst: bytes) -> bool:
        """Remove it; False when there is none."""
        return self._rows.pop((proto, spi, dst), None) is not None

    def find(self, proto: int, spi: int, dst: bytes) -> int | None:
        """Its number, or None."""
        return self._rows.get((proto, spi, dst))

    def find_any(self, proto: int, spi: int, version: int) -> set[int]:
        """The numbers of all that a packet may mean whose local address is not known."""
        octets = 4 if version == 4 else 16
        return {n for (p, s, dst), n in self._rows.items() if (p, s, len(dst)) == (proto, spi, octets)}

    def __len__(self) -> int:
        return len(self._rows)
