# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptions come, are replaced and go."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network

from openswan.base.said import Shunt
from openswan.config.plain import connection_to_plain
from openswan.policy.connection import Auth, ShuntPolicy, Startup
from tests.sim.net import Net
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, SimHost, end, make_pair, tunnel
from tests.unit.engine.test_groups import eroutes, group


def test_a_replaced_conn_keeps_its_guard() -> None:
    it = SimHost(Net(0), "west", WEST)
    policy = tunnel()[0]
    it.load(policy)
    it.say("route", name="net-net")
    before = len(it.klips.history)
    it.say("add", connection=connection_to_plain(replace(policy, metric=5)), replace=True)
    assert "net-net" in it.guards and it.pluto.core.conns.named["net-net"].policy.metric == 5
    assert len(it.klips.history) > before
    it.say("delete", name="net-net")
    assert it.guards == {} and it.klips.eroutes == {}
    it.sane()


def test_a_replaced_group_keeps_its_lines_in_force() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.policies = {"block": "10.0.0.1\n"}
    it.load(policy := group("block", ShuntPolicy.REJECT, startup=Startup.ROUTE))
    it.say("route", name="block")
    before = len(it.klips.history)
    it.say("replace", connection=connection_to_plain(policy))
    assert it.klips.history[before:] == [] and len(eroutes(it)) == 1 == len(it.guards)
    it.say("replace", connection=connection_to_plain(replace(policy, startup=Startup.ADD)))
    assert it.pluto.core.conns.named["block"].on_demand is False
    it.sane()


def test_what_says_the_same_stays_as_it_is() -> None:
    pair = make_pair()
    west, policy = pair.west, tunnel()[0]
    west.load(policy)
    pair.east.load(tunnel()[1])
    west.request("initiate", name="net-net")
    assert pair.run(5, pair.up)
    before = len(west.klips.history)
    assert west.say("add", connection=connection_to_plain(policy), renew=True) == [(0, '"net-net" is as it was')]
    assert len(west.klips.history) == before and west.up()
    started = replace(policy, startup=Startup.ROUTE)
    answer = west.say("add", connection=connection_to_plain(started), renew=True)
    assert answer == [(0, '"net-net" goes on; auto=route')] and len(west.klips.history) == before
    assert west.pluto.core.conns.named["net-net"].on_demand
    signed = replace(started, auth=Auth.RSASIG)
    ((code, text),) = west.say("add", connection=connection_to_plain(signed), renew=True)
    assert code == 28 and text.startswith('"net-net" stays as it was: unable to locate my private key')
    assert len(west.klips.history) == before and west.up()
    changed = replace(started, metric=5)
    assert west.say("add", connection=connection_to_plain(changed), renew=True)[0][0] == 2
    assert "net-net" in west.guards, "it was wanted, so it is guarded on and comes up again"
    assert not west.up() and pair.run(10, pair.up)
    assert west.pluto.core.conns.named["net-net"].policy.metric == 5
    west.sane()


def test_what_is_new_comes_up_as_its_auto_says() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.say("listen")
    it.say("add", connection=connection_to_plain(replace(tunnel()[0], startup=Startup.ROUTE)), renew=True)
    assert it.pluto.core.conns.named["net-net"].on_demand and "net-net" in it.guards
    it.policies = {"block": "10.0.0.1\n"}
    it.say("add", connection=connection_to_plain(group("block", ShuntPolicy.REJECT, startup=Startup.ROUTE)), renew=True)
    assert any(name.startswith("block#") for name in it.guards)
    it.sane()


def test_what_the_configuration_has_no_more_goes_unless_it_is_in_use() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.policies = {"block": "10.0.0.1\n"}
    it.load(tunnel("idle")[0], tunnel("routed")[0], group("block", ShuntPolicy.REJECT, startup=Startup.ROUTE))
    it.say("route", name="routed")
    it.say("route", name="block")
    lines = set(it.pluto.core.conns.named) - {"idle", "routed", "block"}
    assert it.say("retain", names=[]) == [(0, "routed"), (0, "block")]
    assert set(it.pluto.core.conns.named) == {"routed", "block", *lines}
    assert it.say("retain", names="block") == it.say("retain") == [(37, "a list of names is wanted")]
    it.sane()


def test_what_a_replaced_conn_makes_no_more_goes_and_what_came_instead_is_routed() -> None:
    it = SimHost(Net(0), "west", WEST)
    pairs = [replace(tunnel(f"net/1x{n}")[0], aliases=("net",)) for n in (1, 2)]
    pairs[1] = replace(pairs[1], right=end(EAST, "10.3.0.0/16", "@east"))
    it.load(*pairs)
    it.say("route", name="net")
    assert set(it.guards) == {"net/1x1", "net/1x2"}
    whole = replace(tunnel("net")[0], startup=Startup.ROUTE)
    it.say("add", connection=connection_to_plain(whole), replace=True)
    assert it.say("prune", name="net", names=["net"]) == []
    assert set(it.guards) == set(it.pluto.core.conns.named) == {"net"}
    assert [key.dst for key, row in it.klips.eroutes.items() if row.target is Shunt.TRAP] == [ip_network(EAST_NET)]
    it.sane()


def test_pairs_that_stay_are_not_begun_for_those_that_go() -> None:
    """What has come in the place of a pair is wanted as it was; what the operator has taken down stays down."""
    it = SimHost(Net(0), "west", WEST)
    pairs = [
        replace(tunnel(f"net/1x{n}")[0], aliases=("net",), right=end(EAST, f"10.{n + 1}.0.0/16", "@east"))
        for n in (1, 2, 3)
    ]
    it.load(*pairs)
    it.say("route", name="net/1x2")
    it.say("prune", name="net", names=["net/1x1", "net/1x3"], fresh=["net/1x3"])
    assert set(it.guards) == {"net/1x3"} and set(it.pluto.core.conns.named) == {"net/1x1", "net/1x3"}
    it.load(tunnel("net/other")[0])
    it.say("prune", name="net", names=[])
    assert set(it.pluto.core.conns.named) == {"net/other"}, "no pair of net"
    it.sane()


def test_what_pairs_protect_is_told_by_name() -> None:
    it = SimHost(Net(0), "west", WEST)
    it.load(tunnel("net/1x2")[0], tunnel("lone")[0])
    ((code, text),) = it.say("pairs")
    assert code == 0 and json.loads(text) == {"net/1x2": [WEST_NET, EAST_NET]}


def test_whether_a_description_would_be_refused_is_told_without_touching_anything() -> None:
    pair = make_pair()
    west, policy = pair.west, tunnel()[0]
    west.load(policy)
    pair.east.load(tunnel()[1])
    west.request("initiate", name="net-net")
    assert pair.run(5, pair.up)
    before = len(west.klips.history)
    signed, changed = replace(policy, auth=Auth.RSASIG), replace(policy, metric=5)
    ((code, _),) = west.say("add", connection=connection_to_plain(signed), check=True)
    assert code == 28
    assert west.say("add", connection=connection_to_plain(changed), check=True) == []
    assert west.say("add", connection=connection_to_plain(tunnel("new")[0]), check=True) == []
    assert len(west.klips.history) == before and set(west.pluto.core.conns.named) == {"net-net"}
    assert west.pluto.core.conns.named["net-net"].policy == policy
