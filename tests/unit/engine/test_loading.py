# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptions come, are replaced and go."""

from __future__ import annotations

from dataclasses import replace

from openswan.config.plain import connection_to_plain
from openswan.policy.connection import ShuntPolicy, Startup
from tests.sim.net import Net
from tests.sim.pair import WEST, SimHost, tunnel
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
