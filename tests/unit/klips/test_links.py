# SPDX-License-Identifier: GPL-2.0-or-later
"""Next hops and rings, by address and by interface."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.errors import KlipsError
from openswan.klips.links import NO_HOP, Links
from openswan.plane.commands import AttachIntake, DetachIntake, NextHop, SetNextHop

A, B, C = (ip_address(f"192.0.2.{n}") for n in (1, 2, 3))
MAC = bytes.fromhex("020000000001")


class Engine:
    """Slots in use, by reader."""

    workers = 2

    def __init__(self, fails_at: int = -1) -> None:
        self.slots: dict[int, int] = {}
        self.fails_at = fails_at

    def attach_intake(self, slot: int, fd: int, reader: int, block: int, blocks: int) -> None:
        if fd == self.fails_at:
            raise OSError(22, "cannot be mapped")
        assert slot not in self.slots and (block, blocks) == (4096, 8)
        self.slots[slot] = reader

    def detach_intake(self, slot: int) -> None:
        del self.slots[slot]

    def intake_packets(self, slot: int) -> int:
        return 100 + slot


def intake(name: str, *fds: int) -> AttachIntake:
    """Small rings."""
    return AttachIntake(name, fds, 4096, 8)


def test_next_hops_are_of_a_pair_of_addresses() -> None:
    links = Links(Engine())
    assert links.hop(A, B) == NO_HOP
    links.set_hop(SetNextHop(A, B, NextHop(3, MAC)))
    assert links.hop(A, B) == (3, MAC) and links.hop(B, A) == links.hop(A, C) == NO_HOP
    links.set_hop(SetNextHop(A, B, None))
    links.set_hop(SetNextHop(A, B, None))
    assert links.hop(A, B) == NO_HOP


@pytest.mark.parametrize("hop", [NextHop(0, MAC), NextHop(-1, MAC), NextHop(3, MAC[:5]), NextHop(3, bytes(8))])
def test_what_is_no_ethernet_neighbour_is_refused(hop: NextHop) -> None:
    with pytest.raises(KlipsError, match="no ethernet neighbour"):
        Links(Engine()).set_hop(SetNextHop(A, B, hop))


def test_each_worker_gets_its_ring_and_all_go_together() -> None:
    engine = Engine()
    links = Links(engine)
    links.attach(intake("wan", 7, 8))
    links.attach(intake("lan", 9))
    assert engine.slots == {0: 1, 1: 2, 2: 1}
    assert links.packets("wan") == 201 and links.packets("lan") == 102 and links.packets("none") == 0
    links.detach(DetachIntake("wan"))
    links.attach(intake("dmz", 5))
    assert engine.slots == {2: 1, 0: 1}


def test_all_rings_or_none() -> None:
    engine = Engine(fails_at=8)
    links = Links(engine)
    with pytest.raises(OSError, match="mapped"):
        links.attach(intake("wan", 7, 8))
    assert not engine.slots
    links.attach(intake("wan", 7))


def test_what_cannot_be_is_told() -> None:
    links = Links(Engine())
    links.attach(intake("wan", 7, 8))
    for command, reason in (
        (intake("wan", 7), "already"),
        (intake("lan"), "0 packet rings for 2 workers"),
        (intake("lan", 1, 2, 3), "3 packet rings"),
    ):
        with pytest.raises(KlipsError, match=reason):
            links.attach(command)
    with pytest.raises(KlipsError, match="no packet rings"):
        links.detach(DetachIntake("lan"))
    for n in range(31):
        links.attach(intake(f"if{n}", 1, 2))
    with pytest.raises(KlipsError, match="no more than 64"):
        links.attach(intake("more", 1))
