# SPDX-License-Identifier: GPL-2.0-or-later
"""Opportunistic encryption for hosts behind a gateway, that have never heard of it: who may speak for whom.

10.1.0.0/16 --- west 192.0.2.1 === east 198.51.100.7 --- 10.2.0.0/16
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from openswan.base.said import Said, Shunt
from openswan.crypto.rsakey import PrivateKey
from openswan.engine.effects import Intercept, SetGuard
from openswan.engine.events import NetworkState, RoutesSeen
from openswan.engine.oeevents import Learned, Verdict
from openswan.engine.settings import Settings
from openswan.ike.v2.values import Ignored
from openswan.policy.connection import SIGNATURES, Auth, Connection, End, Host, HostKind, ShuntPolicy
from openswan.policy.gateways import Published, reverse_name
from openswan.policy.grade import Grade
from openswan.policy.identity import MY_ID
from tests.sim.net import PERFECT, Faults
from tests.sim.pair import EAST, WEST, Pair, SimHost, conn, make_pair, rsa_key
from tests.sim.test_groups import group as nobodys_group
from tests.sim.test_groups import ready
from tests.sim.test_oedns import gateway, secrets, versions
from tests.sim.test_oedns import group as keyed_group

INSIDE, OTHER = "10.1.0.2", "10.1.0.3"
BEHIND = "10.2.0.5"
WORLD = "10.0.0.0/8\n192.0.2.0/24\n198.51.100.0/24\n"


def lan(net: str, failure: ShuntPolicy = ShuntPolicy.DROP, name: str = "private", **more: Any) -> Connection:
    """A group for hosts of a net behind us, whose peers have their keys in the DNS."""
    here = End(Host(HostKind.DEFAULTROUTE), MY_ID, dns_key=True, subnet=ip_network(net))
    far = End(Host(HostKind.OPPORTUNISTIC_GROUP), dns_key=True)
    values = {"auth": SIGNATURES, "failure_shunt": failure, "keying_tries": 1, "retransmit_timeout": 5.0, **more}
    return conn(name, here, far, **values)


def publish(pair: Pair, host: str, key: PrivateKey, there: str = "", grade: Grade = Grade.DNSSEC) -> None:
    """Everybody finds that `host` has the gateway `there`, itself unless it is given, with that key."""
    for each in (pair.west, pair.east):
        address = ip_address(host)
        named = (gateway(key, there or host, grade),)
        each.dns[host] = Learned(address, Verdict.GATEWAYS, named, 300.0)
        if not there:
            each.dns[reverse_name(address)] = Published((key.public_key(),), grade, 300.0)


def gateways(
    east: Connection,
    faults: Faults = PERFECT,
    seed: int = 0,
    west: Connection | None = None,
    settings: Settings | None = None,
) -> Pair:
    """West protects its hosts; east is what `east` says. The gateways and 10.1.0.2 and .3 are in the DNS."""
    pair = make_pair(
        seed, faults, west_secrets=secrets(rsa_key(1)), east_secrets=secrets(rsa_key(2)), settings=settings
    )
    publish(pair, WEST, rsa_key(1))
    publish(pair, EAST, rsa_key(2))
    for host in (INSIDE, OTHER):
        publish(pair, host, rsa_key(1), WEST)
    publish(pair, BEHIND, rsa_key(2), EAST)
    ready(pair.west, west or lan("10.1.0.0/16"), private=WORLD)
    ready(pair.east, east, private=WORLD)
    return pair


HOST = conn(
    "private",
    End(Host(HostKind.DEFAULTROUTE), MY_ID, dns_key=True),
    End(Host(HostKind.OPPORTUNISTIC_GROUP), dns_key=True),
    auth=SIGNATURES,
    failure_shunt=ShuntPolicy.DROP,
    keying_tries=1,
    retransmit_timeout=5.0,
)
"""East for itself."""


def meets(host: SimHost, src: str, dst: str) -> Said | Shunt | None:
    found = host.klips.match(ip_address(src), ip_address(dst))
    return found.target if found else None


def test_a_host_behind_the_gateway_finds_one_that_is_not() -> None:
    """The caller's host has the caller as its gateway, says the DNS; so east has a tunnel for that host alone."""
    pair = gateways(HOST)
    for _ in range(3):
        pair.send(pair.west, INSIDE, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    back = pair.send(pair.east, EAST, INSIDE)
    assert pair.run(1.0, lambda: back in pair.west.klips.delivered)
    assert pair.east.questions == [reverse_name(ip_address(WEST)), INSIDE], "the caller's key, then its host's gateway"
    assert meets(pair.west, OTHER, EAST) is Shunt.TRAP and meets(pair.east, EAST, OTHER) is Shunt.TRAP
    assert pair.west.clear == pair.east.clear == []
    # Another host of the same gateway has a tunnel of its own in the same IKE SA.
    pair.send(pair.west, OTHER, EAST)
    assert pair.run(8.0, lambda: isinstance(meets(pair.west, OTHER, EAST), Said))
    assert len(pair.west.pluto.core.states.ikes) == 1
    pair.sane()


def both_for_all(settings: Settings | None = None) -> Pair:
    """Both ends have a group for themselves, and another one for the hosts behind them."""
    pair = gateways(HOST, west=HOST, settings=settings)
    for host, net in ((pair.west, "10.1.0.0/16"), (pair.east, "10.2.0.0/16")):
        ready(host, lan(net, name="lan"), private="192.0.2.0/24\n198.51.100.0/24\n", lan="10.0.0.0/8\n")
    return pair


def test_a_gateway_that_has_lost_everything_has_its_hosts_tunnel_back_at_once() -> None:
    """East has called it for that pair; what it asks for now goes over the IKE SA of the gateways' own pair."""
    pair = both_for_all()
    for here, there in ((EAST, WEST), (BEHIND, INSIDE)):
        pair.send(pair.east, here, there)
        assert pair.run(3.0, lambda: not pair.missing())
    pair.run(0.5)
    pair.west.boot()
    for line in (HOST, lan("10.1.0.0/16", name="lan")):
        ready(pair.west, line, private="192.0.2.0/24\n198.51.100.0/24\n", lan="10.0.0.0/8\n")
    pair.send(pair.west, WEST, EAST)
    late = pair.send(pair.west, INSIDE, BEHIND)
    assert pair.run(2.0, lambda: late in pair.east.klips.delivered)
    assert not any("is in use for" in line for line in pair.east.lines)
    pair.sane()


def test_who_was_called_for_itself_may_ask_for_hosts_behind_it() -> None:
    """Both have called at once, so each may ask by the IKE SA that the other one began, and has shown its key there."""
    pair = both_for_all()
    pair.send(pair.west, WEST, EAST)
    pair.send(pair.east, EAST, WEST)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.run(3.0)
    pair.send(pair.east, BEHIND, INSIDE)
    assert pair.run(8.0, lambda: not pair.missing())
    for host in (pair.west, pair.east):
        assert {state.grade for state in host.pluto.brain.pairs.machine.pairs.values()} == {Grade.DNSSEC}
    pair.sane()


def test_who_was_called_for_a_host_behind_it_is_not_itself_by_that() -> None:
    """The key is that of the record of the host; the gateway's own record has another one."""
    pair = both_for_all()
    publish(pair, EAST, rsa_key(3))
    pair.send(pair.west, INSIDE, BEHIND)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.send(pair.east, EAST, WEST)
    pair.run(12.0)
    assert meets(pair.east, EAST, WEST) is Shunt.DROP and not isinstance(meets(pair.west, WEST, EAST), Said)
    pair.sane()


@pytest.mark.parametrize("seed", range(4))
def test_both_ends_are_gateways(seed: int) -> None:
    """Neither host knows of IPsec; whoever begins, also when both do so at once on a bad line."""
    patient = {"retransmit_timeout": 30.0}
    faults = Faults(loss=0.2, duplicate=0.1) if seed else PERFECT
    pair = gateways(lan("10.2.0.0/16", **patient), faults, seed, lan("10.1.0.0/16", **patient))
    first = pair.send(pair.west, INSIDE, BEHIND)
    if seed:
        pair.send(pair.east, BEHIND, INSIDE)
    assert pair.run(40.0, lambda: isinstance(meets(pair.west, INSIDE, BEHIND), Said))
    assert pair.run(40.0, lambda: isinstance(meets(pair.east, BEHIND, INSIDE), Said))
    pair.run(5.0)
    assert seed or first in pair.east.klips.delivered
    assert pair.west.clear == pair.east.clear == [] and pair.agreed()
    pair.sane()


def test_each_pair_of_hosts_keeps_a_tunnel_of_its_own() -> None:
    """Several hosts behind either end meet, one after the other in one IKE SA: none takes another one's."""
    pair = gateways(lan("10.2.0.0/16"), west=lan("10.1.0.0/16"))
    third = "10.2.0.6"
    publish(pair, third, rsa_key(2), EAST)
    hosts = [(INSIDE, BEHIND), (INSIDE, third), (OTHER, BEHIND), (OTHER, third)]
    for src, dst in hosts:
        pair.send(pair.west, src, dst)
        assert pair.run(8.0, lambda: not pair.missing())
    pair.run(2.0)
    for src, dst in hosts:
        assert isinstance(meets(pair.west, src, dst), Said) and isinstance(meets(pair.east, dst, src), Said)
        pair.send(pair.east, dst, src)
    assert pair.run(1.0, lambda: not pair.missing())
    assert pair.west.clear == pair.east.clear == []
    pair.sane()


@pytest.mark.parametrize(("delay", "refused"), [(0.2, 0), (1.3, 1)])
def test_a_request_waits_for_the_dns_unless_that_takes_long(delay: float, refused: int) -> None:
    """It is answered when the host's gateways are known, its repetitions are not, and others are meanwhile."""
    pair = gateways(lan("10.2.0.0/16"), west=lan("10.1.0.0/16"))
    pair.send(pair.west, INSIDE, BEHIND)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.run(2.0)
    [ike] = pair.east.pluto.core.states.ikes.values()
    pair.east.dns_delay, pair.net.faults = delay, Faults(duplicate=1.0)
    begun, lines = pair.net.now, len(pair.east.lines)
    pair.send(pair.west, OTHER, BEHIND)
    pair.run(0.15)
    pair.send(pair.west, INSIDE, "10.2.0.6")
    assert ike.machine.aside, "it waits"
    assert pair.run(3.0, lambda: isinstance(meets(pair.west, OTHER, BEHIND), Said) and not ike.machine.aside)
    assert refused or pair.net.now - begun < delay + 0.15
    said = [line for line in pair.east.lines[lines:] if f"gateways of {OTHER} are being looked up" in line]
    assert len(said) == refused and ike.machine.counters[Ignored.REPEATED]
    assert isinstance(meets(pair.east, BEHIND, OTHER), Said) and pair.west.clear == pair.east.clear == []
    pair.sane()


@versions
@pytest.mark.parametrize("what", ["unsigned", "another gateway", "another key", "nothing"])
def test_who_is_not_the_hosts_gateway_does_not_speak_for_it(what: str, version: dict[str, Any]) -> None:
    pair = gateways(keyed_group(**version), west=lan("10.1.0.0/16", **version))
    if what == "unsigned":
        pair.east.dns[INSIDE] = Learned(ip_address(INSIDE), Verdict.NONE, (), 300.0, "it is unsigned and delegates")
    elif what == "another gateway":
        publish(pair, INSIDE, rsa_key(1), "203.0.113.9")
    elif what == "another key":
        publish(pair, INSIDE, rsa_key(3), WEST)
    else:
        pair.east.dns[INSIDE] = Learned(ip_address(INSIDE), Verdict.FAILED, (), 5.0, "no server answers")
    pair.send(pair.west, INSIDE, EAST)
    pair.run(20.0)
    assert not isinstance(meets(pair.west, INSIDE, EAST), Said) and not pair.east.klips.sas
    assert pair.west.clear == []
    pair.sane()


def test_nobody_speaks_for_nobody_else() -> None:
    """A peer that proves nothing has its own address and no other, whatever is behind it."""
    pair = make_pair()
    ready(pair.west, nobodys_group("private"), private=WORLD)
    here = End(Host(HostKind.DEFAULTROUTE), subnet=ip_network("10.1.0.0/16"))
    far = End(Host(HostKind.OPPORTUNISTIC_GROUP))
    inside = conn(
        "lan", here, far, auth=Auth.NULL, failure_shunt=ShuntPolicy.DROP, keying_tries=1, retransmit_timeout=5.0
    )
    ready(pair.west, inside, private=WORLD, lan=WORLD)
    ready(pair.east, nobodys_group("private"), private=WORLD)
    pair.send(pair.west, INSIDE, EAST)
    pair.run(20.0)
    assert not pair.east.klips.sas and meets(pair.west, INSIDE, EAST) is Shunt.DROP
    pair.send(pair.west, WEST, EAST)
    assert pair.run(5.0, lambda: isinstance(meets(pair.west, WEST, EAST), Said)), "for itself it may"
    pair.sane()


@pytest.mark.parametrize("failure", [ShuntPolicy.DROP, ShuntPolicy.PASS], ids=["drop", "pass"])
def test_a_destination_nobody_has_published(failure: ShuntPolicy) -> None:
    """The first packet of a host behind us is held like our own, then the group decides."""
    pair = gateways(HOST, west=lan("10.1.0.0/16", failure))
    pair.west.dns["198.51.100.8"] = Learned(ip_address("198.51.100.8"), Verdict.NONE, (), 300.0, "no record")
    first = pair.send(pair.west, INSIDE, "198.51.100.8")
    pair.run(1.0)
    shunt = Shunt.PASS if failure is ShuntPolicy.PASS else Shunt.DROP
    assert meets(pair.west, INSIDE, "198.51.100.8") is shunt
    assert pair.west.clear == ([first] if failure is ShuntPolicy.PASS else [])
    assert meets(pair.west, OTHER, "198.51.100.8") is Shunt.TRAP
    pair.sane()


def lives(host: SimHost, *nets: str) -> None:
    """These nets are behind a host, as its routes say; the outer interface leads to others."""
    homes = [(net, "eth1") for net in nets] + [("192.0.2.0/24", "eth0"), ("10.9.0.0/16", "eth0")]
    host.post(RoutesSeen(tuple((ip_network(net), device) for net, device in homes)))


def test_whoever_is_behind_the_gateway_whatever_their_nets() -> None:
    pair = gateways(HOST, west=lan("0.0.0.0/0"))
    assert pair.west.plan == Intercept() and meets(pair.west, INSIDE, EAST) is None, "nobody knows who is there"
    lives(pair.west, "10.1.0.0/24", "10.8.0.0/15")
    assert pair.west.plan.inside == tuple(map(ip_network, ("10.1.0.0/24", "10.8.0.0/16")))
    pair.send(pair.west, INSIDE, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    assert isinstance(meets(pair.west, INSIDE, EAST), Said)
    assert meets(pair.west, "10.8.0.7", EAST) is Shunt.TRAP
    assert meets(pair.west, WEST, EAST) is meets(pair.west, "10.9.0.7", EAST) is None, "not itself, nor who is outside"
    # What those behind it say to each other is nobody's business.
    keys = [entry.key for guard in pair.west.guards.values() for entry in guard.entries]
    inside = ip_address("10.8.0.7")
    assert keys and not any(ip_address(INSIDE) in key.src and inside in key.dst for key in keys)
    lives(pair.west, "10.1.0.0/24", "10.3.0.0/24")
    assert pair.west.plan.inside == tuple(map(ip_network, ("10.1.0.0/24", "10.3.0.0/24")))
    assert isinstance(meets(pair.west, INSIDE, EAST), Said), "the others are not touched"
    assert meets(pair.west, "10.8.0.7", EAST) is None and pair.west.clear == []
    pair.west.say("unroute", name="private")
    assert pair.west.plan == Intercept() and pair.west.guards == {}
    pair.sane()


def test_without_an_uplink_whoever_is_behind_stays_who_they_are() -> None:
    """Their guard is there all the time, also when routes are seen meanwhile; their trap when there is a way out."""
    pair = gateways(HOST, west=lan("0.0.0.0/0"))
    lives(pair.west, "10.1.0.0/24")
    guards, before = dict(pair.west.guards), pair.west.network()
    assert guards and meets(pair.west, INSIDE, EAST) is Shunt.TRAP
    pair.west.post(NetworkState((), ()))
    assert pair.west.guards == guards
    pair.west.post(RoutesSeen(((ip_network("10.1.0.0/24"), "eth1"),)))
    assert pair.west.guards == guards
    pair.west.post(before)
    assert pair.west.guards == guards and meets(pair.west, INSIDE, EAST) is Shunt.TRAP
    pair.send(pair.west, INSIDE, EAST)
    assert pair.run(3.0, lambda: not pair.missing()) and pair.west.clear == []
    pair.sane()


def test_a_guard_from_before_the_start_stands_until_it_is_known_who_is_behind() -> None:
    pair = make_pair()
    ahead = "private#10.0.0.0/8"
    pair.west.guards[ahead] = SetGuard(ahead, (), ())
    pair.west.pluto.brain.router.kept = {ahead}
    ready(pair.west, lan("0.0.0.0/0"), private=WORLD)
    assert ahead in pair.west.guards
    lives(pair.west, "10.1.0.0/24")
    assert ahead not in pair.west.guards and "private#10.1.0.0/24===10.0.0.0/8" in pair.west.guards


def test_a_guard_from_before_the_start_goes_as_soon_as_there_is_an_uplink() -> None:
    pair = make_pair()
    ahead, there = "private#10.0.0.0/8", pair.west.network()
    pair.west.guards[ahead] = SetGuard(ahead, (), ())
    pair.west.pluto.brain.router.kept = {ahead}
    pair.west.post(NetworkState((), ()))
    ready(pair.west, lan("0.0.0.0/0"), private=WORLD)
    lives(pair.west, "10.1.0.0/24")
    assert ahead in pair.west.guards
    pair.west.post(there)
    assert ahead not in pair.west.guards and "private#10.1.0.0/24===10.0.0.0/8" in pair.west.guards
