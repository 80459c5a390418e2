# SPDX-License-Identifier: GPL-2.0-or-later
"""A host that encrypts for itself behind a gateway whose group is about the same pair: both tunnels end at east.

sunset ---lan--- west ========wan======= east
10.1.0.2            192.0.2.1        192.0.2.2
"""

from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.netns.capture import Capture
from tests.netns.conns import conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.test_oe import HERE as NOBODYS
from tests.netns.test_oe import host, trapped
from tests.netns.test_oedns import EAST, FIRST, SECOND, WEST, World, ipseckey, world_of
from tests.netns.test_oegateway import LAN, SUNSET, clear, gateway, lan_conf
from tests.netns.traffic import Receiver, learn_path, ping, transfer, udp_socket

THIRD = rsa.generate_private_key(65537, 2048)
BOTH = ipseckey("2.0.1", THIRD) + ipseckey("2.0.1", FIRST, WEST, 20)
"""Sunset's records: itself, then the gateway before it."""


def world_with_three(lab: Lab) -> World:
    return world_of(lab, zones={"10.in-addr.arpa": BOTH}, asking=("west", "east", "sunset"))


def tunnels(gateway: Gateway) -> list[str]:
    """Outer addresses of the peers it has child SAs with."""
    status = gateway.json("auto", "--status")
    peers = {ike["serial"]: str(ike["remote"]).split(":")[0] for ike in status["ike_sas"]}
    return sorted(peers[each["ike"]] for each in status["child_sas"])


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


@pytest.mark.parametrize("failure", ["drop", "reject", "passthrough"])
def test_a_host_that_proves_nothing_behind_a_gateway_that_may_not_speak_for_it(lab: Lab, failure: str) -> None:
    """Whatever the gateway's group leads to, the host's own IKE and ESP pass."""
    host(lab, "east", private="10.1.0.0/16\n192.0.2.0/24\n")
    gateway(lab, failure, "192.0.2.0/24\n2001:db8::/64\n")
    trapped(host(lab, "sunset", private=f"{EAST}\n"), 1)
    lose_nothing(lab, b"<<burst>>")


def test_over_ipv6(lab: Lab) -> None:
    """Large packets, too: what the host encrypts is cut as it should be on a way that has no tunnel."""
    inside, outside = "2001:db8:1::2", "2001:db8::2"
    host(lab, "east", private="2001:db8:1::/64\n")
    gateway(lab, "drop", "192.0.2.0/24\n2001:db8::/64\n")
    trapped(host(lab, "sunset", private=f"{outside}\n"), 1)
    with Capture(lab.west) as wire:
        assert ping(lab.sunset, outside, 3, wait=5).received == 3
        assert ping(lab.east, inside, 3, wait=2).received == 3
        learn_path(lab.sunset, outside, 1452)
        assert ping(lab.sunset, outside, 3, size=4000).received == 3
        assert transfer(lab.sunset, lab.east, outside, 1 << 19, inside).intact
        assert clear(wire, inside) == []


def ours(lab: Lab) -> tuple[World, Gateway, Gateway]:
    """East and west of such a world, running; sunset's daemon is not there yet."""
    world = world_with_three(lab)
    east = world.host("east", SECOND, private=f"{SUNSET}\n{WEST}\n")
    return world, east, world.host("west", FIRST, more=LAN, lan=f"{EAST}\n")


def itself(east: Gateway, west: Gateway) -> None:
    """The only tunnel for sunset is its own."""
    wait_for("its own tunnel alone", lambda: tunnels(east) == [SUNSET] and tunnels(west) == [], 5)


def test_the_host_begins(lab: Lab) -> None:
    """Its gateway has a tunnel for it in the meantime, and gives it up."""
    world, east, west = ours(lab)
    world.host("sunset", THIRD, private=f"{EAST}\n")
    lose_nothing(lab, b"<<burst>>")
    itself(east, west)
    with Capture(lab.west, "ipsec1") as between:
        assert ping(lab.sunset, EAST, 3, wait=2).received == 3
        assert between.packets(lambda s: SUNSET in (s.src, s.dst)) == [], "what is encrypted is not encrypted again"


def test_the_peer_begins(lab: Lab) -> None:
    """It calls the host itself first, as its records say."""
    world, east, west = ours(lab)
    world.host("sunset", THIRD, private=f"{EAST}\n")
    with Capture(lab.west) as wire:
        assert ping(lab.east, SUNSET, 3, wait=5).received == 3
        assert ping(lab.sunset, EAST, 3, wait=2).received == 3
        assert clear(wire, SUNSET) == []
    itself(east, west)


def test_the_hosts_daemon_comes_and_goes(lab: Lab) -> None:
    """Its gateway speaks for it until it does so itself, and afterwards again, at once."""
    world, east, west = ours(lab)
    lose_nothing(lab, b"<<before>")
    assert tunnels(east) == [WEST]
    sunset = world.host("sunset", THIRD, private=f"{EAST}\n")
    lose_nothing(lab, b"<<itself>")
    itself(east, west)
    sunset.stop()
    wait_for("no tunnel", lambda: tunnels(east) == [], 5)
    west.ipsec("auto", "--down", "lan")
    lose_nothing(lab, b"<<after>>")
    assert tunnels(east) == [WEST]


@pytest.mark.parametrize("who", ["west", "east", "sunset"])
def test_whoever_dies_and_comes_back(lab: Lab, who: str) -> None:
    """Killed without a word, and begun anew."""
    world, east, west = ours(lab)
    sunset = world.host("sunset", THIRD, private=f"{EAST}\n")
    lose_nothing(lab, b"<<burst>>")
    itself(east, west)
    gateway = {"west": west, "east": east, "sunset": sunset}[who]
    with Capture(lab.west) as wire:
        gateway.kill()
        gateway.start()
        wait_for("an answer", lambda: ping(lab.sunset, EAST, 1, wait=1).received == 1, 20)
        assert clear(wire, SUNSET) == []
    lose_nothing(lab, b"<<again>>")
    itself(east, west)


def test_nothing_else_passes_that_way(lab: Lab) -> None:
    """Neither out of a closed group nor into it: IKE's port at one end is not enough, and a blocking line blocks."""
    block = conn("shut", NOBODYS, right="%group", authby="never", type="drop", leftsubnet="10.1.0.0/24")
    west = Gateway(lab.west, lan_conf("drop") + block)
    (west.dir / "ipsec.d/policies/lan").write_text("192.0.2.0/24\n")
    (west.dir / "ipsec.d/policies/shut").write_text("192.0.2.4/31\n")
    west.start()
    wait_for("the lines", lambda: "%trap" in west.ipsec("eroute").stdout, 5)
    lab.east.ip("addr", "add", "192.0.2.4/24", "dev", "wan")
    there, back = (SUNSET, EAST), (EAST, SUNSET)
    with Capture(lab.west) as wire, Capture(lab.sunset, "lan") as inside:
        for _ in range(2):
            for src, dst in (there, back, (SUNSET, "192.0.2.4"), ("192.0.2.4", SUNSET)):
                for ports in ((500, 500), (4500, 4500), (500, 4500), (500, 53), (53, 500), (4501, 4501)):
                    datagram(lab, src, dst, ports)
            time.sleep(4)  # until it is decided that there is no tunnel
        assert udp_pairs(wire, *there) == udp_pairs(inside, *back) == {(500, 500), (4500, 4500)}
        assert udp_pairs(wire, SUNSET, "192.0.2.4") == udp_pairs(inside, "192.0.2.4", SUNSET) == set()


def datagram(lab: Lab, src: str, dst: str, ports: tuple[int, int]) -> None:
    """One UDP datagram that is nobody's IKE."""
    with udp_socket(lab.sunset if src == SUNSET else lab.east, src, ports[0]) as s:
        s.sendto(b"<<clear>>", (dst, ports[1]))


def udp_pairs(wire: Capture, src: str, dst: str) -> set[tuple[int, int]]:
    """Ports of what was seen."""
    seen = wire.packets(lambda s: (s.src, s.dst, s.protocol) == (src, dst, 17))
    return {(int.from_bytes(s.data[34:36], "big"), int.from_bytes(s.data[36:38], "big")) for s in seen}
