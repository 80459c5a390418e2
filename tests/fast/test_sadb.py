# SPDX-License-Identifier: GPL-2.0-or-later
"""The SA database against its twin."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

import pytest
from _fast.sadb import Sadb

from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.klips.slow.sadb import Sadb as SlowSadb
from openswan.plane.commands import Direction
from tests.fast.rig import Rig, udp

HOSTS = [bytes([192, 0, 2, n]) for n in (1, 2, 3)] + [bytes(15) + bytes([n]) for n in (1, 2)]


@pytest.mark.parametrize("seed", range(3))
def test_races_its_twin(seed: int) -> None:
    rng = Random(seed)
    fast, slow = Sadb(), SlowSadb()
    spis = [rng.getrandbits(32) for _ in range(100)]

    def name() -> tuple[int, int, bytes]:
        return rng.choice([50, 51, 108]), rng.choice(spis), rng.choice(HOSTS)

    for number in range(5000):
        proto, spi, dst = name()
        if rng.random() < 0.5:
            assert fast.add(proto, spi, dst, number) == slow.add(proto, spi, dst, number)
        else:
            assert fast.remove(proto, spi, dst) == slow.remove(proto, spi, dst)
        probe = name()
        assert fast.find(*probe) == slow.find(*probe)
        for version in (4, 6):
            found = fast.find(*probe[:2], None, version)
            assert found in slow.find_any(*probe[:2], version) or (
                found is None and not slow.find_any(*probe[:2], version)
            )
        assert len(fast) == len(slow)


def test_thousands_are_held() -> None:
    db = Sadb()
    assert all(db.add(50, n, HOSTS[0], n * 2) for n in range(1, 20001))
    assert all(db.find(50, n, HOSTS[0]) == n * 2 for n in range(1, 20001)) and db.find(50, 20001, HOSTS[0]) is None


def test_an_address_is_4_or_16_octets() -> None:
    with pytest.raises(ValueError, match="address"):
        Sadb().add(50, 1, b"12345", 1)


def test_an_sa_of_another_local_address_is_not_found(rig: Rig) -> None:
    rig.tunnel()
    rig.do(rig.sa(Direction.IN, said=Said(IpProtocol.ESP, 0x1002, ip_address("127.0.0.2"))))
    rig.arrive(rig.seal(udp("10.2.0.7", "10.1.0.5", 1, 2), spi=0x1002))
    rig.dropped(Drop.NO_SA)


def test_the_same_name_twice_is_refused(rig: Rig) -> None:
    rig.tunnel()
    with pytest.raises(KlipsError, match="already in use"):
        rig.do(rig.sa(Direction.IN))
