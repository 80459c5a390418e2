# SPDX-License-Identifier: GPL-2.0-or-later
"""First packets and unknown ESP: what starts a negotiation, and what does not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from openswan.base.address import Endpoint
from openswan.base.said import Shunt
from openswan.engine.acquire import MOST_FORGONE, UNKNOWN_SPI_PEERS
from openswan.plane.events import Acquire, UnknownSpi
from openswan.policy.connection import ShuntPolicy
from openswan.policy.selector import FlowKey
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, Pair, make_pair, tunnel

TRAP = FlowKey(ip_network(WEST_NET), ip_network(EAST_NET))
FLOW = FlowKey(ip_network("10.1.0.5"), ip_network("10.2.0.6"))


def routed(**more: object) -> Pair:
    pair = make_pair(1)
    pair.west.load(tunnel(**more)[0])
    pair.west.say("route", name="net-net")
    return pair


def test_many_acquires_one_negotiation_and_one_hold() -> None:
    pair = routed()
    for n in range(50):
        flow = replace(FLOW, src=ip_network(f"10.1.0.{n}"))
        pair.west.post(Acquire(flow, TRAP, "ipsec0", "net-net"))
    assert pair.west.events.count("acquire") == 1
    assert len(pair.west.pluto.core.states.ikes) == 1
    assert pair.west.klips.eroutes[TRAP].target is Shunt.HOLD


def test_the_negotiation_shunt_may_pass() -> None:
    pair = routed(negotiation_shunt=ShuntPolicy.PASS)
    pair.west.post(Acquire(FLOW, TRAP, "ipsec0", "net-net"))
    assert pair.west.klips.eroutes[TRAP].target is Shunt.PASS


def test_an_acquire_of_nobody_is_logged_and_nothing_else() -> None:
    pair = routed()
    pair.west.post(Acquire(FLOW, replace(TRAP, dst=ip_network("10.99.0.0/16")), "ipsec0", "gone"))
    assert pair.west.events[-1] == "acquire-orphan"
    assert pair.west.empty()


def test_what_cannot_be_initiated_says_why() -> None:
    pair = routed()
    pair.west.say("unlisten")
    pair.west.post(Acquire(FLOW, TRAP, "ipsec0", "net-net"))
    assert "need --listen" in pair.west.lines[-1]
    assert pair.west.empty()


def unknown(remote: str = EAST) -> UnknownSpi:
    return UnknownSpi(Endpoint(ip_address(WEST), 4500), Endpoint(ip_address(remote), 4500), 0x1234)


def test_unknown_esp_starts_only_what_is_wanted_and_only_now_and_then() -> None:
    pair = make_pair(1)
    pair.west.load(tunnel(keying_tries=1, retransmit_timeout=1.0)[0])
    pair.west.post(unknown())
    assert pair.west.empty(), "merely loaded"
    pair.west.say("route", name="net-net")
    pair.west.post(unknown())
    assert pair.west.events.count("unknown-spi") == 1
    pair.run(3.0)
    assert pair.west.empty()
    pair.west.post(unknown())
    assert pair.west.events.count("unknown-spi") == 1
    pair.run(3.0)
    pair.west.post(unknown())
    assert pair.west.events.count("unknown-spi") == 2


def test_strangers_esp_is_not_remembered() -> None:
    pair = routed()
    for n in range(1000):
        pair.west.post(unknown(f"203.0.{n >> 8}.{n & 255}"))
    assert len(pair.west.pluto.brain.acquires.reacted) <= UNKNOWN_SPI_PEERS
    assert pair.west.empty()


def test_of_sas_that_were_taken_down_the_latest_are_remembered() -> None:
    pair = routed()
    acquires = pair.west.pluto.brain.acquires
    for spi in (0x1234, *range(0x2000, 0x2000 + MOST_FORGONE - 1)):
        acquires.forgo(spi)
    pair.west.post(unknown())
    assert pair.west.empty()
    acquires.forgo(0x9999)
    assert len(acquires.forgone) == MOST_FORGONE
    pair.west.post(unknown())
    assert not pair.west.empty()
