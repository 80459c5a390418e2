# SPDX-License-Identifier: GPL-2.0-or-later
"""Opportunistic encryption of hosts behind one NAT box: each is known by an address that its peer gives it.

client 192.168.1.11 --+
                      +-- NAT box 203.0.113.5 ---- server 198.51.100.7, which gives 100.64.0.1-100.64.0.4
client 192.168.1.12 --+
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.base.said import Said, Shunt
from openswan.engine.events import PeersRecalled
from openswan.policy.connection import Auth, Connection, ShuntPolicy
from openswan.policy.modecfg import Pool
from openswan.policy.selector import Selector
from tests.sim.net import PERFECT, Faults, Nat, Net
from tests.sim.pair import EAST, OUTSIDE, Inner, SimHost, conn, end, psk
from tests.sim.test_groups import CLEAR_OR_PRIVATE, PERMISSIVE, PRIVATE, group, ready, target

POOL = Pool(ip_address("100.64.0.1"), ip_address("100.64.0.4"))
WORLD = "192.0.2.0/24\n198.51.100.0/24\n203.0.113.0/24\n"


def giving(policy: Connection) -> Connection:
    """The same group at a server that has addresses for hosts behind NAT."""
    return replace(policy, right=replace(policy.right, pools=(POOL,)))


class Office:
    """Clients behind one box, and a server."""

    def __init__(
        self,
        clients: int,
        server: Connection,
        policy: Connection = PRIVATE,
        faults: Faults = PERFECT,
        world: str = WORLD,
        **secrets: Any,
    ) -> None:
        self.net = Net(0, faults)
        self.server = SimHost(self.net, "server", EAST, 0, **secrets)
        ready(self.server, server, **{server.name.replace("-", "_"): world})
        self.nat = Nat(ip_address(OUTSIDE), self.net)
        self.clients = [SimHost(self.net, f"c{n}", f"192.168.1.{11 + n}", n, **secrets) for n in range(clients)]
        for host in self.clients:
            self.nat.serve(host.address)
            ready(host, policy, **{policy.name.replace("-", "_"): WORLD})
        self.numbers = 0

    def send(self, host: SimHost, dst: str) -> Inner:
        self.numbers += 1
        packet = Inner(host.address, ip_address(dst), self.numbers)
        host.klips.send(packet)
        return packet

    def reaches(self, host: SimHost, within: float = 3.0) -> Inner | None:
        """A packet of a client's as the server gets it; None: it does not."""
        sent = self.send(host, EAST)
        came = self.server.klips.delivered

        def found() -> Inner | None:
            return next((one for one in came if one.number == sent.number), None)

        self.net.run(self.net.now + within, lambda: found() is not None)
        return found()

    def answered(self, host: SimHost, packet: Inner) -> bool:
        """Does an answer to what the server got come back to whoever sent it?"""
        back = self.send(self.server, str(packet.src))
        wanted = replace(back, dst=host.address)
        return self.net.run(self.net.now + 2.0, lambda: wanted in host.klips.delivered)

    def sane(self) -> None:
        for host in (self.server, *self.clients):
            host.sane()


@pytest.mark.parametrize("server", [PRIVATE, PERMISSIVE, CLEAR_OR_PRIVATE], ids=lambda each: each.name)
def test_two_hosts_behind_one_box(server: Connection) -> None:
    office = Office(2, giving(server))
    came = [office.reaches(host) for host in office.clients]
    sources = [str(packet.src) for packet in came if packet is not None]
    assert sources == ["100.64.0.1", "100.64.0.2"]
    for host, packet in zip(office.clients, came, strict=True):
        assert packet is not None and office.answered(host, packet)
        assert isinstance(target(host, EAST), Said) and not host.clear
        assert isinstance(target(office.server, str(packet.src)), Said)
        assert f"pair {host.address} as {packet.src} {EAST}" in "\n".join(line for _, line in host.say("status"))
    assert not office.server.clear
    assert all(src.endswith(":4500") for _, src, _, _ in office.net.transcript[-4:]), "ESP goes in UDP"
    office.sane()


def test_what_is_claimed_is_not_what_is_given() -> None:
    """Nobody is a neighbour of the server's because it says so: what it sends as its own address goes nowhere."""
    office = Office(1, giving(PRIVATE))
    [host] = office.clients
    assert office.reaches(host)
    for said, sa in host.klips.sas.items():
        host.klips.sas[said] = replace(sa, alias=None)
    assert office.reaches(host) is None
    assert office.server.klips.dropped[-1][0] == "selector mismatch"


@pytest.mark.parametrize("policy", [PRIVATE, PERMISSIVE], ids=lambda each: each.name)
@pytest.mark.parametrize("net", ["203.0.113.0/24", "0.0.0.0/0"])
def test_without_a_pool_it_is_refused_by_name(policy: Connection, net: str) -> None:
    office = Office(1, PRIVATE, policy, world=f"{net}\n")
    [host] = office.clients
    assert office.reaches(host, 20.0) is None
    text = "\n".join(office.server.lines)
    assert f'no tunnel for {OUTSIDE}: it is behind NAT, and "private#{net}" has no addresses' in text
    assert target(host, EAST) is (Shunt.PASS if policy is PERMISSIVE else Shunt.DROP)
    assert len(host.clear) == (policy is PERMISSIVE)
    office.sane()


def test_who_proves_nothing_is_not_the_nat_itself_whatever_it_asks_for() -> None:
    """Its address is that of all who are behind it."""
    office = Office(1, giving(PRIVATE), replace(PRIVATE, left=replace(PRIVATE.left, cat=False)))
    negotiator = office.clients[0].pluto.brain.negotiator
    narrow = negotiator.narrow
    negotiator.narrow = lambda conn, mine, theirs: narrow(  # type: ignore[method-assign]
        conn, Selector.host(ip_address(OUTSIDE)), theirs
    )
    assert office.reaches(office.clients[0], 20.0) is None
    assert not office.server.klips.sas and target(office.server, OUTSIDE) is Shunt.TRAP


def test_leftcat_no_asks_for_nothing() -> None:
    office = Office(1, giving(PRIVATE), replace(PRIVATE, left=replace(PRIVATE.left, cat=False)))
    assert office.reaches(office.clients[0], 20.0) is None
    assert "asks" in "\n".join(office.server.lines) and not office.server.klips.sas


def test_a_host_that_is_not_behind_nat_needs_no_address() -> None:
    office = Office(0, giving(PRIVATE))
    host = SimHost(office.net, "open", "192.0.2.1", 5)
    ready(host, giving(PRIVATE), private=WORLD)
    packet = office.reaches(host)
    assert packet is not None and packet.src == host.address and office.answered(host, packet)
    assert all(sa.alias is None for sa in host.klips.sas.values())
    other = office.send(office.server, "192.0.2.1")
    assert office.net.run(office.net.now + 1.0, lambda: other in host.klips.delivered)


def test_the_pool_is_the_bound_and_what_is_let_go_is_free_again() -> None:
    office = Office(5, giving(PRIVATE))
    assert all(office.reaches(host) for host in office.clients[:4])
    assert office.reaches(office.clients[4], 20.0) is None
    assert "no address is left" in "\n".join(office.server.lines)
    office.clients[1].say("terminate", name="private")
    office.net.run(office.net.now + 1200.0)
    packet = office.reaches(office.clients[4], 30.0)
    assert packet is not None


def test_one_box_does_not_use_up_the_pool() -> None:
    """Whoever is behind it and proves nothing; behind another one there are addresses left, and it is said once."""
    pool = Pool(ip_address("100.64.0.0"), ip_address("100.64.0.17"))
    office = Office(18, replace(PRIVATE, right=replace(PRIVATE.right, pools=(pool,))))
    assert all(office.reaches(host) for host in office.clients[:16])
    assert not any(office.reaches(host) for host in office.clients[16:])
    said = [line for line in office.server.lines if "have addresses of" in line]
    assert len(said) == 1 and said[0].startswith(f"{OUTSIDE}/32: 16 hosts that prove nothing")
    assert any("requests refused of more peers behind one address" in line for _, line in office.server.say("status"))
    twin = SimHost(office.net, "twin", "192.168.1.99", 99)
    Nat(ip_address("203.0.113.6"), office.net).serve(twin.address)
    ready(twin, PRIVATE, private=WORLD)
    assert office.reaches(twin)
    office.clients[3].say("terminate", name="private")
    office.net.run(office.net.now + 1200.0)
    assert office.reaches(office.clients[17], 30.0)
    office.sane()


def test_rekeying_keeps_the_address_and_so_does_coming_back() -> None:
    short = {"ike_lifetime": 900.0, "ipsec_lifetime": 400.0, "rekey_margin": 60.0}
    office = Office(2, giving(replace(PRIVATE, **short)), replace(PRIVATE, **short))
    first = [office.reaches(host) for host in office.clients]
    assert all(first)
    for _ in range(60):
        for host, was in zip(office.clients, first, strict=True):
            packet = office.reaches(host)
            assert packet is not None and was is not None and packet.src == was.src
        office.net.run(office.net.now + 30.0)
    host, was = office.clients[1], first[1]
    host.say("terminate", name="private")
    office.net.run(office.net.now + 5.0)
    assert len([sa for sa in office.server.klips.sas.values() if sa.encap]) == 2
    packet = office.reaches(host, 30.0)
    assert packet is not None and was is not None and packet.src == was.src
    office.sane()


def test_a_box_that_forgets_is_followed() -> None:
    office = Office(2, giving(PRIVATE))
    first = [office.reaches(host) for host in office.clients]
    office.nat.rebind()
    for host, was in zip(office.clients, first, strict=True):
        packet = office.reaches(host)
        assert packet is not None and was is not None and packet.src == was.src and office.answered(host, packet)


@pytest.mark.parametrize("seed", range(4))
def test_on_a_bad_line_with_a_secret(seed: int) -> None:
    """The private addresses of two offices may be the same: what they call themselves is nobody's name here."""
    secret = group("private", auth=Auth.PSK)
    everybody = {"secrets": psk("%any", "%any")}
    office = Office(2, giving(secret), secret, Faults(loss=0.2, duplicate=0.1), **everybody)
    twin = SimHost(office.net, "twin", "192.168.1.21", seed, psk("%any", "%any"))
    Nat(ip_address("203.0.113.6"), office.net).serve(twin.address)
    ready(twin, secret, private=WORLD)
    hosts = [*office.clients, twin]
    for host in hosts:
        office.send(host, EAST)
    office.net.run(20.0)
    came = {str(packet.src) for packet in office.server.klips.delivered}
    assert len(came) == 3 and all(ip_address(one) in POOL for one in came)
    office.sane()


def test_a_conn_of_its_own_is_not_concerned() -> None:
    office = Office(1, giving(PRIVATE))
    [host] = office.clients
    ours, theirs = end(str(host.address), "10.1.0.0/16", "@rw"), end(EAST, "10.2.0.0/16", "@gw")
    host.load(conn("net-net", ours, theirs, failure_shunt=ShuntPolicy.DROP))
    assert office.reaches(host)
    assert {str(e.key.src) for e in host.klips.eroutes.values()} >= {f"{host.address}/32"}


def test_the_next_daemon_asks_for_the_address_of_before() -> None:
    office = Office(2, giving(PRIVATE))
    assert all(office.reaches(host) for host in office.clients)
    for host in reversed(office.clients):
        host.say("shutdown")
        office.net.run(office.net.now + 2.0)
    assert not office.server.klips.sas
    again = SimHost(office.net, "again", str(office.clients[1].address), 99)
    ready(again, PRIVATE, private=WORLD)
    again.post(PeersRecalled(office.clients[1].kept))
    packet = office.reaches(again)
    assert packet is not None and str(packet.src) == "100.64.0.2"
