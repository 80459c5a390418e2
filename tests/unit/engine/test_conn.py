# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections at run time."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

from openswan.base.said import Shunt
from openswan.engine.conn import Conn, Kind, Oriented, client, kind_of
from openswan.policy.connection import Auth, ShuntPolicy
from openswan.policy.selector import FlowKey
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, conn, end, tunnel


def oriented(policy, peer=EAST):  # type: ignore[no-untyped-def]
    peer_address = ip_address(peer) if peer else None
    return Oriented(policy.left, policy.right, True, ip_address(WEST), "eth0", "ipsec0", peer_address, None)


def test_orienting_gives_selectors_and_one_eroute_key() -> None:
    policy, _ = tunnel()
    it = Conn(policy)
    it.orient(oriented(policy))
    assert it.keys == (FlowKey(ip_network(WEST_NET), ip_network(EAST_NET)),)
    assert not it.host_to_host
    it.orient(None)
    assert it.keys == ()


def test_hosts_themselves_are_the_clients_when_no_subnet_is_given() -> None:
    policy = conn("h", end(WEST), end(EAST))
    it = Conn(policy)
    it.orient(oriented(policy))
    assert it.host_to_host
    assert it.keys == (FlowKey(ip_network(WEST), ip_network(EAST)),)


def test_a_client_is_unknown_while_its_host_is() -> None:
    assert client(end("%any"), None) is None
    assert str(client(end("%any", "10.9.0.0/24"), None)) == "10.9.0.0/24"


def test_kinds() -> None:
    assert kind_of(conn("a", end(WEST), end(EAST))) is Kind.PERMANENT
    assert kind_of(conn("a", end(WEST), end("%any"))) is Kind.TEMPLATE


def test_labels() -> None:
    policy, _ = tunnel("x")
    it = Conn(policy)
    assert it.prefix(12) == '"x" #12: '
    it = Conn(policy, Kind.INSTANCE, instance=3)
    it.orient(oriented(policy, "203.0.113.9"))
    assert it.unique == "x[3]"
    assert it.prefix() == '"x"[3] 203.0.113.9: '


def test_shunts_fail_closed_unless_traffic_may_start_the_tunnel() -> None:
    policy, _ = tunnel()
    it = Conn(policy)
    assert it.prospective_shunt() is Shunt.DROP
    it.on_demand = True
    assert it.prospective_shunt() is Shunt.TRAP
    assert it.hold_shunt() is Shunt.HOLD
    assert it.failure_shunt() is None
    assert Conn(replace(policy, failure_shunt=ShuntPolicy.REJECT)).failure_shunt() is Shunt.REJECT


def test_shunt_connections_negotiate_nothing() -> None:
    policy = replace(tunnel()[0], auth=Auth.NEVER, prospective=ShuntPolicy.PASS)
    it = Conn(policy)
    assert it.never
    assert it.prospective_shunt() is Shunt.PASS
