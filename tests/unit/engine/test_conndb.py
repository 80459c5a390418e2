# SPDX-License-Identifier: GPL-2.0-or-later
"""Look-ups of connections."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.engine.conn import Conn, Kind, Oriented
from openswan.engine.conndb import ConnDb
from openswan.policy.connection import Auth
from openswan.policy.identity import parse_identity
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, conn, end, tunnel


def placed(db: ConnDb, policy, peer: str | None = EAST) -> Conn:  # type: ignore[no-untyped-def]
    it = Conn(policy)
    db.add(it)
    address = ip_address(peer) if peer else None
    db.reorient(it, Oriented(policy.left, policy.right, True, ip_address(WEST), "eth0", "ipsec0", address, None))
    return it


def test_found_by_name_alias_pair_and_flow_and_then_not() -> None:
    db = ConnDb()
    policy = replace(tunnel("site/1x1")[0], aliases=("site",))
    it = placed(db, policy)
    assert db.find("site/1x1") == db.find("site") == [it]
    assert list(db.candidates(ip_address(WEST), ip_address(EAST))) == [it]
    assert db.with_flow(it.keys[0]) == [it]
    db.remove(it)
    assert db.find("site") == db.find("site/1x1") == []
    assert not (db.pairs or db.shunts or db.flows or db.unique or db.aliases or db.named)


def test_a_name_is_taken_once() -> None:
    db = ConnDb()
    placed(db, tunnel()[0])
    with pytest.raises(KeyError):
        db.add(Conn(tunnel()[0]))


def test_the_exact_pair_comes_before_any() -> None:
    db = ConnDb()
    anybody = placed(db, conn("rw", end(WEST, WEST_NET), end("%any", EAST_NET)), None)
    exact = placed(db, tunnel()[0])
    assert list(db.candidates(ip_address(WEST), ip_address(EAST))) == [exact, anybody]
    assert list(db.candidates(ip_address(WEST), ip_address("203.0.113.9"))) == [anybody]
    assert list(db.candidates(ip_address("192.0.2.9"), ip_address(EAST))) == []


def test_connections_that_may_share_an_ike_sa_are_one_group() -> None:
    db = ConnDb()
    for n in range(5):
        placed(db, conn(f"c{n}", end(WEST, f"10.1.{n}.0/24", "@west"), end(EAST, EAST_NET, "@east")))
    placed(db, conn("other", end(WEST, "10.1.9.0/24", "@west2"), end(EAST, EAST_NET, "@east")))
    (answering,) = db.answering(ip_address(WEST), ip_address(EAST))
    assert sorted(len(group) for group in answering.groups.values()) == [1, 5]
    assert len(answering.ways) == 1


def test_a_claimed_identity_is_looked_up_not_searched_for() -> None:
    db = ConnDb()
    for n in range(50):
        placed(db, conn(f"c{n}", end(WEST, f"10.1.{n}.0/24"), end("%any", EAST_NET, f"@rw{n}.example.org")), None)
    placed(db, conn("wild", end(WEST, "10.3.0.0/24"), end("%any", EAST_NET, "@*.example.org")), None)
    placed(db, conn("anybody", end(WEST, "10.4.0.0/24"), end("%any", EAST_NET)), None)
    (answering,) = db.answering(ip_address(WEST), ip_address(EAST))
    found = [it.name for it in answering.claimed(parse_identity("@RW7.Example.ORG"))]
    assert found == ["c7", "wild", "anybody"]
    assert len(list(answering.claimed(parse_identity("@other")))) == 2


def test_what_is_another_pairs_of_hosts_is_not_asked_for() -> None:
    """A peer's group may have thousands of instances, none of which a new child is ever put on."""
    db = ConnDb()
    line, own = placed(db, conn("lan", end(WEST, WEST_NET), end("%any", EAST_NET)), None), placed(db, tunnel()[0])
    line.group = line
    pair = Conn(line.policy, Kind.INSTANCE, None, 1, line, group=line)
    db.reorient(pair, line.oriented)
    here, there = ip_address(WEST), ip_address(EAST)
    assert set(db.candidates(here, there)) == {line, own, pair} and set(db.asked(here, there)) == {line, own}
    for each in (pair, own, line):
        db.remove(each)
    assert not db.pairs


def test_shunts_answer_nobody() -> None:
    db = ConnDb()
    placed(db, replace(tunnel()[0], auth=Auth.NEVER))
    assert list(db.candidates(ip_address(WEST), ip_address(EAST))) == []
    assert list(db.shunts) == [(ip_address(WEST), ip_address(EAST))]
    db.remove(db.named["net-net"])
    assert not db.shunts


def test_reorientation_moves_the_indices() -> None:
    db = ConnDb()
    it = placed(db, tunnel()[0])
    db.reorient(it, None)
    assert not db.pairs and not db.flows
    assert db.unique == {"net-net": it}


def test_host_names_are_remembered() -> None:
    db = ConnDb()
    it = placed(db, conn("n", end(WEST), end("gw.example.org")), None)
    assert db.hosts == {"gw.example.org": {"n": it}}
    db.remove(it)
    assert db.hosts == {}


def test_iteration_is_sorted_and_instances_follow_their_template() -> None:
    db = ConnDb()
    template = placed(db, conn("b", end(WEST), end("%any", EAST_NET)), None)
    placed(db, conn("a", end(WEST), end(EAST)))
    for number in (2, 1):
        instance = Conn(template.policy, Kind.INSTANCE, instance=number, template=template)
        template.instances[number] = instance
        db.index(instance)
    assert [it.unique for it in db] == ["a", "b", "b[1]", "b[2]"]
    assert len(db) == 2
