# SPDX-License-Identifier: GPL-2.0-or-later
"""Ends that move while traffic flows: by MOBIKE without a new negotiation, without it by a new one; nothing leaks."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from openswan.base.said import Shunt
from openswan.engine.events import NetworkState
from openswan.plane.commands import Direction
from openswan.wire.v2.numbers import ExchangeType
from tests.sim.net import Faults, Nat
from tests.sim.pair import EAST, EAST_NET, OUTSIDE, WEST, WEST_NET, Pair, SimHost, conn, end, make_pair
from tests.sim.test_crash import hide
from tests.sim.test_life import EAST_HOST, WEST_HOST

ELSEWHERE = "192.0.2.200"


def roaming(seed: int = 1, faults: Faults | None = None, **more: object) -> Pair:
    """West is wherever its default route goes; east knows it by name alone."""
    pair = make_pair(seed, faults or Faults())
    values: dict[str, object] = {"mobike": True, **more}
    right = end(EAST, EAST_NET, "@east")
    pair.west.load(conn("net-net", end("%defaultroute", WEST_NET, "@west"), right, **values))
    pair.east.load(conn("net-net", end("%any", WEST_NET, "@west"), right, **values))
    pair.west.request("initiate", name="net-net")
    assert pair.run(60.0, lambda: pair.up() and pair.agreed())
    pair.run(1.0)
    return pair


def move(host: SimHost, address: str, keep: bool = False) -> None:
    """The host's default route has another source now; `keep`: the old address stays."""
    old = host.address
    host.address = ip_address(address)
    host.extra = (old,) if keep else ()
    host.net.attach(host.address, host.receive)
    if not keep and old != host.address:
        host.net.hosts.pop(old, None)
    host.post(host.network())


def gone(host: SimHost) -> None:
    """No address at all."""
    host.net.hosts.pop(host.address, None)
    host.post(NetworkState((), ()))


def chat(pair: Pair, seconds: float) -> None:
    for _ in range(int(seconds * 50)):
        pair.send(pair.west, WEST_HOST, EAST_HOST)
        pair.send(pair.east, EAST_HOST, WEST_HOST)
        pair.run(0.02)


def outer(host: SimHost, direction: Direction) -> set[str]:
    sas = {said for said, sa in host.klips.sas.items() if sa.direction is direction}
    return {f"{host.klips.encaps[said][0].address} {host.klips.encaps[said][1].address}" for said in sas}


@pytest.mark.parametrize("seed", range(6))
def test_an_address_that_changes_under_traffic_loses_nothing(seed: int) -> None:
    pair = roaming(seed, Faults(loss=0.1 * (seed % 3), delay=(0.01, 0.03)))
    spis = set(pair.west.klips.by_spi)
    chat(pair, 0.3)
    for address in (ELSEWHERE, "203.0.113.77", WEST):
        move(pair.west, address, keep=True)
        chat(pair, 1.0)
        assert pair.run(30.0, lambda address=address: outer(pair.east, Direction.OUT) == {f"{EAST} {address}"})  # type: ignore[misc]
        assert outer(pair.west, Direction.OUT) == {f"{address} {EAST}"}
    pair.run(5.0)
    assert pair.missing() == []
    assert set(pair.west.klips.by_spi) == spis, "the same SAs"
    (ike,) = pair.east.pluto.core.states.ikes.values()
    assert str(ike.machine.remote.address) == WEST and ike.machine.moves == 3
    assert pair.west.updowns.count("route-client net-net") == 1
    (instance,) = pair.east.pluto.core.conns.named["net-net"].instances.values()
    assert str(instance.peer) == WEST
    pair.sane()


def events(host: SimHost, *names: str) -> list[tuple[str, ...]]:
    """What the updown command was told of moves: verbs and these variables."""
    return [
        (env["PLUTO_VERB"], *(env[name] for name in names)) for env in host.environments if env["PLUTO_MOBIKE_EVENT"]
    ]


def test_the_updown_commands_of_both_ends_hear_of_each_move() -> None:
    pair = roaming()
    assert events(pair.west) == events(pair.east) == []
    for address in (ELSEWHERE, WEST):
        move(pair.west, address, keep=True)
        assert pair.run(30.0, lambda address=address: outer(pair.east, Direction.OUT) == {f"{EAST} {address}"})  # type: ignore[misc]
    verbs = ("down-client", "up-client") * 2
    where = (WEST, ELSEWHERE, ELSEWHERE, WEST)
    assert events(pair.west, "PLUTO_ME") == list(zip(verbs, where, strict=True))
    assert events(pair.east, "PLUTO_PEER") == list(zip(verbs, where, strict=True))
    assert {env["PLUTO_MOBIKE_EVENT"] for env in pair.west.environments} == {"", "yes"}


def silenced(pair: Pair) -> set[int]:
    """East is not to be reached, and west has begun anew beside the SAs it has; their SPIs."""
    spis = set(pair.west.klips.by_spi)
    pair.net.cut.add(pair.east.address)
    assert pair.run(30.0, lambda: "dpd-silent" in pair.west.events)
    return spis


def sources(pair: Pair, since: float) -> set[str]:
    """Addresses that west has sent from."""
    return {src.rsplit(":", 1)[0] for when, src, _, _ in pair.net.transcript if when > since + 0.001} - {EAST}


def test_a_silence_that_an_address_explains_ends_with_it() -> None:
    """What was begun beside the SAs is called off when our address changes; they move, and the peer answers."""
    pair = roaming(dpd_delay=5.0, retransmit_timeout=60.0)
    spis = silenced(pair)
    move(pair.west, ELSEWHERE)
    moved = pair.net.now
    assert len(pair.west.pluto.core.states.ikes) == 1
    pair.net.cut.clear()
    pair.run(1.0)
    chat(pair, 1.0)
    pair.run(60.0)
    assert set(pair.west.klips.by_spi) == spis and pair.missing() == []
    assert sources(pair, moved) == {ELSEWHERE}
    pair.sane()


def test_what_is_under_way_for_another_reason_begins_anew_from_the_new_address() -> None:
    pair = roaming()
    core, brain = pair.west.pluto.core, pair.west.pluto.brain
    (old,) = core.states.ikes.values()
    pair.net.cut.add(pair.east.address)
    core.states.unshare(old)
    brain.negotiator.start(core.conns.named["net-net"])
    pair.west.post(pair.west.network())
    move(pair.west, ELSEWHERE)
    moved = pair.net.now
    pair.net.cut.clear()
    assert pair.run(1.0, lambda: len([i for i in core.states.ikes.values() if i.established is not None]) == 2)
    assert pair.run(5.0, pair.agreed)
    chat(pair, 0.5)
    assert pair.missing() == [] and sources(pair, moved) == {ELSEWHERE}
    pair.sane()


def test_an_attempt_whose_proof_is_out_goes_on_from_the_new_address() -> None:
    """East has an SA of it and answers to where it was asked from; it learns where west is now."""
    pair = roaming(dpd_delay=5.0, retransmit_timeout=60.0)
    silenced(pair)
    core = pair.west.pluto.core
    hide(pair, ExchangeType.INFORMATIONAL, response=True)
    pair.net.cut.clear()
    assert pair.run(10.0, lambda: any(ike.machine.proving for ike in core.states.ikes.values()))
    hide(pair, ExchangeType.IKE_AUTH, response=True)
    assert pair.run(5.0, lambda: len(pair.east.pluto.core.states.children) == 2)
    move(pair.west, ELSEWHERE)
    moved = pair.net.now
    pair.run(3.0)
    pair.net.blocks = lambda packet: False
    pair.run(30.0)
    assert sources(pair, moved) == {ELSEWHERE}
    for host in (pair.west, pair.east):
        assert len(host.pluto.core.states.ikes) == 1 and len(host.klips.sas) == 2
    (ike,) = pair.east.pluto.core.states.ikes.values()
    assert str(ike.machine.remote.address) == ELSEWHERE and outer(pair.east, Direction.OUT) == {f"{EAST} {ELSEWHERE}"}
    chat(pair, 0.5)
    pair.run(1.0)
    assert pair.agreed() and pair.missing() == []
    pair.sane()


@pytest.mark.parametrize("address", (WEST, ELSEWHERE))
def test_the_first_attempt_follows_the_address(address: str) -> None:
    pair = make_pair(1)
    right = end(EAST, EAST_NET, "@east")
    pair.west.load(conn("net-net", end("%defaultroute", WEST_NET, "@west"), right))
    pair.east.load(conn("net-net", end("%any", WEST_NET, "@west"), right))
    pair.net.cut.add(pair.east.address)
    pair.west.request("initiate", name="net-net")
    pair.run(20.0)
    gone(pair.west)
    pair.run(20.0)
    pair.net.cut.clear()
    move(pair.west, address)
    assert pair.run(1.0, pair.up)
    pair.sane()


def test_without_an_address_traffic_waits() -> None:
    pair = roaming()
    spis = set(pair.west.klips.by_spi)
    gone(pair.west)
    (eroute,) = pair.west.klips.eroutes.values()
    assert eroute.target is Shunt.HOLD and "net-net" in pair.west.guards
    held = [pair.send(pair.west, WEST_HOST, EAST_HOST) for _ in range(5)]
    pair.run(10.0)
    move(pair.west, ELSEWHERE)
    pair.run(3.0)
    assert all(inner in pair.east.klips.delivered for inner in held)
    chat(pair, 0.5)
    assert pair.missing() == [] and set(pair.west.klips.by_spi) == spis
    gone(pair.west)
    pair.run(2.0)
    move(pair.west, ELSEWHERE)
    chat(pair, 0.5)
    pair.run(2.0)
    assert pair.missing() == [] and set(pair.west.klips.by_spi) == spis, "the same address again"
    pair.sane()


@pytest.mark.parametrize("address", (WEST, ELSEWHERE))
def test_away_for_too_long_ends_the_sas_and_begins_anew(address: str) -> None:
    pair = roaming(dpd_delay=5.0, retransmit_timeout=10.0)
    gone(pair.west)
    pair.run(60.0)
    assert not pair.west.klips.sas and "net-net" in pair.west.guards
    move(pair.west, address)
    assert pair.run(5.0, lambda: pair.up() and pair.agreed())
    chat(pair, 0.2)
    pair.run(1.0)
    assert pair.missing() == []
    pair.sane()


def test_behind_a_nat_and_out_again() -> None:
    pair = roaming()
    assert all(sa.encap for sa in pair.west.klips.sas.values()), "two of ours prefer UDP"
    box = Nat(ip_address(OUTSIDE), pair.net)
    box.serve(ip_address("192.168.7.2"))
    move(pair.west, "192.168.7.2")
    pair.run(2.0)
    assert outer(pair.east, Direction.OUT) == {f"{EAST} {OUTSIDE}"}
    (ike,) = pair.west.pluto.core.states.ikes.values()
    assert ike.machine.nat_here and pair.run(30.0, lambda: pair.west.keepalives > 0)
    chat(pair, 0.5)
    move(pair.west, WEST)
    pair.run(2.0)
    assert not ike.machine.nat_here and outer(pair.east, Direction.OUT) == {f"{EAST} {WEST}"}
    count = pair.west.keepalives
    chat(pair, 0.5)
    pair.run(60.0)
    assert pair.west.keepalives == count and pair.missing() == []
    pair.sane()


def test_after_a_rekeying_by_the_other_end_the_same_end_decides() -> None:
    pair = roaming(ike_lifetime=40.0, rekey_margin=10.0, rekey_fuzz=0.0)
    (old,) = pair.east.pluto.core.states.ikes.values()
    pair.east.pluto.brain.lifetimes._rekey_ike(old)
    pair.east.post(pair.east.network())
    pair.run(2.0)
    move(pair.west, ELSEWHERE)
    pair.run(2.0)
    chat(pair, 0.2)
    assert pair.missing() == []
    assert outer(pair.east, Direction.OUT) == {f"{EAST} {ELSEWHERE}"}


def test_the_responders_other_address_is_found_when_the_first_falls_silent() -> None:
    pair = make_pair(1)
    second = ip_address("198.51.100.99")
    pair.east.extra = (second,)
    pair.net.attach(second, pair.east.receive)
    pair.east.post(pair.east.network())
    values = {"mobike": True, "dpd_delay": 5.0, "retransmit_timeout": 30.0}
    left, right = end(WEST, WEST_NET, "@west"), end(EAST, EAST_NET, "@east")
    pair.west.load(conn("net-net", left, right, **values))
    pair.east.load(conn("net-net", left, right, **values))
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, pair.up)
    spis = set(pair.west.klips.by_spi)
    pair.net.hosts.pop(ip_address(EAST))
    assert pair.run(60.0, lambda: outer(pair.west, Direction.OUT) == {f"{WEST} {second}"})
    pair.run(2.0)
    chat(pair, 0.2)
    assert pair.missing() == [] and set(pair.west.klips.by_spi) == spis
    assert str(pair.west.pluto.core.conns.named["net-net"].peer) == str(second)
    pair.east.say("terminate", name="net-net")
    pair.run(1.0)
    assert str(pair.west.pluto.core.conns.named["net-net"].peer) == EAST, "the next attempt goes where ipsec.conf says"
    pair.sane()


def test_a_host_without_a_client_of_its_own_begins_anew() -> None:
    """Its old address is what the SAs are about: they cannot move."""
    pair = make_pair(1)
    right = end(EAST, EAST_NET, "@east")
    pair.west.load(conn("net-net", end("%defaultroute", "", "@west"), right, mobike=True))
    pair.east.load(conn("net-net", end("%any", "", "@west"), right, mobike=True))
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, pair.up)
    spis = set(pair.west.klips.by_spi)
    move(pair.west, ELSEWHERE)
    assert pair.run(30.0, lambda: pair.west.up() and pair.agreed() and not spis & set(pair.west.klips.by_spi))
    assert {str(key.src) for key in pair.west.klips.eroutes} == {f"{ELSEWHERE}/32"}
    pair.sane()


@pytest.mark.parametrize("who", ("west", "east"))
def test_a_peer_without_mobike(who: str) -> None:
    """Then a new address means a new negotiation, as ever."""
    pair = make_pair(1)
    right = end(EAST, EAST_NET, "@east")
    pair.west.load(conn("net-net", end("%defaultroute", WEST_NET, "@west"), right, mobike=who == "west"))
    pair.east.load(conn("net-net", end("%any", WEST_NET, "@west"), right, mobike=who == "east"))
    pair.west.request("initiate", name="net-net")
    assert pair.run(10.0, pair.up)
    spis = set(pair.west.klips.by_spi)
    move(pair.west, ELSEWHERE)
    assert pair.run(60.0, lambda: pair.west.up() and pair.agreed() and not spis & set(pair.west.klips.by_spi))
