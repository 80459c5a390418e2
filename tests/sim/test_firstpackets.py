# SPDX-License-Identifier: GPL-2.0-or-later
"""What comes by a new pair is let in when its answers have a route: until then it waits, for some seconds at most.

west 10.1.0.0/16 === east 10.2.0.0/16; an answer without a route would meet the guard
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from openswan.engine.events import EngineEvent, UpdownDone
from openswan.engine.settings import ADMIT
from openswan.plane.commands import Direction
from tests.sim.net import Faults
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, Inner, Pair, SimHost, conn, end, make_pair, psk, tunnel
from tests.sim.test_life import EAST_HOST, WEST_HOST
from tests.sim.test_mobility import ELSEWHERE, move
from tests.sim.v1 import v1_tunnel

VERSIONS = pytest.mark.parametrize("ends", [tunnel, v1_tunnel], ids=["ikev2", "ikev1"])
Ends = Callable[..., tuple[object, object]]


class Arrivals(list[Inner]):
    """Packets delivered, and when."""

    def __init__(self, host: SimHost) -> None:
        super().__init__()
        self.host = host
        self.times: list[float] = []

    def append(self, inner: Inner) -> None:
        super().append(inner)
        self.times.append(self.host.net.now)


class Watch:
    """When a host's packets come in, and when its updown commands have ended."""

    def __init__(self, host: SimHost) -> None:
        self.arrivals = host.klips.delivered = Arrivals(host)
        self.ended: list[float] = []
        real = host.post

        def post(event: EngineEvent) -> None:
            if isinstance(event, UpdownDone):
                self.ended.append(host.net.now)
            real(event)

        host.post = post  # type: ignore[method-assign]


def made(ends: Ends, delay: float, **more: object) -> tuple[Pair, Watch]:
    """Gateways with their conn; each of west's updown commands takes a while."""
    pair = make_pair(1, Faults(delay=(0.01, 0.01)))
    west, east = ends(**more)
    pair.west.load(west)  # type: ignore[arg-type]
    pair.east.load(east)  # type: ignore[arg-type]
    pair.west.updown_delay = delay
    return pair, Watch(pair.west)


def meets(pair: Pair) -> None:
    """East sends as soon as it can."""
    assert pair.run(5.0, pair.east.up), pair.east.lines
    for _ in range(10):
        pair.send(pair.east, EAST_HOST, WEST_HOST)
        pair.run(0.001)


def inward(host: SimHost) -> int:
    return sum(sa.direction is Direction.IN for sa in host.klips.sas.values())


@VERSIONS
def test_the_initiator_lets_nothing_in_before_there_is_a_route_for_the_answer(ends: Ends) -> None:
    pair, watch = made(ends, 0.08)
    pair.west.request("initiate", name="net-net")
    meets(pair)
    assert not watch.arrivals, "there is no route yet"
    pair.run(3.0)
    up, _, route = watch.ended
    assert watch.arrivals.times[0] == route > up and not pair.missing()
    pair.sane()


@VERSIONS
def test_where_both_begin_at_once_nothing_is_let_in_by_either_pair_before_the_route(ends: Ends) -> None:
    pair, watch = made(ends, 0.08)
    pair.east.updown_delay = 0.001
    for host in (pair.west, pair.east):
        host.request("initiate", name="net-net")
    meets(pair)
    pair.run(3.0)
    assert watch.arrivals and watch.arrivals.times[0] >= watch.ended[2] and not pair.missing()
    assert len(watch.ended) == 3, "one route for both"
    pair.sane()


@VERSIONS
def test_commands_that_take_long_keep_nothing_out_for_longer_than_it_is_kept(ends: Ends) -> None:
    pair, watch = made(ends, 20.0)
    pair.west.request("initiate", name="net-net")
    meets(pair)
    assert not watch.arrivals
    pair.run(ADMIT)
    assert len(watch.arrivals) == 10 and not watch.ended and not pair.missing()
    for _ in range(30):
        pair.send(pair.east, EAST_HOST, WEST_HOST)
        pair.send(pair.west, WEST_HOST, EAST_HOST)
        pair.run(1.0)
    assert not pair.missing() and not any("blocked" in line for line in pair.west.lines + pair.east.lines)
    pair.run(60.0)
    assert pair.up() and pair.agreed()
    pair.sane()


@VERSIONS
def test_where_there_is_a_route_nothing_waits_for_commands(ends: Ends) -> None:
    pair, watch = made(ends, 0.0)
    pair.west.say("route", name="net-net")
    del watch.ended[:]
    pair.west.updown_delay = 0.5
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    meets(pair)
    pair.run(0.2)
    assert len(watch.arrivals) == 10 and not watch.ended
    pair.run(3.0)
    assert not pair.missing() and pair.agreed()
    pair.sane()


@pytest.mark.parametrize("opens", [False, True])
def test_a_firewall_that_a_command_opens_is_waited_for_as_well(opens: bool) -> None:
    pair = make_pair(1, Faults(delay=(0.01, 0.01)))
    left, right = end(WEST, WEST_NET, "@west", firewall=opens), end(EAST, EAST_NET, "@east")
    pair.west.load(conn("net-net", left, right))
    pair.east.load(conn("net-net", left, right))
    watch = Watch(pair.west)
    pair.west.say("route", name="net-net")
    del watch.ended[:]
    pair.west.updown_delay = 0.3
    pair.send(pair.west, WEST_HOST, EAST_HOST)
    meets(pair)
    pair.run(2.0)
    assert (watch.arrivals.times[0] >= watch.ended[0]) is opens and not pair.missing()


@VERSIONS
@pytest.mark.parametrize("delay", [0.3, 3.0])
@pytest.mark.parametrize("first", ["west", "east", "both"])
def test_traps_at_both_ends_let_nothing_in_before_the_firewall_is_open(ends: Ends, delay: float, first: str) -> None:
    """The commands do not wait for the first packet, which waits for them: at the end that called, and at the other."""
    pair = make_pair(1, Faults(delay=(0.01, 0.01)))
    watches = []
    for host, mine in zip((pair.west, pair.east), ends(), strict=True):
        both = replace(mine, left=replace(mine.left, firewall=True), right=replace(mine.right, firewall=True))
        host.load(both)
        host.say("route", name="net-net")
        host.updown_delay = delay
        watches.append(Watch(host))
    for _ in range(20):
        if first in ("west", "both"):
            pair.send(pair.west, WEST_HOST, EAST_HOST)
        if first in ("east", "both"):
            pair.send(pair.east, EAST_HOST, WEST_HOST)
        pair.run(0.1)
    pair.run(8.0)
    assert not pair.missing() and pair.agreed()
    for watch in watches:
        assert len(watch.ended) == 1 and (not watch.arrivals or watch.arrivals.times[0] >= watch.ended[0])
    pair.sane()


@VERSIONS
@pytest.mark.parametrize("by", ["west", "east"])
def test_a_pair_that_ends_before_its_route_is_there_leaves_nothing(ends: Ends, by: str) -> None:
    pair, watch = made(ends, 0.3)
    pair.west.request("initiate", name="net-net")
    meets(pair)
    assert not watch.arrivals
    getattr(pair, by).request("terminate", name="net-net")
    pair.run(60.0, lambda: pair.east.empty() and pair.west.empty())
    pair.run(2.0)
    pair.sane()
    if by == "west":
        assert pair.west.empty() and not pair.west.klips.expected
        assert pair.west.updowns[-1] == "down-client net-net", pair.west.updowns


@VERSIONS
def test_commands_that_fail_leave_nothing_that_receives(ends: Ends) -> None:
    pair, watch = made(ends, 0.1)
    pair.west.updown_status = lambda env: int(env["PLUTO_VERB"].startswith("route"))
    pair.west.request("initiate", name="net-net")
    meets(pair)
    assert not watch.arrivals
    assert pair.run(3.0, lambda: not inward(pair.west) and any("could not route" in it for it in pair.west.lines))
    pair.sane()


def test_what_moves_before_its_route_is_there_is_let_in_where_it_is() -> None:
    pair = make_pair(1, Faults(delay=(0.01, 0.01)), west_secrets=psk("@west", "@east"))
    right = end(EAST, EAST_NET, "@east")
    pair.west.load(conn("net-net", end("%defaultroute", WEST_NET, "@west"), right, mobike=True))
    pair.east.load(conn("net-net", end("%any", WEST_NET, "@west"), right, mobike=True))
    pair.west.updown_delay = 0.2
    pair.west.request("initiate", name="net-net")
    meets(pair)
    move(pair.west, ELSEWHERE, keep=True)
    pair.run(5.0)
    pair.send(pair.east, EAST_HOST, WEST_HOST)
    pair.run(2.0)
    assert pair.up() and not pair.missing()
    assert {str(pair.west.klips.encaps[said][1].address) for said, sa in pair.west.klips.sas.items()
            if sa.direction is Direction.IN} == {str(ip_address(ELSEWHERE))}  # fmt: skip
    pair.sane()
