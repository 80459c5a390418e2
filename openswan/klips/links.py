# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways of raw ESP past the kernel's IP layer: next hops out, rings of packet sockets in."""

from __future__ import annotations

from typing import Protocol

from openswan.base.address import Address
from openswan.base.errors import KlipsError
from openswan.plane.commands import AttachIntake, DetachIntake, SetNextHop

INTAKES = 64
NO_HOP = (0, b"")
"""What RawPath has in the place of a next hop."""


class Engine(Protocol):
    """The part of _fast.pump.Engine this needs."""

    @property
    def workers(self) -> int:
        """How many threads there are."""

    def attach_intake(self, slot: int, fd: int, reader: int, block: int, blocks: int) -> None:
        """Let worker `reader` take packets from that ring."""

    def detach_intake(self, slot: int) -> None:
        """Stop using it."""

    def intake_packets(self, slot: int) -> int:
        """Packets taken from it."""


class Links:
    """What is known of both, by address and by interface."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._hops: dict[tuple[Address, Address], tuple[int, bytes]] = {}
        self._intakes: dict[str, tuple[int, ...]] = {}
        """Slots of each interface's rings; ring k is worker k's."""

    def hop(self, local: Address, remote: Address) -> tuple[int, bytes]:
        """Interface index and ethernet address, or NO_HOP."""
        return self._hops.get((local, remote), NO_HOP)

    def set_hop(self, c: SetNextHop) -> None:
        """Note a next hop, or that there is none any more. KlipsError: it is no ethernet neighbour."""
        if c.hop is None:
            self._hops.pop((c.local, c.remote), None)
            return
        if len(c.hop.address) != 6 or c.hop.interface <= 0:
            raise KlipsError(f"the next hop to {c.remote} is no ethernet neighbour")
        self._hops[c.local, c.remote] = (c.hop.interface, c.hop.address)

    def attach(self, c: AttachIntake) -> None:
        """Give each worker its ring; all of them or none."""
        if c.interface in self._intakes:
            raise KlipsError(f"{c.interface} has its packet rings already")
        if not 1 <= len(c.fds) <= self._engine.workers:
            raise KlipsError(f"{len(c.fds)} packet rings for {self._engine.workers} workers")
        taken = {slot for slots in self._intakes.values() for slot in slots}
        free = [slot for slot in range(INTAKES) if slot not in taken][: len(c.fds)]
        if len(free) < len(c.fds):
            raise KlipsError(f"no more than {INTAKES} packet rings at once")
        done: list[int] = []
        try:
            for reader, (slot, fd) in enumerate(zip(free, c.fds, strict=True), 1):
                self._engine.attach_intake(slot, fd, reader, c.block, c.blocks)
                done.append(slot)
        except OSError:
            for slot in done:
                self._engine.detach_intake(slot)
            raise
        self._intakes[c.interface] = tuple(done)

    def detach(self, c: DetachIntake) -> None:
        """Take them away."""
        slots = self._intakes.pop(c.interface, None)
        if slots is None:
            raise KlipsError(f"{c.interface} has no packet rings")
        for slot in slots:
            self._engine.detach_intake(slot)

    def packets(self, interface: str) -> int:
        """Packets that came by an interface's rings."""
        return sum(self._engine.intake_packets(slot) for slot in self._intakes.get(interface, ()))
