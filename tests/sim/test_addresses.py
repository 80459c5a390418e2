# SPDX-License-Identifier: GPL-2.0-or-later
"""Assigned addresses between whole plutos: pools, clients that come, go and come back, traffic from the lease only."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.said import Said
from openswan.policy.modecfg import Pool
from tests.sim.net import Faults, Net
from tests.sim.pair import EAST, EAST_NET, Inner, SimHost, conn, end, psk

POOL = (
    Pool(ip_address("10.9.0.1"), ip_address("10.9.0.4")),
    Pool(ip_address("2001:db8:9::1"), ip_address("2001:db8:9::9")),
)


def server(net: Net, **more: object) -> SimHost:
    host = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    dns = {"dns": (ip_address("10.2.0.53"),), "domains": ("corp.example",)}
    host.load(conn("rw", end(EAST, EAST_NET, "@gw"), end("%any", pools=POOL), **{**dns, **more}))
    return host


def client(net: Net, n: int, name: str = "", **more: object) -> SimHost:
    name = name or f"@rw{n}"
    host = SimHost(net, f"rw{n}", f"203.0.113.{n}", n, psk(name, "@gw"))
    mine = end(str(host.address), "", name, ask_addresses=(4, 6))
    host.load(conn("home", mine, end(EAST, EAST_NET, "@gw"), **more))
    return host


def address(host: SimHost) -> str:
    (eroute,) = [e for e in host.klips.eroutes.values() if isinstance(e.target, Said)]
    return str(eroute.key.src)


@pytest.mark.parametrize("loss", (0.0, 0.2))
def test_clients_get_addresses_of_their_own_and_traffic_flows(loss: float) -> None:
    net = Net(3, Faults(loss=loss))
    gateway = server(net)
    hosts = [client(net, n) for n in (1, 2, 3)]
    for host in hosts:
        host.request("initiate", name="home")
    assert net.run(120.0, lambda: len(gateway.klips.sas) == 6 and all(host.up() for host in hosts))
    assert {address(host) for host in hosts} == {"10.9.0.1/32", "10.9.0.2/32", "10.9.0.3/32"}
    for host in hosts:
        lease = ip_address(address(host).partition("/")[0])
        there, back = Inner(lease, ip_address("10.2.0.9"), 1), Inner(ip_address("10.2.0.9"), lease, 2)
        forged = Inner(ip_address("10.9.0.4"), ip_address("10.2.0.9"), 3)
        host.klips.send(there)
        gateway.klips.send(back)
        host.klips.send(forged)
        net.run(net.now + 1.0)
        assert there in gateway.klips.delivered and back in host.klips.delivered
        assert forged not in gateway.klips.delivered
        (said,) = [line for line in host.pluto.brain.core.conns if line.name == "home"]
        assert said.assigned.domains == ("corp.example",)
        keys = {str(e.key) for e in host.guards["home"].entries}
        assert keys == {f"{lease}/32 -> 10.2.0.0/16", f"{host.address}/32 -> 10.2.0.0/16"}
    text = "\n".join(line for _, line in gateway.say("status"))
    assert '"rw":   address pool: 10.9.0.1-10.9.0.4; size 4; 3 in use; 0 kept for absent peers;' in text
    assert "10.9.0.1 '@rw" in "\n".join(line for _, line in gateway.say("addresspoolstatus"))
    gateway.sane()


def test_who_comes_back_finds_its_address_and_a_full_pool_says_so() -> None:
    net = Net(1)
    gateway = server(net)
    hosts = [client(net, n, keying_tries=1) for n in range(1, 6)]
    for host in hosts[:4]:
        host.request("initiate", name="home")
        assert net.run(net.now + 20.0, host.up)
    mine = [address(host) for host in hosts[:4]]
    asked = hosts[4].request("initiate", name="home")
    assert net.run(net.now + 60.0, lambda: asked in hosts[4].finished)
    assert not hosts[4].up() and any("INTERNAL_ADDRESS_FAILURE" in text for _, text in hosts[4].whack[asked])
    for host in hosts[:2]:
        host.say("terminate", name="home")
    net.run(net.now + 60.0)
    for host in (hosts[1], hosts[0]):
        host.request("initiate", name="home")
        assert net.run(net.now + 20.0, host.up)
    assert [address(host) for host in hosts[:4]] == mine
    hosts[0].say("terminate", name="home")
    net.run(net.now + 60.0)
    hosts[4].request("initiate", name="home")
    assert net.run(net.now + 20.0, hosts[4].up) and address(hosts[4]) == mine[0], "given to somebody else now"
    hosts[1].say("terminate", name="home")
    net.run(net.now + 60.0)
    hosts[0].request("initiate", name="home")
    assert net.run(net.now + 20.0, hosts[0].up)
    assert address(hosts[0]) == mine[1], "another address than before: eroute, route and guard follow"
    assert hosts[0].updowns[-6:] == [
        "down-client home",
        "unroute-client home",
        "up-client home",
        "prepare-client home",
        "route-client home",
    ][-6:] or hosts[0].updowns[-3:] == ["up-client home", "prepare-client home", "route-client home"]
    for host in (*hosts, gateway):
        host.sane()


def test_a_server_that_lost_its_memory_grants_what_the_client_had() -> None:
    net = Net(1)
    gateway = server(net)
    hosts = [client(net, n, dpd_delay=5.0, retransmit_timeout=8.0) for n in (1, 2)]
    for host in hosts:
        host.request("initiate", name="home")
        assert net.run(net.now + 20.0, host.up)
    mine = [address(host) for host in hosts]
    gateway.boot()
    gateway.load(conn("rw", end(EAST, EAST_NET, "@gw"), end("%any", pools=POOL)))
    assert net.run(net.now + 120.0, lambda: len(gateway.klips.sas) == 4 and all(host.up() for host in hosts))
    assert [address(host) for host in hosts] == mine


def test_two_families_on_one_ike_sa() -> None:
    net = Net(1)
    gateway = SimHost(net, "gw", EAST, 0, psk("@gw", "%any"))
    host = SimHost(net, "rw", "203.0.113.1", 1, psk("@rw", "@gw"))
    for name, inside in (("four", "10.2.0.0/16"), ("six", "2001:db8:2::/64")):
        gateway.load_one(conn(name, end(EAST, inside, "@gw"), end("%any", pools=POOL)))
        host.load_one(conn(name, end("203.0.113.1", "", "@rw", ask_addresses=(4, 6)), end(EAST, inside, "@gw")))
    gateway.say("listen")
    host.say("listen")
    for name in ("four", "six"):
        host.request("initiate", name=name)
    assert net.run(20.0, lambda: len(gateway.klips.sas) == len(host.klips.sas) == 4)
    assert {str(e.key.src) for e in host.klips.eroutes.values()} == {"10.9.0.1/32", "2001:db8:9::1/128"}
    assert len(host.pluto.core.states.ikes) == 1
    host.sane()
    gateway.sane()


def test_a_client_on_demand_asks_again_for_what_it_had() -> None:
    net = Net(1)
    gateway = server(net)
    host = client(net, 1)
    host.say("route", name="home")
    host.klips.send(Inner(host.address, ip_address("10.2.0.9"), 1))
    assert net.run(20.0, host.up)
    lease = address(host)
    gateway.say("terminate", name="rw")
    assert net.run(net.now + 20.0, lambda: not host.up())
    inner = Inner(ip_address(lease.partition("/")[0]), ip_address("10.2.0.9"), 2)
    host.klips.send(inner)
    assert net.run(net.now + 20.0, lambda: inner in gateway.klips.delivered), "held, not lost"
    assert address(host) == lease
    host.sane()
