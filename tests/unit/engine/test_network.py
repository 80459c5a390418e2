# SPDX-License-Identifier: GPL-2.0-or-later
"""Orientation and host names as the machine changes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from openswan.base.said import Shunt
from openswan.engine.effects import Resolve
from openswan.engine.events import HostResolved, Interface, NetworkState
from openswan.engine.routing import Routing
from openswan.policy.selector import FlowKey
from tests.sim.net import Net
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, SimHost, conn, end, tunnel
from tests.sim.test_groups import PERMISSIVE

KEY = FlowKey(ip_network(WEST_NET), ip_network(EAST_NET))


def test_listen_opens_every_address_but_loopback() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.extra = (ip_address("127.0.0.1"), ip_address("10.1.0.1"))
    it.post(it.network())
    it.load()
    assert it.listening == ((ip_address(WEST), "eth0"), (ip_address("10.1.0.1"), "eth0"))
    assert f"adding interface ipsec0/eth0 {WEST}:500" in it.lines
    it.say("unlisten")
    assert it.listening == ()


def test_no_interfaces() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.post(NetworkState((), ()))
    assert it.say("listen")[-1] == (3, "no public interfaces found")


def test_an_address_that_goes_leaves_the_guard_and_nothing_else_and_comes_back() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.load(tunnel()[0])
    it.say("route", name="net-net")
    it.post(NetworkState((Interface("eth0", "ipsec0", ()),), ()))
    found = it.pluto.core.conns.named["net-net"]
    assert found.oriented is None and found.routing is Routing.UNROUTED
    assert it.klips.eroutes == {}
    assert "net-net" in it.guards
    assert it.updowns[-1] == "unroute-client net-net"
    it.post(it.network())
    assert it.klips.eroutes[KEY].target is Shunt.TRAP
    assert it.updowns[-1] == "route-client net-net"
    it.sane()


def test_a_change_elsewhere_disturbs_nothing() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.load(tunnel()[0])
    it.say("route", name="net-net")
    before = list(it.updowns)
    it.extra = (ip_address("10.9.9.9"),)
    it.post(it.network())
    assert it.updowns == before
    assert it.klips.history.count("SetEroute") == 1


def test_names_are_asked_for_and_never_waited_for() -> None:
    it = SimHost(Net(0), "west", WEST)
    asked: list[str] = []
    original = it.perform

    def perform(effect):  # type: ignore[no-untyped-def]
        if isinstance(effect, Resolve):
            asked.append(effect.name)
        else:
            original(effect)

    it.perform = perform  # type: ignore[method-assign]
    it.load(conn("n", end(WEST, WEST_NET), end("gw.example.org", EAST_NET)))
    found = it.pluto.core.conns.named["n"]
    assert asked == ["gw.example.org"]
    assert found.peer is None and found.oriented is not None
    assert it.say("initiate", name="n")[-1] == (
        29,
        '"n": dns resolution for gw.example.org not yet complete, still trying',
    )
    it.say("listen")
    assert asked == ["gw.example.org"] * 2, "the name servers may be others now"
    it.post(HostResolved("gw.example.org", (), "timeout"))
    assert it.net.run(100.0, lambda: len(asked) > 2), "asked for again later"
    assert "cannot resolve gw.example.org: timeout" in it.lines


def test_a_name_that_moves_moves_the_connection() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.names["gw.example.org"] = (ip_address(EAST),)
    it.load(conn("n", end(WEST, WEST_NET), end("gw.example.org", EAST_NET)))
    found = it.pluto.core.conns.named["n"]
    assert str(found.peer) == EAST
    it.say("route", name="n")
    it.post(HostResolved("gw.example.org", (ip_address("198.51.100.99"),)))
    assert str(found.peer) == "198.51.100.99"
    assert it.klips.eroutes[KEY].target is Shunt.TRAP
    assert list(it.pluto.core.conns.candidates(ip_address(WEST), ip_address(EAST))) == []
    it.say("delete", name="n")
    assert it.pluto.core.names == {}


def test_deleting_forgets_everything() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.load(tunnel()[0])
    it.say("route", name="net-net")
    assert it.say("delete", name="net-net")[0] == (2, '"net-net": deleting connection')
    assert not (it.klips.eroutes or it.guards or it.pluto.core.conns.unique or it.pluto.core.timers.current)


def test_strangers_have_one_interface_however_many_there_are_below() -> None:
    """It stays where it is until that has gone; two that pull at it would move it to and fro for ever."""
    it = SimHost(Net(0), "west", WEST)
    second = Interface("eth1", "", ((ip_address("203.0.113.1"), 24),))
    state = it.network()
    it.post(replace(state, interfaces=(*state.interfaces, second)))
    groups = [replace(PERMISSIVE, name=name, left=end(me)) for name, me in (("one", WEST), ("two", "203.0.113.1"))]
    it.load(*groups)
    network = it.pluto.brain.network
    stood = [network.strangers_on]
    for _ in range(3):
        it.post(replace(it.pluto.core.network, defaults=()))
        it.post(replace(it.pluto.core.network, defaults=state.defaults))
        stood.append(network.strangers_on)
    assert set(stood) == {("ipsec1", "eth0")}
    it.post(NetworkState((second,), ()))
    assert network.strangers_on == ("ipsec1", "eth1")
