# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams that come before their SA: kept, bounded, delivered in order, forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from openswan.base.drops import Drop
from openswan.plane.commands import Direction, ExpectSpi
from openswan.plane.events import UnknownSpi
from tests.fast.rig import HERE, IN_SPI, THERE, Rig, udp


@pytest.fixture(params=[1, 2])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    made = Rig(workers=request.param)
    yield made
    made.close()


def packets(count: int) -> list[bytes]:
    return [udp(THERE, HERE, 1, n + 1, b"x" * n) for n in range(count)]


def test_what_comes_before_its_sa_is_delivered_with_it(rig: Rig) -> None:
    rig.do(ExpectSpi(rig.in_said))
    early = packets(20)
    for packet in early:
        rig.arrive(rig.seal(packet))
    assert rig.silent()
    rig.do(rig.sa(Direction.IN))
    assert [rig.received() for _ in early] == early
    assert rig.klips.drops()[Drop.NO_SA] == 0
    late = udp(THERE, HERE, 9, 9)
    rig.arrive(rig.seal(late))
    assert rig.received() == late


def test_what_nobody_expects_is_dropped_at_once(rig: Rig) -> None:
    rig.do(ExpectSpi(rig.in_said))
    rig.arrive(rig.seal(packets(1)[0], spi=IN_SPI + 1))
    rig.dropped(Drop.NO_SA)
    assert isinstance(rig.events()[0], UnknownSpi)


def test_what_was_withdrawn_is_forgotten(rig: Rig) -> None:
    rig.do(ExpectSpi(rig.in_said))
    for packet in packets(3):
        rig.arrive(rig.seal(packet))
    assert rig.silent()
    rig.do(ExpectSpi(rig.in_said, withdrawn=True))
    rig.dropped(Drop.NO_SA, 3)
    rig.do(rig.sa(Direction.IN))
    assert rig.silent()
    rig.do(ExpectSpi(rig.in_said, withdrawn=True))  # there is nothing to forget


def test_the_newest_are_kept(rig: Rig) -> None:
    rig.do(ExpectSpi(rig.in_said))
    early = packets(100)
    for packet in early:
        rig.arrive(rig.seal(packet))
    rig.dropped(Drop.NO_SA, 36)
    rig.do(rig.sa(Direction.IN))
    assert [rig.received() for _ in range(64)] == early[36:]


def test_large_ones_are_bounded_by_octets(rig: Rig) -> None:
    rig.do(ExpectSpi(rig.in_said))
    early = [udp(THERE, HERE, 1, n + 1, bytes(15000)) for n in range(12)]
    for packet in early:
        rig.arrive(rig.seal(packet))
        time.sleep(0.002)
    rig.dropped(Drop.NO_SA, 4)
    rig.do(rig.sa(Direction.IN))
    assert [rig.received() for _ in range(8)] == early[4:]


def test_six_seconds_is_the_longest(rig: Rig) -> None:
    rig.do(ExpectSpi(rig.in_said))
    old, young = packets(2)
    rig.arrive(rig.seal(old))
    time.sleep(1.1)
    rig.arrive(rig.seal(young))
    time.sleep(5.0)
    rig.do(rig.sa(Direction.IN))
    rig.dropped(Drop.NO_SA)
    assert rig.received() == young and rig.silent()


def test_what_is_kept_still_has_to_be_genuine(rig: Rig) -> None:
    rig.do(ExpectSpi(rig.in_said))
    forged = bytearray(rig.seal(packets(1)[0]))
    forged[-1] ^= 1
    rig.arrive(bytes(forged))
    good = rig.seal(packets(2)[1])
    rig.arrive(good)
    rig.arrive(good)
    assert rig.silent()
    rig.do(rig.sa(Direction.IN))
    assert rig.received() == packets(2)[1] and rig.silent()
    drops = rig.klips.drops()
    assert drops[Drop.AUTH_FAILED] == 1 and drops[Drop.REPLAY] == 1


def test_as_many_as_there_are_places(rig: Rig) -> None:
    for spi in range(0x1000, 0x1000 + 5000):
        rig.do(ExpectSpi(type(rig.in_said)(rig.in_said.proto, spi, rig.in_said.dst)))
    rig.do(ExpectSpi(rig.in_said))
    rig.arrive(rig.seal(packets(1)[0]))
    assert rig.silent()
    rig.do(rig.sa(Direction.IN))
    assert rig.received() == packets(1)[0]
