# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients go where their gateway sends them (RFC 5685): only where they may, and not for ever."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.engine.settings import Settings
from tests.sim.net import Net
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, Inner, SimHost, conn, end, psk

NORTH, SOUTH = "203.0.113.9", "203.0.113.10"
HERE, THERE = ip_address("10.1.0.5"), ip_address("10.2.0.6")


@dataclass
class World:
    """A client, the gateway it knows, and two others with the same identity and networks."""

    net: Net
    west: SimHost
    gateways: dict[str, SimHost]

    def run(self, seconds: float, at: str = "") -> bool:
        """Let time pass, at most until the tunnel stands there."""
        return self.net.run(self.net.now + seconds, lambda: bool(at) and self.at(at))

    def at(self, where: str) -> bool:
        """Does the tunnel lead there, and nowhere else?"""
        others = [gateway for address, gateway in self.gateways.items() if address != where]
        there = self.gateways[where]
        return self.west.up() and there.up() and not any(other.klips.sas for other in others) and self.flows(there)

    def flows(self, there: SimHost) -> bool:
        return bool({c.said_out.spi for c in self.west.pluto.core.states.children.values()} & set(there.klips.by_spi))

    def said(self, text: str) -> bool:
        return any(text in line for line in self.west.lines)


def world(accept: bool = True, allowed: tuple[str, ...] = (), settings: Settings | None = None, **server: Any) -> World:
    net = Net(1)
    west = SimHost(net, "west", WEST, 1, psk("@west", "@east"))
    west.load(
        conn(
            "net-net", end(WEST, WEST_NET, "@west"), end(EAST, EAST_NET, "@east"), accept_redirect=accept,
            accept_redirect_to=tuple(map(ip_address, allowed)),
        )
    )  # fmt: skip
    gateways = {}
    for name, address in (("east", EAST), ("north", NORTH), ("south", SOUTH)):
        own = settings if address == EAST else None
        host = gateways[address] = SimHost(net, name, address, 1, psk("@east", "@west"), own)
        more = server if address == EAST else {}
        host.load(conn("net-net", end(WEST, WEST_NET, "@west"), end(address, EAST_NET, "@east"), **more))
    return World(net, west, gateways)


def up(made: World, where: str, seconds: float = 15.0) -> World:
    made.west.request("initiate", name="net-net")
    assert made.run(seconds, where), made.west.lines
    inner = Inner(HERE, THERE, 77)
    made.west.klips.send(inner)
    made.run(1.0)
    assert inner in made.gateways[where].klips.delivered
    made.west.sane()
    return made


def always(*targets: str, when: str = "yes", **more: Any) -> Settings:
    return Settings(redirect=when, redirect_to=tuple(map(ip_address, targets)), **more)


def test_at_the_first_message() -> None:
    made = up(world(settings=always(NORTH)), NORTH)
    assert made.said(f"{EAST} redirects us to {NORTH}")
    assert not made.gateways[EAST].pluto.core.states.ikes


def test_when_it_has_proved_itself() -> None:
    made = up(world(send_redirect="yes", redirect_to=(ip_address(NORTH),)), NORTH)
    made.run(1.0)
    assert not made.gateways[EAST].pluto.core.states.children


def test_at_any_time() -> None:
    made = up(world(), EAST)
    assert made.gateways[EAST].say("redirect", to=[NORTH], name="net-net") == [(2, "1 peers redirected")]
    assert made.run(10.0, NORTH)
    assert made.gateways[NORTH].say("redirect", to=[SOUTH]) == [(2, "1 peers redirected")]
    assert made.run(10.0, SOUTH)


def test_by_hand_to_nowhere() -> None:
    made = up(world(), EAST)
    east = made.gateways[EAST]
    assert "whack error" in east.say("redirect", to=["north"])[0][1]
    assert "no connection named" in east.say("redirect", to=[NORTH], name="other")[0][1]
    assert east.say("redirect", to=["2001:db8::1"]) == [(2, "0 peers redirected")]
    assert made.at(EAST)


def test_several_gateways_take_turns() -> None:
    seen = set()
    made = world(settings=always(NORTH, SOUTH))
    for _ in range(4):
        made.west.request("initiate", name="net-net")
        made.run(5.0)
        seen |= {where for where in (NORTH, SOUTH) if made.at(where)}
        made.west.say("terminate", name="net-net")
        made.run(400.0)
    assert seen == {NORTH, SOUTH}


@pytest.mark.parametrize(
    ("accept", "allowed", "why"),
    [(False, (), ""), (True, (SOUTH,), "it is not in accept-redirect-to=")],
)
def test_where_it_may_not_go_it_does_not(accept: bool, allowed: tuple[str, ...], why: str) -> None:
    made = up(world(accept, allowed), EAST)
    made.gateways[EAST].say("redirect", to=[NORTH])
    made.run(5.0)
    assert made.at(EAST) and (not why or made.said(why))


def test_where_it_may_go() -> None:
    up(world(True, (SOUTH, NORTH), always(NORTH)), NORTH)


@pytest.mark.parametrize("target", [WEST, "224.0.0.1", "0.0.0.0", EAST])
def test_where_no_gateway_can_be(target: str) -> None:
    made = up(world(), EAST)
    made.gateways[EAST].pluto.brain.redirects._next = lambda *_: ip_address(target)  # type: ignore[method-assign]
    made.gateways[EAST].say("redirect", to=[NORTH])
    made.run(5.0)
    assert made.at(EAST) and made.said(f"not going to {target}")


def test_an_endless_chain_ends() -> None:
    made = world(settings=always(NORTH))
    made.gateways[NORTH].pluto.core.settings = always(SOUTH)
    made.gateways[SOUTH].pluto.core.settings = always(NORTH)
    # Neither sends it back to where it comes from at once, so the first one has to be in the circle.
    made.gateways[NORTH].pluto.core.settings = always(EAST, SOUTH)
    made.gateways[SOUTH].pluto.core.settings = always(EAST, NORTH)
    made.gateways[EAST].pluto.core.settings = always(NORTH, SOUTH)
    made.west.request("initiate", name="net-net")
    made.run(60.0)
    assert made.said("5 times within 300 seconds are enough")
    times = made.west.pluto.brain.redirects.followed["net-net"]
    assert len(times) == 5
    assert sum("redirects us to" in line for line in made.west.lines) <= 6


def test_a_gateway_that_is_not_there_leads_back() -> None:
    made = world(settings=always("203.0.113.99"))
    made.west.request("initiate", name="net-net")
    made.run(2.0)
    assert made.said("redirects us to 203.0.113.99")
    made.gateways[EAST].pluto.core.settings = Settings()
    assert made.run(100.0, EAST)
    assert made.west.pluto.core.conns.named["net-net"].redirected is None


def test_going_down_by_hand_forgets_it() -> None:
    made = up(world(settings=always(NORTH)), NORTH)
    made.west.say("terminate", name="net-net")
    made.run(5.0)
    made.gateways[EAST].pluto.core.settings = Settings()
    up(made, EAST)


def test_only_when_there_is_much_to_do() -> None:
    up(world(settings=always(NORTH, when="auto")), EAST)
    up(world(settings=always(NORTH, when="auto", force_busy=True)), NORTH)
    up(world(send_redirect="auto", redirect_to=(ip_address(NORTH),)), EAST)
    busy = Settings(force_busy=True)
    up(world(settings=busy, send_redirect="auto", redirect_to=(ip_address(NORTH),)), NORTH)


def test_who_cannot_be_sent_is_served() -> None:
    up(world(accept=False, settings=always(NORTH)), EAST)
    up(world(accept=False, send_redirect="yes", redirect_to=(ip_address(NORTH),)), EAST)


def test_a_conn_that_is_deleted_leaves_nothing() -> None:
    made = up(world(settings=always(NORTH)), NORTH)
    made.west.say("delete", name="net-net")
    assert not made.west.pluto.brain.redirects.followed
