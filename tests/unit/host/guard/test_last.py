# SPDX-License-Identifier: GPL-2.0-or-later
"""Which devices the last guard stands on; tests/netns/test_lastguard.py has it stop packets."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from openswan.engine.effects import GuardEntry
from openswan.host.guard.guard import Guard
from openswan.host.guard.last import in_force, physical
from openswan.policy.selector import FlowKey

Namespace = Callable[[Callable[[], Any]], Any]


def ip(*words: str) -> None:
    subprocess.run(["ip", "link", *words], check=True, capture_output=True)


def test_devices_that_lead_out_have_it_and_no_others(namespace: Namespace) -> None:
    def work() -> None:
        for name, peer in (("wan", "wan.far"), ("port", "ipsec7"), ("ipsec0", "mast1")):
            ip("add", name, "type", "veth", "peer", "name", peer)
        ip("add", "br0", "type", "bridge")
        ip("set", "port", "master", "br0")
        assert physical() == {"wan", "wan.far", "br0"}
        guard = Guard.open()
        assert in_force() == physical() and guard.check()
        told = guard.seen()
        assert (told.how, told.last_on) == ("nft", ("br0", "wan", "wan.far"))
        assert told.last_dropped.keys() == {"last4", "last6"} and not told.dropped.keys() & told.last_dropped.keys()
        ip("del", "wan")
        ip("add", "eth0.7", "type", "veth", "peer", "name", "ipsec1")
        ip("set", "port", "nomaster")
        guard.follow_devices()
        assert in_force() == physical() == {"br0", "eth0.7", "port"} and guard.check()
        ip("set", "eth0.7", "name", "wan")
        ip("add", "eth0.7", "type", "veth", "peer", "name", "ipsec2")
        ip("set", "port", "master", "br0")
        guard.follow_devices()
        assert in_force() == physical() == {"br0", "eth0.7", "wan"} and guard.check()
        guard.close(keep=True)
        assert in_force() == physical()
        Guard.open().close(keep=False)
        assert in_force() == frozenset()

    namespace(work)


def test_rules_are_there_while_their_sets_hold_something(namespace: Namespace) -> None:
    def rules(chain: str) -> list[str]:
        shown = subprocess.run(["nft", "list", "chain", "netdev", "openswan", chain], capture_output=True, check=True)
        return [line.strip() for line in shown.stdout.decode().splitlines() if "counter" in line]

    def entry(*ports: int) -> GuardEntry:
        return GuardEntry(FlowKey(ip_network("10.1.0.0/24"), ip_network("10.2.0.0/24"), *ports), "ipsec0")

    def work() -> None:
        guard = Guard.open()
        assert rules("last4") == [] and guard.check()
        guard.set("net", (entry(),))
        assert rules("last4") == ['ip daddr . ip saddr @rl4 counter name "last4" drop'] and guard.check()
        guard.set("port", (entry(6, 0, 80),))
        assert [line.split("@")[1].split()[0] for line in rules("last4")] == ["rl4", "port4", "frag4"]
        assert len(rules("last4-quote")) == 2 and rules("last6") == [] and guard.check()
        guard.delete("net")
        guard.delete("port")
        assert rules("last4") == rules("last4-quote") == [] and guard.check()
        guard.close(keep=False)

    namespace(work)
