# SPDX-License-Identifier: GPL-2.0-or-later
"""Key material that can be overwritten when it is no longer needed."""

from __future__ import annotations

from openswan.base.errors import CryptoError


class Secret:
    """Octets in a buffer of our own, never shown by repr(), gone after wipe()."""

    __slots__ = ("_data", "_wiped")

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = bytearray(data)
        self._wiped = False

    @property
    def data(self) -> bytearray:
        """The octets, not a copy; CryptoError after wipe()."""
        if self._wiped:
            raise CryptoError("this key has been wiped")
        return self._data

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"Secret({len(self._data)} octets)"

    def wipe(self) -> None:
        """Overwrite the octets with zeros."""
        wipe(self._data)
        self._wiped = True


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros in place."""
    buffer[:] = bytes(len(buffer))
