# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading and writing octets in network order: the only place that notices a truncated message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from openswan.base.errors import WireError


class Reader:
    """A cursor over octets that never moves past its end; every short read is one WireError (INVALID_SYNTAX)."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytes(data)
        self._position = 0
        self._end = len(self._data)

    @property
    def position(self) -> int:
        """Octets read so far, counted from the start of the data."""
        return self._position

    @property
    def remaining(self) -> int:
        """Octets left before the end or the current fence."""
        return self._end - self._position

    def octets(self, count: int) -> bytes:
        """The next `count` octets; WireError when fewer are left."""
        if count < 0 or count > self.remaining:
            raise WireError(f"truncated: {count} octets wanted at offset {self._position}, {self.remaining} left")
        start = self._position
        self._position += count
        return self._data[start : self._position]

    def rest(self) -> bytes:
        """All octets up to the end or the current fence; may be empty."""
        return self.octets(self.remaining)

    def u8(self) -> int:
        """One octet."""
        return self.octets(1)[0]

    def u16(self) -> int:
        """Two octets, most significant first."""
        return int.from_bytes(self.octets(2), "big")

    def u32(self) -> int:
        """Four octets, most significant first."""
        return int.from_bytes(self.octets(4), "big")

    def counted(self, length: int, header: int) -> bytes:
        """The body of a field whose length on the wire is `length` and counts `header` octets already read.

        WireError when the length does not even cover that header, or runs past the end.
        """
        if length < header:
            raise WireError(f"length {length} at offset {self._position} is smaller than its own header of {header}")
        return self.octets(length - header)

    @contextmanager
    def restrict_to(self, count: int) -> Iterator[Reader]:
        """Fence off the next `count` octets; leaving the block with some of them unread is a WireError."""
        if count < 0 or count > self.remaining:
            raise WireError(f"truncated: {count} octets announced at offset {self._position}, {self.remaining} left")
        outer, self._end = self._end, self._position + count
        try:
            yield self
            self.expect_end()
        finally:
            self._end = outer

    def expect_end(self) -> None:
        """WireError when octets are left."""
        if self.remaining:
            raise WireError(f"{self.remaining} octets too many at offset {self._position}")


class Writer:
    """Octets under construction, network order."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def octets(self, data: bytes) -> Writer:
        """Append octets as they are."""
        self._data += data
        return self

    def u8(self, value: int) -> Writer:
        """Append one octet; WireError when the value does not fit (so with the others)."""
        return self._number(value, 1)

    def u16(self, value: int) -> Writer:
        """Append two octets, most significant first."""
        return self._number(value, 2)

    def u32(self, value: int) -> Writer:
        """Append four octets, most significant first."""
        return self._number(value, 4)

    def _number(self, value: int, size: int) -> Writer:
        if not 0 <= value < 1 << 8 * size:
            raise WireError(f"{value} does not fit in {size} octets", None)
        self._data += value.to_bytes(size, "big")
        return self

    def done(self) -> bytes:
        """What was written."""
        return bytes(self._data)
