# SPDX-License-Identifier: GPL-2.0-or-later
"""A host that encrypts for itself behind a gateway whose group is about the same pair: both tunnels end at east.

sunset ---lan--- west ========wan======= east
10.1.0.2            192.0.2.1        192.0.2.2
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.netns.capture import Capture
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.test_oe import host, trapped
from tests.netns.test_oedns import EAST, FIRST, SECOND, WEST, World, ipseckey, world_of
from tests.netns.test_oegateway import LAN, SUNSET, clear, gateway
from tests.netns.traffic import Receiver, ping, transfer, udp_socket

THIRD = rsa.generate_private_key(65537, 2048)
BOTH = ipseckey("2.0.1", THIRD) + ipseckey("2.0.1", FIRST, WEST, 20)
"""Sunset's records: itself, then the gateway before it."""


def world_with_three(lab: Lab) -> World:
    return world_of(lab, zones={"10.in-addr.arpa": BOTH}, asking=("west", "east", "sunset"))


def tunnels(gateway: Gateway) -> list[str]:
    """Outer addresses of the peers it has child SAs with."""
    return sorted(str(each["peer"]) for each in gateway.json("auto", "--status")["child_sas"])


def lose_nothing(lab: Lab, first: bytes) -> None:
    """Forty datagrams at once from sunset, then a connection: all arrives, in order, and nothing of it was clear."""
    heard = Receiver(lab.east, EAST, 7001)
    s = udp_socket(lab.sunset, SUNSET)
    with Capture(lab.west) as wire:
        for number in range(40):
            s.sendto(first + number.to_bytes(8, "big") + bytes(500), (EAST, 7001))
        wait_for("forty datagrams", lambda: len(heard.got) >= 40, 10)
        assert ping(lab.east, SUNSET, 2, wait=2).received == 2
        assert transfer(lab.sunset, lab.east, EAST, 1 << 19, SUNSET).intact
        assert clear(wire, SUNSET) == []
    s.close()
    assert heard.numbers(first) == list(range(40))


@pytest.mark.parametrize("failure", ["drop", "passthrough"])
def test_a_host_that_proves_nothing_behind_a_gateway_that_may_not_speak_for_it(lab: Lab, failure: str) -> None:
    """Whatever the gateway's group leads to, the host's own IKE and ESP pass."""
    host(lab, "east", private="10.1.0.0/16\n192.0.2.0/24\n")
    gateway(lab, failure, "192.0.2.0/24\n2001:db8::/64\n")
    trapped(host(lab, "sunset", private=f"{EAST}\n"), 1)
    lose_nothing(lab, b"<<burst>>")


def test_the_host_begins(lab: Lab) -> None:
    world = world_with_three(lab)
    east = world.host("east", SECOND, private=f"{SUNSET}\n{WEST}\n")
    west = world.host("west", FIRST, more=LAN, lan=f"{EAST}\n")
    world.host("sunset", THIRD, private=f"{EAST}\n")
    try:
        lose_nothing(lab, b"<<burst>>")
    finally:
        print(west.log(), "=====", east.log())
        print(west.ipsec("eroute").stdout, lab.west.run("nft", "list", "table", "ip", "openswan_oe").stdout)
