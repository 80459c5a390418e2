# SPDX-License-Identifier: GPL-2.0-or-later
"""The eroute table: what it refuses, matching, eroutes that wait for an SA."""

from __future__ import annotations

from ipaddress import ip_network

from openswan.base.said import Said, Shunt
from openswan.klips.keys import raw_key
from openswan.plane.commands import (
    DelEroute,
    DelSa,
    Direction,
    Flush,
    SetEroute,
)
from openswan.policy.selector import FlowKey
from tests.fast.rig import HERE, THERE, Rig


def test_eroutes_are_refused_in_the_classic_words(rig: Rig) -> None:
    key = rig.eroute(Shunt.TRAP)
    rig.do(DelEroute(key))
    assert "doesn't exist.  Can't delete." in rig.refused(DelEroute(key))
    assert "ports without a protocol" in rig.refused(
        SetEroute(FlowKey(ip_network("10.0.0.0/8"), ip_network("10.0.0.0/8"), 0, 0, 80), Shunt.DROP)
    )
    assert "not of one address family" in rig.refused(
        SetEroute(FlowKey(ip_network("10.0.0.0/8"), ip_network("::/0")), Shunt.DROP)
    )


def test_match_finds_the_most_specific(rig: Rig) -> None:
    rig.tunnel()
    rig.eroute(Shunt.PASS, src=f"{HERE}/32", dst="10.2.0.0/24", protocol=6, dport=22)
    host, peer = ip_network(HERE), ip_network(THERE)
    found = rig.klips.match(FlowKey(host, peer, 6, 4000, 22))
    assert found is not None and found.target is Shunt.PASS
    found = rig.klips.match(FlowKey(host, peer, 6, 4000, 23))
    assert found is not None and found.target == rig.out_said
    assert rig.klips.match(FlowKey(peer, host)) is None


def test_an_eroute_waits_for_its_sa_and_finds_the_next_of_that_name(rig: Rig) -> None:
    said = rig.out_said
    other = Said(said.proto, said.spi + 1, said.dst)
    keys = [FlowKey(ip_network(HERE), ip_network(f"10.9.{n}.0/24")) for n in range(3)]
    engine = rig.klips._engine

    def bound() -> list[bool]:
        return [row[8] != 0 for row in engine.eroutes()]

    for key in keys:
        rig.do(SetEroute(key, said))
    assert bound() == [False] * 3
    rig.do(SetEroute(keys[2], other))
    rig.do(rig.sa(Direction.OUT))
    assert sorted(bound()) == [False, True, True]
    rig.do(DelEroute(keys[0]))
    rig.do(SetEroute(keys[2], said, owner="third"))
    rig.do(SetEroute(keys[1], Shunt.TRAP))
    assert engine.eroutes_of(rig.klips._sas.cookie(said, Direction.OUT)) == [raw_key(keys[2])]
    rig.do(DelSa(said))
    assert rig.klips.eroute(keys[2]) == SetEroute(keys[2], said, owner="third")
    assert bound() == [False, False]
    rig.do(rig.sa(Direction.OUT))
    assert sorted(bound()) == [False, True]
    rig.do(Flush())
    assert rig.klips.eroutes() == [] and rig.klips.sas() == []
    rig.do(rig.sa(Direction.OUT))
    assert engine.eroutes() == []
