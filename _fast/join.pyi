# SPDX-License-Identifier: GPL-2.0-or-later
PLACES: int
OF_PAIR: int
SECONDS: float

class Joiner:
    def put(self, packet: bytes, now: float = 1.0, owner: int = 0) -> tuple[int, bytes]: ...
    @property
    def lost(self) -> int: ...
    @property
    def under_way(self) -> int: ...
