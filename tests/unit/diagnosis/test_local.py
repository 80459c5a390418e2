# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes on this host."""

from dataclasses import replace
from typing import Any

import pytest

from openswan.diagnosis.facts import Daemon, Facts, Link
from tests.unit.diagnosis.world import CONF, ME, codes, config, down, first, up


def machine(**wrong: Any) -> Facts:
    facts = up()
    return replace(facts, machine=replace(facts.machine, **wrong))


@pytest.mark.parametrize(
    ("facts", "code", "remedy"),
    [
        (machine(tun="No such device"), "no-tun", "modprobe tun"),
        (machine(owners={4500: "racoon (process 9)"}), "port-in-use", "stop racoon"),
        (machine(forwarding={4: False, 6: True}), "no-forwarding", "net.ipv4.ip_forward=1"),
        (machine(tunnels={"ipsec0": Link("ipsec0", False)}), "tunnel-down", "ip link set ipsec0 up"),
        (machine(tunnels={}), "no-tunnel-device", "ipsec setup restart"),
        (machine(links={"wan": Link("wan", False)}), "link-down", "ip link set wan up"),
        (machine(links={"lan": Link("lan", True, strict=True)}), "rp-filter", "rp_filter=0"),
        (machine(routed=()), "route-gone", "ipsec auto --route net"),
        (machine(rules={4: False}), "rule-gone", "ipsec setup restart"),
        (machine(addresses=((ME, "wan"), (ME, "lan"))), "shared-address", "ip addr del 192.0.2.1 dev lan"),
        (replace(down(), daemon=Daemon(alive=False)), "daemon-not-running", "ipsec setup start"),
        (replace(down(), daemon=Daemon(alive=False, orphan=True)), "daemon-died", "ipsec setup restart"),
        (replace(down(), daemon=Daemon(answers=False)), "daemon-silent", "ipsec setup restart"),
        (replace(down(), daemon=Daemon(listening=False)), "not-listening", "ipsec auto --ready"),
        (replace(down(), connections=()), "not-loaded", "ipsec auto --add net"),
        (down(remote="10.2.9.0/24"), "conf-unread", "ipsec auto --replace net"),
        (down(peer="203.0.113.1"), "conf-unread", "--replace"),
        (down(policy="PSK+ENCRYPT+TUNNEL"), "conf-unread", "--replace"),
        (down(policy="PSK+ENCRYPT+PFS", ike_life=1.0), "conf-unread", "--replace"),
    ],
)
def test_found_here(facts: Facts, code: str, remedy: str) -> None:
    found = first(facts)
    assert found.code == code and remedy in found.remedy


def test_ipv6_routes_and_ports() -> None:
    text = CONF.replace("10.1.0.0/24", "fd01::/64").replace("10.2.0.0/24", "fd02::/64")
    facts = replace(machine(routed=("fd02::/64",)), config=config(text))
    row = {**facts.connections[0], "local": "fd01::/64:17/500", "remote": "fd02::/64:17/500"}
    assert codes(replace(facts, connections=(row,))) == []
    assert codes(replace(facts, connections=({**row, "remote": "fd03::/64"},))) == ["route-gone", "conf-unread"]


def test_auto_ignore_is_no_fault_until_it_is_asked_about() -> None:
    facts = replace(down(), connections=(), config=config(CONF.replace("auto=add", "auto=ignore")))
    assert codes(facts) == []
    assert first(replace(facts, target="net")).evidence == ("/etc/ipsec.conf says auto=ignore",)


def test_no_queue_matters_to_groups_alone() -> None:
    text = "conn private\n\tleft=192.0.2.1\n\tright=%opportunisticgroup\n\tauto=route\n"
    facts = replace(machine(queueing="Protocol not supported"), config=config(text), connections=())
    assert "no-nfqueue" in codes(facts) and "no-nfqueue" not in codes(machine(queueing="x"))
