# SPDX-License-Identifier: GPL-2.0-or-later
"""The database of inbound SAs as a dictionary. Twin of _fast.sadb."""

from __future__ import annotations


class Sadb:
    """SPI (32 bits, host order) to number."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}

    def add(self, spi: int, number: int) -> bool:
        """Add an SA; False when the SPI is taken."""
        if spi in self._rows:
            return False
        self._rows[spi] = number
        return True

    def remove(self, spi: int) -> bool:
        """Remove it; False when there is none."""
        return self._rows.pop(spi, None) is not None

    def find(self, spi: int) -> int | None:
        """Its number, or None."""
        return self._rows.get(spi)

    def __len__(self) -> int:
        return len(self._rows)
