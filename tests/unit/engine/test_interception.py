# SPDX-License-Identifier: GPL-2.0-or-later
"""For whom packets are stopped, and that those that wait hear what becomes of them.

10.1.0.0/16 --- west 192.0.2.1 === east 198.51.100.7
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from openswan.base.said import Said
from openswan.engine.effects import Decision, Intercept, Way
from openswan.engine.events import Intercepted, InterceptionSeen
from openswan.policy.connection import Auth, End, Host, HostKind, ShuntPolicy
from tests.sim.pair import EAST, WEST, SimHost, conn, end, make_pair
from tests.sim.test_groups import BLOCK, CLEAR_OR_PRIVATE, PERMISSIVE, ready
from tests.sim.test_oegateway import HOST, INSIDE, OTHER, gateways, lan, meets

STRANGER = "198.51.100.77"


def comes(host: SimHost, sender: str, to: str = WEST) -> None:
    """A packet in clear comes in from `sender`."""
    host.post(Intercepted(ip_address(to), ip_address(sender), inbound=True))


def stopped(host: SimHost, src: str, dst: str) -> None:
    """The host has stopped a packet of somebody behind it."""
    host.post(Intercepted(ip_address(src), ip_address(dst)))


def test_a_stopped_packet_gets_the_decision_of_its_pair() -> None:
    pair = gateways(HOST)
    stopped(pair.west, INSIDE, EAST)
    stopped(pair.west, OTHER, "203.0.113.9")
    assert pair.run(3.0, lambda: isinstance(meets(pair.west, INSIDE, EAST), Said))
    assert pair.west.decisions == [
        (INSIDE, EAST, Decision.HOLD),
        (OTHER, "203.0.113.9", Decision.LEAVE),
        (INSIDE, EAST, Decision.TUNNEL),
    ]
    # The kernel has forgotten: it is told again, and nothing is begun anew.
    stopped(pair.west, INSIDE, EAST)
    assert pair.west.decisions[-1] == (INSIDE, EAST, Decision.TUNNEL) and len(pair.west.decisions) == 4
    pair.west.say("terminate", name="private")
    pair.run(1.0)
    assert pair.west.decisions[-1] == (INSIDE, EAST, Decision.FORGET)
    pair.sane()


def test_the_status_tells_how_first_packets_are_met() -> None:
    pair = gateways(HOST)
    seen = InterceptionSeen("by NFQUEUE", {"held": 3, "dropped": 2, "overflows": 1})
    pair.west.post(seen)
    line = "first packets of hosts behind this one are met by NFQUEUE: 3 held, 2 dropped, 1 overflows"
    assert (0, line) in pair.west.say("status")
    assert pair.west.pluto.brain.interception.facts() == {"how": "by NFQUEUE", "held": 3, "dropped": 2, "overflows": 1}
    other = make_pair([], [])
    other.west.post(seen)
    assert not list(other.west.pluto.brain.interception.lines()), "no group is in force"
    assert other.west.pluto.brain.interception.facts() is None


@pytest.mark.parametrize(
    ("failure", "decision"),
    [(ShuntPolicy.PASS, Decision.PASS), (ShuntPolicy.DROP, Decision.DROP), (ShuntPolicy.REJECT, Decision.REFUSE)],
    ids=["pass", "drop", "reject"],
)
def test_without_a_tunnel_the_group_decides(failure: ShuntPolicy, decision: Decision) -> None:
    """What is refused is the packet engine's business: it answers."""
    pair = gateways(HOST, west=lan("10.1.0.0/16", failure))
    stopped(pair.west, INSIDE, "198.51.100.8")
    pair.run(3.5)
    assert pair.west.decisions[-1] == (INSIDE, "198.51.100.8", decision)


def test_the_plan_follows_lines_and_conns() -> None:
    pair = gateways(HOST)
    north, south = ip_network("192.0.2.0/24"), ip_network("198.51.100.0/24")
    assert pair.west.plan == Intercept(
        ((ip_network("10.0.0.0/8"), Way.CLOSED), (north, Way.CLOSED), (south, Way.CLOSED)),
        (ip_network("10.1.0.0/16"),),
        selves=(ip_network("10.0.0.0/8"), north, south),
    )
    assert pair.east.plan.own == (ip_network(f"{EAST}/32"),) and pair.east.plan.inside == ()
    net = conn("net", end(WEST, "10.1.0.0/16", "@west"), end(EAST, "10.2.0.0/16", "@east"))
    pair.west.load(net)
    assert pair.west.plan.others == ((ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16")),)
    pair.west.say("delete", name="net")
    assert pair.west.plan.others == ()
    far = End(Host(HostKind.OPPORTUNISTIC_GROUP))
    block = conn("block", end("%defaultroute", "10.1.0.0/16"), far, auth=Auth.NEVER, prospective=ShuntPolicy.DROP)
    ready(pair.west, block, private="192.0.2.0/24\n", block="192.0.2.0/28\n")
    assert pair.west.plan.refused == (ip_network("192.0.2.0/28"),), "nothing goes there, whoever has encrypted it"
    pair.west.say("delete", name="block")
    pair.west.policies["private"] = "192.0.2.0/24\n"
    pair.west.say("rereadgroups")
    assert [net for net, _ in pair.west.plan.nets] == [north]
    pair.west.say("unroute", name="private")
    assert pair.west.plan == Intercept()


def test_open_groups_and_those_that_look_for_nobody() -> None:
    pair = make_pair()
    ready(
        pair.west,
        PERMISSIVE,
        BLOCK,
        CLEAR_OR_PRIVATE,
        private_or_clear="192.0.2.0/24\n",
        block="198.51.100.0/24\n",
        clear_or_private="203.0.113.0/24\n",
    )
    ways = dict(pair.west.plan.nets)
    assert ways[ip_network("192.0.2.0/24")] is Way.OPEN
    assert ways[ip_network("198.51.100.0/24")] is ways[ip_network("203.0.113.0/24")] is Way.APART
