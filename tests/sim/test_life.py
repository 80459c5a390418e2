# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to tunnels between handshakes: first packets, closing, dead, reborn and moving peers, many at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.said import Said, Shunt
from openswan.config.secrets import Index, Secret, SecretKind, SecretStore
from openswan.engine.routing import Routing
from openswan.engine.settings import Settings
from openswan.plane.commands import Direction
from openswan.policy.connection import Connection, DpdAction, ShuntPolicy
from openswan.policy.identity import parse_identity
from openswan.policy.selector import FlowKey
from openswan.policy.virtual import Virtual
from tests.sim.net import Faults, Nat, Net
from tests.sim.pair import (
    EAST,
    EAST_NET,
    OUTSIDE,
    WEST,
    WEST_NET,
    Pair,
    SimHost,
    conn,
    end,
    make_pair,
    psk,
    tunnel,
)
from tests.sim.v1 import v1_tunnel

KEY = FlowKey(ip_network(WEST_NET), ip_network(EAST_NET))
WEST_HOST, EAST_HOST = "10.1.0.5", "10.2.0.6"


def up_pair(seed: int = 1, faults: Faults | None = None, nat: bool = False, **more: object) -> Pair:
    pair = make_pair(seed, faults or Faults(), nat=nat)
    west, east = tunnel(nat=nat, **more)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(120.0, lambda: pair.up() and pair.agreed())
    pair.run(0.5)
    return pair


# -- first packets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", (0.0, 0.3))
def test_the_first_packet_on_a_trap_is_delivered_and_all_that_follow_in_order(loss: float) -> None:
    pair = make_pair(1, Faults(loss=loss))
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    pair.west.say("route", name="net-net")
    for n in range(20):
        pair.send(pair.west, f"10.1.0.{1 + n % 3}", EAST_HOST)
        pair.run(0.01)
    assert pair.run(60.0, lambda: not pair.missing())
    numbers = [inner.number for inner in pair.east.klips.delivered]
    for source in range(3):
        mine = [n for n in numbers if n % 3 == source]
        assert mine == sorted(mine)
    assert len(pair.west.pluto.core.states.ikes) == 1, "many first packets, one negotiation"
    assert pair.west.events.count("acquire") == 1
    assert pair.west.updowns == ["prepare-client net-net", "route-client net-net", "up-client net-net"]
    pair.sane()


@pytest.mark.parametrize("seed", range(24))
def test_both_ends_trap_at_once(seed: int) -> None:
    """Each begins by itself; there may be two SA pairs, and nothing is lost."""
    pair = make_pair(seed, Faults(loss=0.1 * (seed % 3), delay=(0.02, 0.05)))
    west, east = tunnel()
    for host, policy in ((pair.west, west), (pair.east, east)):
        host.load(policy)
        host.say("route", name="net-net")
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.send(pair.east, EAST_HOST, WEST_HOST)
    assert pair.run(120.0, lambda: pair.up() and not pair.missing())
    for _ in range(20):
        pair.send(pair.west, WEST_HOST, EAST_HOST)
        pair.send(pair.east, EAST_HOST, WEST_HOST)
        pair.run(0.5)
    assert pair.missing() == []
    pair.sane()


@pytest.mark.parametrize(
    ("policy", "shunt"),
    ((ShuntPolicy.PASS, Shunt.PASS), (ShuntPolicy.DROP, Shunt.DROP), (ShuntPolicy.REJECT, Shunt.REJECT)),
)
def test_the_failure_shunt_when_nobody_answers(policy: ShuntPolicy, shunt: Shunt) -> None:
    pair = make_pair(1)
    pair.west.load(tunnel(failure_shunt=policy, keying_tries=1, retransmit_timeout=5.0)[0])
    pair.west.say("route", name="net-net")
    inner = pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.run(1.0)
    assert pair.west.klips.eroutes[KEY].target is Shunt.HOLD
    assert pair.run(10.0, lambda: pair.west.klips.eroutes[KEY].target is shunt)
    assert (inner in pair.west.clear) is (shunt is Shunt.PASS)
    assert pair.west.pluto.core.conns.named["net-net"].routing is Routing.ROUTED_FAILURE
    pair.run(100.0)
    assert pair.west.klips.eroutes[KEY].target is Shunt.TRAP, "traffic may try again later"
    pair.sane()


def test_without_a_failure_shunt_traffic_waits_and_tries_go_on() -> None:
    pair = make_pair(1)
    west, east = tunnel(retransmit_timeout=5.0)
    pair.west.load(west)
    pair.west.say("route", name="net-net")
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.run(60.0)
    assert pair.west.klips.eroutes[KEY].target is Shunt.HOLD
    pair.east.load(east)
    assert pair.run(400.0, lambda: not pair.missing())


def test_when_tries_are_used_up_the_trap_is_set_again() -> None:
    pair = make_pair(1)
    pair.west.load(tunnel(retransmit_timeout=5.0, keying_tries=2)[0])
    pair.west.say("route", name="net-net")
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.run(60.0)
    assert pair.west.klips.eroutes[KEY].target is Shunt.TRAP
    assert pair.west.empty()
    assert pair.west.klips.dropped, "what was held for it is given up"


# -- down -------------------------------------------------------------------------------------------------------------


def test_down_leaves_route_and_guard_and_discards() -> None:
    pair = up_pair()
    answer = pair.west.say("terminate", name="net-net")
    assert answer[0] == (2, '"net-net": terminating SAs using this connection')
    assert pair.west.klips.eroutes[KEY].target is Shunt.DROP
    assert pair.west.klips.sas == {}
    assert pair.west.updowns[-1] == "down-client net-net"
    assert "unroute-client net-net" not in pair.west.updowns
    pair.run(30.0)
    assert pair.west.empty() and pair.east.empty()
    assert "net-net" in pair.west.guards and "net-net" in pair.east.guards
    pair.run(600.0)
    assert not pair.up(), "nobody brings it up again by himself"
    pair.sane()
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    pair.west.say("delete", name="net-net")
    assert pair.west.guards == {} and pair.west.klips.eroutes == {}
    assert pair.west.updowns[-2:] == ["down-client net-net", "unroute-client net-net"]
    pair.run(30.0)
    assert pair.west.empty() and pair.east.empty()


def test_down_of_a_routed_connection_traps_again() -> None:
    pair = make_pair(1)
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    pair.west.say("route", name="net-net")
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    assert pair.run(5.0, lambda: not pair.missing())
    pair.west.say("terminate", name="net-net")
    assert pair.west.klips.eroutes[KEY].target is Shunt.TRAP
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    assert pair.run(5.0, lambda: not pair.missing())


@pytest.mark.parametrize("ends", (tunnel, v1_tunnel), ids=("ikev2", "ikev1"))
def test_what_was_under_way_when_a_routed_connection_was_taken_down_does_not_bring_it_up_again(
    ends: Callable[..., tuple[Connection, Connection]],
) -> None:
    pair = make_pair(1, Faults(delay=(0.01, 0.01)))
    for host, policy in zip((pair.west, pair.east), ends(), strict=True):
        host.load(policy)
    pair.west.say("route", name="net-net")
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    pair.run(9.0)
    pair.send(pair.east, EAST_HOST, WEST_HOST)
    pair.west.request("terminate", name="net-net")
    pair.run(90.0)
    assert pair.west.klips.dropped[-1][0] == "unknown SPI"
    assert pair.west.empty() and pair.east.empty() and pair.west.klips.eroutes[KEY].target is Shunt.TRAP
    pair.sane()


def test_a_connection_that_is_wanted_comes_back_after_the_peer_closed_it() -> None:
    pair = up_pair()
    pair.east.say("terminate", name="net-net")
    pair.run(1.0)
    assert not pair.west.up()
    assert pair.west.klips.eroutes[KEY].target is Shunt.TRAP, "wanted: its traffic waits"
    assert pair.run(20.0, pair.up)
    pair.sane()


def test_down_while_negotiating_calls_it_off() -> None:
    pair = make_pair(1)
    west, east = tunnel()
    pair.west.load(west)
    pair.east.load(east)
    client = pair.west.request("initiate", name="net-net")
    pair.run(0.012)
    pair.west.say("terminate", name="net-net")
    assert client in pair.west.finished
    pair.run(120.0)
    assert not pair.up() and pair.west.empty() and pair.east.empty()
    pair.sane()


def test_unroute_is_refused_while_the_tunnel_is_up() -> None:
    pair = up_pair()
    assert pair.west.say("unroute", name="net-net") == [(26, '"net-net": cannot unroute: route busy')]


@pytest.mark.parametrize("verb", ("up", "route"))
def test_an_updown_that_fails_takes_the_tunnel_with_it(verb: str) -> None:
    pair = make_pair(1)
    west, east = tunnel(keying_tries=1)
    pair.west.load(west)
    pair.east.load(east)
    pair.west.updown_status = lambda env: 1 if env["PLUTO_VERB"].startswith(verb) else 0
    client = pair.west.request("initiate", name="net-net")
    pair.run(30.0)
    assert client in pair.west.finished
    assert (25, '"net-net" #2: could not route') in pair.west.whack[client]
    assert pair.west.empty() and pair.east.empty()
    assert pair.west.klips.eroutes == {}
    assert "net-net" in pair.west.guards
    assert ("down-client net-net" in pair.west.updowns) is (verb == "route")
    pair.sane()


def test_shutdown_tells_the_peer() -> None:
    pair = up_pair()
    pair.west.say("shutdown", keep_guard=True)
    assert pair.west.ended is not None
    assert "net-net" in pair.west.guards
    pair.run(1.0)
    assert pair.east.klips.sas == {}
    assert "net-net" in pair.east.guards


# -- dead and reborn peers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", DpdAction)
def test_a_peer_that_falls_silent(action: DpdAction) -> None:
    pair = up_pair(dpd_delay=10.0, dpd_action=action, retransmit_timeout=10.0)
    pair.net.cut.add(pair.west.address)
    assert pair.run(60.0, lambda: not pair.east.klips.sas)
    key = KEY.reversed()
    restart = action in (DpdAction.RESTART, DpdAction.RESTART_BY_PEER)
    wanted = {DpdAction.HOLD: Shunt.TRAP, DpdAction.CLEAR: Shunt.DROP}.get(action, Shunt.HOLD)
    assert pair.east.klips.eroutes[key].target is wanted
    assert "net-net" in pair.east.guards
    pair.net.cut.clear()
    if restart:
        assert pair.run(60.0, pair.east.up)
    if action is DpdAction.HOLD:
        pair.send(pair.east, EAST_HOST, WEST_HOST)
        assert pair.run(60.0, lambda: not pair.missing())
    assert pair.run(300.0, lambda: pair.up() and pair.agreed()), "the west wants it up"
    pair.sane()


def test_a_living_peer_is_asked_now_and_then_and_left_alone() -> None:
    pair = up_pair(dpd_delay=10.0)
    before = len(pair.net.transcript)
    pair.run(100.0)
    assert pair.up()
    assert 10 <= len(pair.net.transcript) - before <= 44


@pytest.mark.parametrize("seed", range(6))
def test_a_peer_that_lost_its_memory_is_noticed_by_its_first_contact(seed: int) -> None:
    pair = up_pair(seed, Faults(loss=0.1))
    old = set(pair.east.klips.by_spi)
    pair.west.boot()
    west, _ = tunnel()
    pair.west.load(west)
    pair.west.request("initiate", name="net-net")
    assert pair.run(120.0, lambda: pair.up() and pair.agreed() and not old & set(pair.east.klips.by_spi))
    pair.run(90.0)
    assert len(pair.east.pluto.core.states.ikes) == 1
    assert len(pair.east.klips.sas) == 2
    pair.send(pair.east, EAST_HOST, WEST_HOST)
    pair.run(1.0)
    assert pair.missing() == []
    pair.sane()


def test_esp_for_a_forgotten_sa_starts_a_routed_connection_at_once() -> None:
    pair = up_pair()
    pair.west.boot()
    pair.west.load(tunnel()[0])
    pair.west.say("route", name="net-net")
    pair.send(pair.east, EAST_HOST, WEST_HOST)
    assert pair.run(5.0, lambda: pair.west.up() and pair.agreed())


# -- several tunnels --------------------------------------------------------------------------------------------------


def test_two_connections_between_two_gateways_share_an_ike_sa() -> None:
    pair = make_pair(1)
    for n in (1, 2):
        left, right = end(WEST, f"10.1.{n}.0/24", "@west"), end(EAST, f"10.2.{n}.0/24", "@east")
        pair.west.load(conn(f"c{n}", left, right))
        pair.east.load(conn(f"c{n}", left, right))
    pair.west.request("initiate", name="c1")
    client = pair.west.request("initiate", name="c2")
    assert pair.run(5.0, lambda: len(pair.west.klips.sas) == len(pair.east.klips.sas) == 4)
    assert client in pair.west.finished and pair.west.whack[client][-1][0] == 4
    assert len(pair.west.pluto.core.states.ikes) == len(pair.east.pluto.core.states.ikes) == 1
    pair.west.say("terminate", name="c1")
    pair.run(2.0)
    assert len(pair.west.klips.sas) == len(pair.east.klips.sas) == 2
    pair.send(pair.west, "10.1.2.1", "10.2.2.1")
    pair.run(1.0)
    assert pair.missing() == []
    pair.west.say("terminate", name="c2")
    pair.run(2.0)
    assert pair.west.empty() or pair.run(60.0, pair.west.empty)
    assert pair.run(60.0, pair.east.empty)
    pair.sane()


def test_five_hundred_tunnels_between_two_gateways() -> None:
    pair = make_pair(1)
    count = 500
    for host in (pair.west, pair.east):
        for n in range(count):
            left = end(WEST, f"10.{n >> 8}.{n & 255}.0/24", "@west")
            host.load_one(conn(f"c{n}", left, end(EAST, f"172.{16 + (n >> 8)}.{n & 255}.0/24", "@east"), pfs=False))
        host.say("listen")
    for n in range(count):
        pair.west.request("initiate", name=f"c{n}")
    began = time.perf_counter()
    assert pair.run(300.0, lambda: len(pair.east.klips.sas) == 2 * count == len(pair.west.klips.sas))
    assert pair.agreed()
    assert len(pair.west.pluto.core.states.ikes) == 1
    assert time.perf_counter() - began < 60.0
    pair.sane()


def test_a_burst_of_peers_each_with_its_own_ike_sa() -> None:
    """Three hundred road warriors begin at the same moment: cookies are asked for, and all get in."""
    net = Net(1, Faults(loss=0.02, delay=(0.001, 0.05)))
    count = 300
    names = [f"@rw{n}" for n in range(count)]
    store = SecretStore(
        tuple(
            Secret(SecretKind.PSK, (Index(parse_identity("@gw")), Index(parse_identity(n))), "t:1", n.encode())
            for n in names
        )
    )
    gateway = SimHost(net, "gw", EAST, 0, store)
    hosts = []
    for n, name in enumerate(names):
        inside = f"10.9.{n >> 8}.{n & 255}/32"
        gateway.load_one(conn(f"rw{n}", end(EAST, EAST_NET, "@gw"), end("%any", inside, name)))
        host = SimHost(net, name, f"203.0.{112 + (n >> 8)}.{n & 255}", 0, psk(name, "@gw", name.encode()))
        host.load(conn("home", end(str(host.address), inside, name), end(EAST, EAST_NET, "@gw")))
        hosts.append(host)
    gateway.say("listen")
    for host in hosts:
        host.request("initiate", name="home")
    assert net.run(120.0, lambda: len(gateway.klips.sas) == 2 * count and all(host.up() for host in hosts))
    assert gateway.pluto.core.states.half_open_total == 0
    gateway.sane()


# -- road warriors ----------------------------------------------------------------------------------------------------


def test_road_warriors_get_instances_of_their_own_and_leave_nothing() -> None:
    net = Net(1)
    gateway = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    gateway.load(conn("rw", end(EAST, EAST_NET, "@gw"), end("%any")))
    assert gateway.guards == {}
    hosts = []
    for n in (1, 2):
        host = SimHost(net, f"rw{n}", f"203.0.113.{n}", 0, psk(f"@rw{n}", "@gw"))
        host.load(conn("home", end(str(host.address), "", f"@rw{n}"), end(EAST, EAST_NET, "@gw")))
        host.request("initiate", name="home")
        net.run(n * 1.0)
        hosts.append(host)
    assert net.run(10.0, lambda: len(gateway.klips.sas) == 4)
    labels = [it.label for it in gateway.pluto.core.conns]
    assert labels == ['"rw"', '"rw"[1] 203.0.113.1', '"rw"[2] 203.0.113.2']
    assert set(gateway.guards) == {"rw[1]", "rw[2]"}
    (entry,) = gateway.guards["rw[2]"].entries
    assert str(entry.key) == "10.2.0.0/16 -> 203.0.113.2/32"
    assert gateway.updowns[:3] == ["up-client rw", "prepare-client rw", "route-client rw"]
    hosts[0].say("terminate", name="home")
    net.run(net.now + 60.0)
    assert [it.unique for it in gateway.pluto.core.conns] == ["rw", "rw[2]"]
    assert set(gateway.guards) == {"rw[2]"}
    assert gateway.updowns[-2:] == ["down-client rw", "unroute-client rw"]
    gateway.sane()


def test_a_road_warrior_that_moves_replaces_its_older_self() -> None:
    net = Net(1)
    gateway = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    gateway.load(conn("rw", end(EAST, EAST_NET, "@gw"), end("%any", "10.9.0.1/32", "@rw")))
    for address in ("203.0.113.1", "203.0.113.2"):
        host = SimHost(net, "rw", address, address, psk("@rw", "@gw"))
        host.load(conn("home", end(address, "10.9.0.1/32", "@rw"), end(EAST, EAST_NET, "@gw")))
        host.request("initiate", name="home")
        assert net.run(net.now + 10.0, host.up)
        net.cut.add(host.address)
    net.run(net.now + 100.0)
    assert [it.unique for it in gateway.pluto.core.conns] == ["rw", "rw[2]"]
    (eroute,) = gateway.klips.eroutes.values()
    assert isinstance(eroute.target, Said) and str(eroute.target.dst) == "203.0.113.2"
    assert gateway.up()
    gateway.sane()


def test_narrowing_gives_a_road_warrior_what_it_asks_for_and_no_more() -> None:
    net = Net(1)
    gateway = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    gateway.load(conn("rw", end(EAST, EAST_NET, "@gw"), end("%any", "10.9.0.0/16"), narrowing=True))
    host = SimHost(net, "rw", "203.0.113.1", 0, psk("@rw", "@gw"))
    host.load(conn("home", end("203.0.113.1", "10.9.7.0/24", "@rw"), end(EAST, EAST_NET, "@gw")))
    host.request("initiate", name="home")
    assert net.run(10.0, lambda: host.up() and gateway.up())
    (entry,) = gateway.guards["rw[1]"].entries
    assert str(entry.key) == "10.2.0.0/16 -> 10.9.7.0/24"
    gateway.sane()


# -- NAT --------------------------------------------------------------------------------------------------------------


def test_behind_nat_keepalives_flow_and_a_new_mapping_moves_the_sas() -> None:
    pair = up_pair(nat=True)
    out = next(sa for sa in pair.east.klips.sas.values() if sa.direction is Direction.OUT)
    assert str(out.said.dst) == OUTSIDE and out.encap is not None and out.encap.dst_port > 20000
    pair.run(65.0)
    assert pair.west.keepalives == 3 and pair.east.keepalives == 0
    for _ in range(3):
        pair.net.nats[ip_address(OUTSIDE)].rebind()
        pair.send(pair.west, WEST_HOST, EAST_HOST)
        pair.run(0.5)
        pair.send(pair.east, EAST_HOST, WEST_HOST)
        pair.run(0.5)
        assert pair.missing() == []
    assert pair.east.klips.history.count("MoveSa") == 6
    pair.sane()


def test_a_nat_that_was_rebound_while_idle_is_noticed_by_ike_too() -> None:
    pair = up_pair(nat=True, dpd_delay=10.0)
    pair.net.nats[ip_address(OUTSIDE)].rebind()
    pair.run(30.0)
    pair.send(pair.east, EAST_HOST, WEST_HOST)
    pair.run(1.0)
    assert pair.missing() == []


def test_nobody_without_a_nat_may_move_an_sa() -> None:
    from openswan.base.address import Endpoint
    from openswan.plane.events import NewMapping

    pair = up_pair()
    said = next(said for said, sa in pair.east.klips.sas.items() if sa.direction is Direction.IN)
    pair.east.post(NewMapping(said, Endpoint(ip_address("203.0.113.66"), 4500)))
    assert "MoveSa" not in pair.east.klips.history


def test_two_road_warriors_behind_one_nat() -> None:
    net = Net(1)
    gateway = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    gateway.load(conn("rw", end(EAST, EAST_NET, "@gw"), end("%any", "10.9.0.0/16"), narrowing=True))
    box = Nat(ip_address(OUTSIDE), net)
    hosts = []
    for n in (1, 2):
        host = SimHost(net, f"rw{n}", f"192.168.0.{n}", n, psk(f"@rw{n}", "@gw"))
        box.serve(host.address)
        host.load(conn("home", end(str(host.address), f"10.9.{n}.0/24", f"@rw{n}"), end(EAST, EAST_NET, "@gw")))
        host.request("initiate", name="home")
        hosts.append(host)
    assert net.run(30.0, lambda: len(gateway.klips.sas) == 4 and all(h.up() for h in hosts))
    assert len({str(e.key) for g in gateway.guards.values() for e in g.entries}) == 2
    gateway.sane()


def behind_nat(net: Net, box: Nat, n: int, address: str) -> SimHost:
    host = SimHost(net, f"rw{n}", address, n, psk(f"@rw{n}", "@gw"))
    box.serve(host.address)
    host.load(conn("home", end(address, "", f"@rw{n}"), end(EAST, EAST_NET, "@gw"), keying_tries=1))
    return host


def test_behind_nat_a_host_is_its_private_address_and_nobody_elses() -> None:
    net = Net(1)
    gateway = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    gateway.load(conn("rw", end(EAST, EAST_NET, "@gw"), end("%any")))
    one, two = Nat(ip_address(OUTSIDE), net), Nat(ip_address("203.0.113.6"), net)
    first, second = behind_nat(net, one, 1, "192.168.0.1"), behind_nat(net, one, 2, "192.168.0.2")
    for host in (first, second):
        host.request("initiate", name="home")
    assert net.run(30.0, lambda: len(gateway.klips.sas) == 4)
    flows = {str(e.key) for g in gateway.guards.values() for e in g.entries}
    assert flows == {"10.2.0.0/16 -> 192.168.0.1/32", "10.2.0.0/16 -> 192.168.0.2/32"}
    net.run(net.now + 10.0)  # an address has one host here: the double would get what is still sent to the first
    # An address that is taken, one of our own clients, one that is not private: nothing of that.
    net.nats.pop(first.address)
    thief = behind_nat(net, two, 3, "192.168.0.1")
    own, public = behind_nat(net, two, 4, "10.2.0.9"), behind_nat(net, two, 5, "8.8.8.8")
    before = {key: eroute.target for key, eroute in gateway.klips.eroutes.items()}
    for host in (thief, own, public):
        client = host.request("initiate", name="home")
        net.run(net.now + 60.0)
        assert client in host.finished and not host.up(), host.name
    assert {key: eroute.target for key, eroute in gateway.klips.eroutes.items()} == before
    gateway.sane()


def test_behind_nat_a_virtual_client_is_one_of_those_allowed() -> None:
    net = Net(1)
    gateway = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    virtual = Virtual((ip_network("192.168.0.0/16"),), (ip_network("192.168.7.0/24"),))
    gateway.load(conn("rw", end(EAST, EAST_NET, "@gw"), replace(end("%any"), virtual=virtual)))
    box = Nat(ip_address(OUTSIDE), net)
    first, refused = behind_nat(net, box, 1, "192.168.0.1"), behind_nat(net, box, 2, "192.168.7.1")
    client = refused.request("initiate", name="home")
    first.request("initiate", name="home")
    assert net.run(60.0, lambda: len(gateway.klips.sas) == 2 and first.up() and client in refused.finished)
    assert {str(e.key) for g in gateway.guards.values() for e in g.entries} == {"10.2.0.0/16 -> 192.168.0.1/32"}
    assert not refused.up()
    gateway.sane()


# -- address changes and failures of the engine -----------------------------------------------------------------------


def test_an_address_that_changes_brings_the_tunnel_up_from_the_new_one() -> None:
    pair = make_pair(1)
    left, right = end("%defaultroute", WEST_NET, "@west"), end(EAST, EAST_NET, "@east")
    pair.west.load(conn("net-net", left, right))
    pair.east.load(conn("net-net", end("%any", WEST_NET, "@west"), right))
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    pair.west.address = ip_address("192.0.2.200")
    pair.net.attach(pair.west.address, pair.west.receive)
    pair.west.post(pair.west.network())
    assert "net-net" in pair.west.guards
    assert pair.run(30.0, lambda: pair.west.up() and pair.agreed())
    assert pair.west.gaps == []
    assert {str(sa.src) for sa in pair.west.klips.sas.values() if sa.direction is Direction.OUT} == {"192.0.2.200"}


def test_an_sa_the_engine_refuses_is_closed_on_both_sides() -> None:
    from openswan.engine.effects import KlipsCommand
    from openswan.engine.events import EffectFailed
    from openswan.plane.commands import AddSa

    pair = make_pair(1)
    west, east = tunnel(keying_tries=1)
    pair.west.load(west)
    pair.east.load(east)
    original = pair.west.perform

    def perform(effect):  # type: ignore[no-untyped-def]
        original(effect)
        if isinstance(effect, KlipsCommand) and isinstance(effect.command, AddSa) and effect.token:
            pair.west.pending.append(EffectFailed(effect.token, "no such cipher"))

    pair.west.perform = perform  # type: ignore[method-assign]
    client = pair.west.request("initiate", name="net-net")
    pair.run(60.0)
    assert client in pair.west.finished
    assert any("no such cipher" in text for _, text in pair.west.whack[client])
    assert pair.west.empty() and pair.east.empty()


def test_replace_while_up_never_opens_the_guard() -> None:
    from openswan.config.plain import connection_to_plain
    from openswan.policy.connection import Startup

    pair = up_pair(startup=Startup.START)
    policy = replace(tunnel()[0], startup=Startup.START, metric=3)
    seen: list[bool] = []
    original = pair.west.perform
    pair.west.perform = lambda effect: (original(effect), seen.append("net-net" in pair.west.guards))[0]  # type: ignore[method-assign]
    pair.west.say("add", connection=connection_to_plain(policy), replace=True)
    assert pair.run(30.0, lambda: pair.up() and pair.agreed())
    assert all(seen)
    pair.sane()


# -- strangers --------------------------------------------------------------------------------------------------------


def test_a_flood_of_first_messages_is_bounded() -> None:
    pair = make_pair(1)
    west, east = tunnel()
    pair.east.load(east)
    floods = []
    for n in range(3000):
        host = SimHost(pair.net, "flood", f"100.64.{n >> 8}.{n & 255}", n, psk("@west", "@east"))
        floods.append(host)
    template = conn("any", end("%any", WEST_NET, "@west"), end(EAST, EAST_NET, "@east"))
    pair.east.load(template)
    for host in floods[:400]:
        host.load(conn("x", end(str(host.address), WEST_NET, "@west"), end(EAST, EAST_NET, "@east")))
        pair.net.hosts.pop(host.address)  # sends, and never answers
        host.request("initiate", name="x")
    pair.run(0.4)
    states = pair.east.pluto.core.states
    assert 100 < states.half_open_total <= pair.east.pluto.core.settings.cookie_threshold
    pair.west.load(west)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.west.up), "an honest peer gets in all the same"
    for host in floods:
        pair.net.cut.add(host.address)
    pair.run(200.0)
    assert states.half_open_total == 0
    assert len(states.ikes) == 1 and len(states.by_init) <= 1
    pair.sane()


def test_a_mapping_seen_in_esp_is_where_ike_goes_too() -> None:
    """RFC 7296 2.23: any authentic packet counts; a request under way would never be answered at the old place."""
    pair = up_pair(nat=True)
    nat = pair.net.nats[pair.west.address]
    (ike,) = pair.east.pluto.core.states.ikes.values()
    nat.rebind()
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    pair.run(0.1)
    assert ike.machine.remote.port == max(nat.ports.values())
    (child,) = ike.children.values()
    pair.east.pluto.core.now = pair.net.now
    assert child.remote == ike.machine.remote


def test_keepalives_as_configured() -> None:
    """nat-keepalive=no sends none; force_keepalive=yes has the end that is behind no NAT send them too."""
    quiet = up_pair(nat=True, nat_keepalive=False)
    quiet.run(65.0)
    assert quiet.west.keepalives == quiet.east.keepalives == 0
    both = make_pair(nat=True, settings=Settings(force_keepalive=True))
    west, east = tunnel(nat=True)
    both.west.load(west)
    both.east.load(east)
    both.west.request("initiate", name="net-net")
    assert both.run(10.0, both.up)
    both.run(65.0)
    assert both.west.keepalives == 3 and both.east.keepalives == 3
