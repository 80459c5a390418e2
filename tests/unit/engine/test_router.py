# SPDX-License-Identifier: GPL-2.0-or-later
"""Routes, eroutes, guards and updown commands, without any negotiation."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from openswan.base.said import Shunt
from openswan.engine.effects import GuardEntry
from openswan.engine.router import guard_of
from openswan.engine.routing import Routing
from openswan.policy.connection import Auth, Connection, ShuntPolicy
from openswan.policy.selector import FlowKey
from tests.sim.net import Net
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, SimHost, conn, end, tunnel

KEY = FlowKey(ip_network(WEST_NET), ip_network(EAST_NET))


def host(*connections: Connection) -> SimHost:
    it = SimHost(Net(0), "west", WEST)
    it.load(*connections)
    return it


def test_route_guards_traps_prepares_and_routes_in_that_order() -> None:
    it = host(tunnel()[0])
    assert it.guards == {} and it.klips.eroutes == {}
    assert it.say("route", name="net-net") == []
    assert it.guards["net-net"].entries == (GuardEntry(KEY, "ipsec0"),)
    assert it.klips.eroutes[KEY].target is Shunt.TRAP
    assert it.updowns == ["prepare-client net-net", "route-client net-net"]
    it.sane()


def test_unroute_takes_everything_back_and_the_guard_last() -> None:
    it = host(tunnel()[0])
    it.say("route", name="net-net")
    it.say("unroute", name="net-net")
    assert (it.guards, it.klips.eroutes) == ({}, {})
    assert it.updowns[-1] == "unroute-client net-net"
    it.sane()


def test_the_status_shows_a_guard_a_daemon_before_this_one_left() -> None:
    def shown() -> bool:
        return any("leak guard: in place" in text for _, text in it.say("status"))

    it = host(tunnel()[0])
    assert not shown()
    it.pluto.brain.router.kept = {"net-net"}
    assert shown()
    it.say("route", name="net-net")
    assert shown()
    it.say("unroute", name="net-net")
    assert not shown()


def test_routing_twice_is_harmless() -> None:
    it = host(tunnel()[0])
    it.say("route", name="net-net")
    it.say("route", name="net-net")
    assert it.updowns == ["prepare-client net-net", "route-client net-net"]


def test_a_route_that_fails_leaves_no_eroute_but_the_guard() -> None:
    it = host(tunnel()[0])
    it.updown_status = lambda env: 7 if env["PLUTO_VERB"].startswith("route") else 0
    answer = it.say("route", name="net-net")
    assert answer[-1] == (25, '"net-net": could not route')
    assert (3, '"net-net": route-client command exited with status 7') in answer
    assert it.klips.eroutes == {}
    assert "net-net" in it.guards
    assert "unroute-client net-net" not in it.updowns
    it.updown_status = lambda env: 0
    assert it.say("route", name="net-net") == []
    assert it.klips.eroutes[KEY].target is Shunt.TRAP


def test_a_failed_prepare_does_not_matter() -> None:
    it = host(tunnel()[0])
    it.updown_status = lambda env: 1 if env["PLUTO_VERB"].startswith("prepare") else 0
    answer = it.say("route", name="net-net")
    assert [code for code, _ in answer] == [3, 3], "how it ended, and what to do about it"
    assert it.klips.eroutes[KEY].target is Shunt.TRAP


def test_two_connections_to_the_same_client_share_the_route() -> None:
    a = conn("a", end(WEST, "10.1.1.0/24", "@west"), end(EAST, EAST_NET, "@east"))
    b = conn("b", end(WEST, "10.1.2.0/24", "@west"), end(EAST, EAST_NET, "@east"))
    it = host(a, b)
    it.say("route", name="a")
    it.say("route", name="b")
    assert it.updowns == ["prepare-client a", "route-client a"]
    it.say("unroute", name="a")
    assert it.updowns == ["prepare-client a", "route-client a"]
    it.say("unroute", name="b")
    assert it.updowns[-1] == "unroute-client b"
    assert it.pluto.brain.router.routes == {}


def test_a_hole_for_the_same_client_keeps_nobody_from_the_route() -> None:
    """The hole's other end is narrower; what is behind both is the same net."""
    wide = tunnel()[0]
    part = replace(wide.left, subnet=ip_network("10.1.128.0/17"))
    hole = replace(wide, name="hole", left=part, auth=Auth.NEVER, prospective=ShuntPolicy.PASS)
    for order in (("hole", "net-net"), ("net-net", "hole")):
        it = host(wide, hole)
        for name in order:
            it.say("route", name=name)
        assert it.updowns == ["prepare-client net-net", "route-client net-net"]
        it.say("unroute", name="net-net")
        assert it.updowns[-1] == "unroute-client net-net"
        it.sane()


def test_an_eroute_has_one_owner() -> None:
    a, b = tunnel("a")[0], tunnel("b")[0]
    it = host(a, b)
    it.say("route", name="a")
    answer = it.say("route", name="b")
    assert (3, '"b": cannot install eroute -- it is in use for "a"') in answer
    assert answer[-1] == (25, '"b": could not route')
    assert it.klips.eroutes[KEY].owner == "a"


def test_overlapping_connections_eclipse_each_other_and_come_back() -> None:
    a, b = tunnel("a", overlap_ip=True)[0], tunnel("b", overlap_ip=True)[0]
    it = host(a, b)
    it.say("route", name="a")
    it.say("route", name="b")
    conns = it.pluto.core.conns.named
    assert it.klips.eroutes[KEY].owner == "b"
    assert conns["a"].routing is Routing.ROUTED_ECLIPSED
    it.say("unroute", name="b")
    assert it.klips.eroutes[KEY].owner == "a"
    assert conns["a"].routing is Routing.ROUTED_PROSPECTIVE
    it.say("unroute", name="a")
    assert it.klips.eroutes == {}
    it.sane()


def test_shunts() -> None:
    for policy, shunt, guarded in (
        (ShuntPolicy.PASS, Shunt.PASS, False),
        (ShuntPolicy.DROP, Shunt.DROP, True),
        (ShuntPolicy.REJECT, Shunt.REJECT, True),
    ):
        it = host(tunnel("s", auth=Auth.NEVER, prospective=policy)[0])
        it.say("route", name="s")
        assert it.klips.eroutes[KEY].target is shunt
        assert ("s" in it.guards) is guarded
        it.say("unroute", name="s")
        assert it.klips.eroutes == {} and it.guards == {}


def test_guards_block_the_other_family_of_a_default_route() -> None:
    everything = tunnel("all")[0]
    everything = replace(everything, right=replace(everything.right, subnet=ip_network("0.0.0.0/0")))
    it = host(everything)
    it.say("route", name="all")
    assert it.guards["all"].block_families == (6,)
    clear = host(replace(everything, other_family_clear=True))
    clear.say("route", name="all")
    assert clear.guards["all"].block_families == ()


def test_leakguard_no() -> None:
    it = host(tunnel("n", leak_guard=False)[0])
    found = it.pluto.core.conns.named["n"]
    assert guard_of(found) is None
    it.say("route", name="n")
    assert it.guards == {}


def test_replace_never_opens_the_guard_and_routes_again_as_auto_says() -> None:
    from openswan.config.plain import connection_to_plain
    from openswan.policy.connection import Startup

    policy = tunnel(startup=Startup.ROUTE)[0]
    it = host(policy)
    it.say("route", name="net-net")
    seen: list[bool] = []
    original = it.perform
    it.perform = lambda effect: (original(effect), seen.append("net-net" in it.guards))[0]  # type: ignore[method-assign]
    it.say("add", connection=connection_to_plain(replace(policy, metric=5)), replace=True)
    assert seen and all(seen)
    assert it.klips.eroutes[KEY].target is Shunt.TRAP
    assert it.updowns[-3:] == ["unroute-client net-net", "prepare-client net-net", "route-client net-net"]
    assert it.pluto.core.conns.named["net-net"].policy.metric == 5
    it.sane()


def test_a_bad_replacement_changes_nothing() -> None:
    it = host(tunnel()[0])
    it.say("route", name="net-net")
    before = it.pluto.core.conns.named["net-net"]
    answer = it.say("add", connection={"name": "net-net"}, replace=True)
    assert answer[0][0] == 37
    assert it.pluto.core.conns.named["net-net"] is before
    assert it.klips.eroutes[KEY].target is Shunt.TRAP


def test_five_thousand_routed_connections() -> None:
    many = [
        conn(
            f"c{n}", end(WEST, f"10.{n >> 8}.{n & 255}.0/24", "@west"), end(EAST, f"172.{16 + (n >> 8)}.{n & 255}.0/24")
        )
        for n in range(3000)
    ]
    it = host(*many)
    for n in range(3000):
        it.say("route", name=f"c{n}")
    assert len(it.klips.eroutes) == len(it.guards) == 3000
    assert len(it.pluto.brain.router.routes) == 3000
