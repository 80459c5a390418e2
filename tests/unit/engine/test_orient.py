# SPDX-License-Identifier: GPL-2.0-or-later
"""Which end is ours."""

from ipaddress import ip_address

from openswan.engine.events import DefaultRoute, Interface, NetworkState
from openswan.engine.orient import NOBODY, Plugs, orient
from openswan.policy.connection import Auth, Connection, End, Host, HostKind
from tests.sim.pair import EAST, WEST, conn, end


def plugs(*more: Interface) -> Plugs:
    interfaces = (
        Interface("lo", "", ((ip_address("127.0.0.1"), 8),)),
        Interface("eth0", "ipsec0", ((ip_address(WEST), 24), (ip_address("2001:db8::1"), 64))),
        Interface("eth1", "ipsec1", ((ip_address("10.1.0.1"), 16),)),
        *more,
    )
    defaults = (
        DefaultRoute("eth0", ip_address(WEST), ip_address("192.0.2.254")),
        DefaultRoute("eth0", ip_address("2001:db8::1"), None),
    )
    return Plugs.of(NetworkState(interfaces, defaults))


def test_the_end_with_a_local_address_is_ours_whichever_side_it_stands_on() -> None:
    for policy, left in ((conn("a", end(WEST), end(EAST)), True), (conn("a", end(EAST), end(WEST)), False)):
        it, why = orient(policy, plugs(), {})
        assert it is not None and not why
        assert (str(it.me), str(it.peer), it.interface, it.device) == (WEST, EAST, "eth0", "ipsec0")
        assert it.left_is_ours is left


def test_neither_end_is_ours() -> None:
    assert orient(conn("a", end("192.0.2.77"), end(EAST)), plugs(), {}) == (None, NOBODY)


def test_both_ends_are_ours() -> None:
    it, why = orient(conn("a", end(WEST), end("10.1.0.1")), plugs(), {})
    assert it is None and "both ends" in why
    assert orient(conn("a", end(WEST), end(WEST)), plugs(), {})[0] is None


def test_a_shunt_may_have_both_ends_here() -> None:
    it, _ = orient(conn("a", end("127.0.0.1"), end("10.1.0.1"), auth=Auth.NEVER), plugs(), {})
    assert it is not None
    assert str(it.me) == "127.0.0.1"


def test_defaultroute_takes_the_source_and_next_hop_of_the_peers_family() -> None:
    it, _ = orient(conn("a", end("%defaultroute"), end(EAST)), plugs(), {})
    assert it is not None
    assert (str(it.me), str(it.nexthop)) == (WEST, "192.0.2.254")
    it, _ = orient(conn("a", end("%defaultroute"), end("2001:db8:9::2")), plugs(), {})
    assert it is not None
    assert (str(it.me), it.nexthop) == ("2001:db8::1", None)


def test_defaultroute_wins_over_an_address_of_ours() -> None:
    it, _ = orient(conn("a", end("10.1.0.1"), end("%defaultroute")), plugs(), {})
    assert it is not None
    assert str(it.me) == WEST


def test_interface_by_name() -> None:
    policy = Connection("a", End(Host(HostKind.INTERFACE, name="eth1")), end(EAST))
    it, _ = orient(policy, plugs(), {})
    assert it is not None
    assert (str(it.me), it.device) == ("10.1.0.1", "ipsec1")
    missing = Connection("a", End(Host(HostKind.INTERFACE, name="ppp0")), end(EAST))
    assert orient(missing, plugs(), {})[0] is None


def test_a_name_without_an_address_leaves_the_peer_unknown() -> None:
    policy = conn("a", end(WEST), end("gw.example.org"))
    it, _ = orient(policy, plugs(), {})
    assert it is not None and it.peer is None
    names = {"gw.example.org": (ip_address("2001:db8:9::2"), ip_address(EAST))}
    it, _ = orient(policy, plugs(), names)
    assert it is not None and str(it.peer) == EAST


def test_a_name_may_be_ours() -> None:
    policy = conn("a", end("me.example.org"), end(EAST))
    it, _ = orient(policy, plugs(), {"me.example.org": (ip_address(WEST),)})
    assert it is not None and str(it.me) == WEST
    assert orient(policy, plugs(), {})[0] is None


def test_an_interface_that_is_down_is_not_there() -> None:
    down = Plugs.of(NetworkState((Interface("eth0", "ipsec0", ((ip_address(WEST), 24),), up=False),), ()))
    assert orient(conn("a", end(WEST), end(EAST)), down, {})[0] is None
