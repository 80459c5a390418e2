# SPDX-License-Identifier: GPL-2.0-or-later
"""ESP that does not pass one way between two of ours: noticed in an idle tunnel, told, and carried in another way.

sunset - west ======= east - sunrise
"""

from __future__ import annotations

import pytest

from tests.netns.conns import NET4, conn, setup
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.pair import pair
from tests.netns.traffic import assert_ping

BLOCKED = "IKE up, ESP{} blocked by something on the way to {}: 6 packets sent, none came"


def conf(**more: str) -> str:
    return setup(**{"listen-tcp": "yes"}) + conn("net", NET4, auto="add", **more)


def deafen(host: Host, *what: str) -> None:
    """Nothing of this kind arrives, whatever leads it past netfilter's usual hooks; what is sent goes out."""
    host.run("iptables", "-t", "raw", "-I", "PREROUTING", *what, "-j", "DROP")


def told(gateway: Gateway) -> list[str]:
    return [line for line in gateway.log().splitlines() if "blocked by" in line]


@pytest.mark.long
def test_an_idle_tunnel_whose_esp_arrives_at_one_end_alone(lab: Lab) -> None:
    both = pair(lab, conf(encapsulation="no"))
    deafen(lab.west, "-p", "esp")
    both.up("net")
    wait_for("the west to tell", lambda: told(both.west), 30, 0.2)
    (line,) = told(both.west)
    assert BLOCKED.format("", "192.0.2.2") in line and "a firewall has to let protocol ESP pass" in line
    assert not told(both.east), "it hears the west"


@pytest.mark.long
def test_an_idle_tunnel_whose_esp_in_udp_is_lost_one_way_goes_into_tcp(lab: Lab) -> None:
    both = pair(lab, conf(**{"enable-tcp": "fallback"}))
    # IKE on port 4500 has four octets of zero where ESP has its SPI.
    deafen(lab.west, "-p", "udp", "--dport", "4500", "-m", "u32", "!", "--u32", "0>>22&0x3C@8=0")
    both.up("net")
    wait_for("the west to tell", lambda: told(both.west), 30, 0.2)
    (line,) = told(both.west)
    assert BLOCKED.format(" in UDP", "192.0.2.2") in line and "trying TCP" in line
    wait_for("TCP", lambda: any("ESP/TCP" in line for line in both.west.log().splitlines()), 20, 0.2)
    both.settle()
    assert_ping(lab.sunset, "10.2.0.2")


def test_an_idle_tunnel_that_works_is_proven_by_packets_nobody_sees(lab: Lab) -> None:
    both = pair(lab, conf())
    both.up("net")
    wait_for("both to be heard", lambda: all(proven(gateway) for gateway in (both.west, both.east)), 20, 0.2)
    assert not told(both.west) and not told(both.east)


def proven(gateway: Gateway) -> bool:
    """Has its inbound SA been used, though nothing was carried?"""
    return any(row["idle"] >= 0 and not row["packets"] for row in gateway.json("spi") if row["direction"] == "in")
