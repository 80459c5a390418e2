# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups that take a key from the DNS or nothing at all: who can prove himself does, and nobody is waited for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.base.said import Shunt
from openswan.engine.oeevents import Learned, Verdict
from openswan.policy.connection import SIGNATURES, Auth
from openswan.policy.gateways import Published, reverse_name
from openswan.policy.grade import Grade
from tests.sim.net import Faults
from tests.sim.pair import EAST, WEST, Pair, rsa_key
from tests.sim.test_groups import target
from tests.sim.test_oedns import both, gateway, grade_at, group, publish

MIXED = group(auth=SIGNATURES | Auth.NULL)
ABSENT = Published((), reason="no key is published")


def unpublish(pair: Pair, address: str) -> None:
    """Everybody finds that there is no key."""
    there = ip_address(address)
    for host in (pair.west, pair.east):
        host.dns[address] = Learned(there, Verdict.NONE, (), 300.0, "no record")
        host.dns[reverse_name(there)] = ABSENT


def meet(pair: Pair) -> None:
    """A packet each way."""
    packet = pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: packet in pair.east.klips.delivered)
    back = pair.send(pair.east, EAST, WEST)
    assert pair.run(3.0, lambda: back in pair.west.klips.delivered)


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_who_has_a_key_in_the_dns_proves_himself(delay: float) -> None:
    pair = both(MIXED, MIXED)
    pair.west.dns_delay = pair.east.dns_delay = delay
    meet(pair)
    pair.run(40.0)
    assert grade_at(pair.west) is grade_at(pair.east) is Grade.DNSSEC
    assert len(pair.west.klips.sas) == len(pair.east.klips.sas) == 2, "one tunnel is left"
    assert pair.missing() == [] and pair.west.clear == pair.east.clear == []
    pair.sane()


@pytest.mark.parametrize("who", [(WEST,), (EAST,), (WEST, EAST)])
def test_who_has_none_is_nobody(who: tuple[str, ...]) -> None:
    """What he signs cannot be judged by anybody and counts as no proof."""
    pair = both(MIXED, MIXED)
    for each in who:
        unpublish(pair, each)
    meet(pair)
    pair.run(10.0)
    assert grade_at(pair.west) is (Grade.NULL if EAST in who else Grade.DNSSEC)
    assert grade_at(pair.east) is (Grade.NULL if WEST in who else Grade.DNSSEC)
    assert len(pair.west.klips.sas) == 2 and pair.west.clear == pair.east.clear == []
    pair.sane()


def test_a_dns_that_is_silent_holds_nobody_up() -> None:
    pair = both(MIXED, MIXED)
    for host in (pair.west, pair.east):
        host.dns = {reverse_name(ip_address(each)): ABSENT for each in (WEST, EAST)}
    packet = pair.send(pair.west, WEST, EAST)
    assert pair.run(1.0, lambda: packet in pair.east.klips.delivered)
    assert grade_at(pair.west) is Grade.NULL


def test_a_bogus_answer_denies_here_too() -> None:
    pair = both(MIXED, MIXED)
    pair.east.dns[reverse_name(ip_address(WEST))] = replace(ABSENT, reason="bogus", bogus=True)
    pair.send(pair.west, WEST, EAST)
    pair.run(9.0)
    assert not pair.east.klips.sas and target(pair.west, EAST) is Shunt.DROP


def test_who_signs_by_another_key_than_his_record_has_is_refused() -> None:
    pair = both(MIXED, MIXED)
    pair.east.dns[reverse_name(ip_address(WEST))] = Published((rsa_key(4).public_key(),), Grade.DNSSEC, 300.0)
    pair.send(pair.west, WEST, EAST)
    pair.run(9.0)
    assert not pair.east.klips.sas and target(pair.west, EAST) is Shunt.DROP


def test_whom_the_dns_names_has_to_sign() -> None:
    """Nobody in his place can do with less: the record says that he can."""
    pair = both(MIXED, group(auth=Auth.NULL))
    unpublish(pair, WEST)
    packet = pair.send(pair.west, WEST, EAST)
    pair.run(9.0)
    assert packet in pair.east.klips.delivered or not pair.east.klips.sas
    assert grade_at(pair.west) in (Grade.NULL, None)


@pytest.mark.parametrize("more", [{"auth_grade": Grade.DNSSEC}, {"auth_grade": Grade.DNS}])
def test_authgrade_wants_more_than_nothing(more: dict[str, Any]) -> None:
    strict = replace(MIXED, **more)
    pair = both(strict, strict)
    unpublish(pair, WEST)
    pair.send(pair.west, WEST, EAST)
    pair.run(9.0)
    assert not pair.east.klips.sas


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("who", [(WEST,), (EAST,), (WEST, EAST)])
def test_a_record_that_comes_later_makes_a_better_tunnel_of_it(who: tuple[str, ...], seed: int) -> None:
    """In place: the tunnel without proof carries what there is until the better one stands."""
    patient = replace(MIXED, retransmit_timeout=30.0)
    pair = both(patient, patient, Faults(loss=0.05 * (seed % 4)), seed)
    unpublish(pair, WEST)
    unpublish(pair, EAST)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(30.0, lambda: pair.west.klips.sas and pair.east.klips.sas)
    pair.run(5.0)
    assert grade_at(pair.west) is grade_at(pair.east) is Grade.NULL
    for address in who:
        publish(pair, address, rsa_key(1) if address == WEST else rsa_key(2))
    if seed % 4 == 0:
        pair.run(1.0)
        del pair.sent[:]
    for _ in range(150):
        pair.send(pair.west, WEST, EAST)
        pair.send(pair.east, EAST, WEST)
        pair.run(20.0)
    assert grade_at(pair.west) is (Grade.DNSSEC if EAST in who else Grade.NULL)
    assert grade_at(pair.east) is (Grade.DNSSEC if WEST in who else Grade.NULL)
    assert seed % 4 or pair.missing() == []
    assert pair.west.clear == pair.east.clear == []
    assert len(pair.west.klips.sas) == len(pair.east.klips.sas) == 2
    pair.sane()


def test_the_record_of_another_is_no_upgrade() -> None:
    pair = both(MIXED, MIXED)
    unpublish(pair, EAST)
    pair.west.dns[EAST] = Learned(ip_address(EAST), Verdict.GATEWAYS, (gateway(rsa_key(4), EAST),), 300.0)
    publish(pair, WEST, rsa_key(1))
    packet = pair.send(pair.west, WEST, EAST)
    pair.run(20.0)
    assert packet in pair.east.klips.delivered or target(pair.west, EAST) is Shunt.DROP
    pair.sane()
