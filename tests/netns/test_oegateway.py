# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway that encrypts for hosts behind it with whoever can: they know nothing of it, their peers only a signed DNS.

sunset ---lan--- west ========wan======= east ----lan---- sunrise        Unbound on west and east, NSD on ns
10.1.0.2            192.0.2.1        192.0.2.2             10.2.0.2
2001:db8:1::2            \\= ns 172.16.0.53 =/
"""

from __future__ import annotations

import pytest

from tests.netns.capture import QUIET, Capture
from tests.netns.conns import conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.test_oe import HERE as NOBODYS
from tests.netns.test_oe import host, trapped
from tests.netns.test_oedns import EAST, FIRST, HERE, SECOND, WEST, ipseckey, world_of
from tests.netns.traffic import Receiver, ping, transfer, udp_socket

SUNSET, SUNRISE = "10.1.0.2", "10.2.0.2"
ZONES = {"10.in-addr.arpa": ipseckey("2.0.1", FIRST, WEST) + ipseckey("2.0.2", SECOND, EAST)}
LAN = conn("lan", HERE, leftsubnet="10.1.0.0/24", failureshunt="drop", auto="route")


def lan_conf(failure: str) -> str:
    """A group of nobody's for hosts behind west, of both families."""
    more = {"failureshunt": failure, "holdtimeout": "1"}
    return conn("lan", NOBODYS, leftsubnet="10.1.0.0/24", **more) + conn(
        "lan6", NOBODYS, leftsubnet="2001:db8:1::/64", **more
    )


def gateway(lab: Lab, failure: str, text: str) -> Gateway:
    """West with such a group alone, trapping."""
    west = Gateway(lab.west, lan_conf(failure))
    for name in ("lan", "lan6"):
        (west.dir / "ipsec.d" / "policies" / name).write_text(text)
    west.start()
    wait_for("the lines", lambda: west.ipsec("eroute").stdout.count("%trap") >= text.count("\n"), 5)
    return west


def clear(wire: Capture, *hosts: str) -> list[str]:
    return [str(s) for s in wire.packets(lambda s: set(hosts) <= {s.src, s.dst} and s.kind not in QUIET)]


def test_hosts_behind_two_gateways_meet(lab: Lab) -> None:
    """Each host's record names the gateway before it; the first packets wait at the gateway, none is lost."""
    world = world_of(lab, zones=ZONES)
    other = conn("lan", HERE, leftsubnet="10.2.0.0/24", failureshunt="drop", auto="route")
    east = world.host("east", SECOND, more=other, lan="10.1.0.0/16\n")
    west = world.host("west", FIRST, more=LAN, lan="10.2.0.0/16\n")
    heard = Receiver(lab.sunrise, SUNRISE, 7001)
    s = udp_socket(lab.sunset, SUNSET)
    with Capture(lab.west) as wire:
        for number in range(40):
            s.sendto(b"<<burst>>" + number.to_bytes(8, "big") + bytes(500), (SUNRISE, 7001))
        wait_for("forty datagrams", lambda: len(heard.got) >= 40, 10)
        assert ping(lab.sunrise, SUNSET, 2, wait=2).received == 2, west.log() + east.log()
        assert transfer(lab.sunset, lab.sunrise, SUNRISE, 1 << 20, SUNSET).intact
        assert clear(wire, SUNSET) == clear(wire, SUNRISE) == []
    s.close()
    assert heard.numbers(b"<<burst>>") == list(range(40))


def test_a_host_that_protects_itself_asks_for_the_gateway_behind_which_its_peer_is(lab: Lab) -> None:
    """East looks sunset up, and calls west for it; and the other way round west's claim is looked up."""
    world = world_of(lab, zones=ZONES)
    world.host("east", SECOND, private=f"{SUNSET}\n{WEST}\n")
    west = world.host("west", FIRST, more=LAN, lan=f"{EAST}\n")
    with Capture(lab.west) as wire:
        assert ping(lab.sunset, EAST, 3, wait=5).received == 3
        west.ipsec("auto", "--down", "lan")
        wait_for("no tunnel", lambda: west.json("auto", "--status")["child_sas"] == [], 5)
        assert ping(lab.east, SUNSET, 3, wait=5).received == 3
        assert clear(wire, SUNSET, EAST) == []


@pytest.mark.matrix
@pytest.mark.parametrize("failure", ["passthrough", "drop"])
def test_without_a_tunnel_the_group_decides_for_them_too(lab: Lab, failure: str) -> None:
    """East runs nothing: what sunset sends is held, then goes in clear or nowhere."""
    gateway(lab, failure, "192.0.2.0/24\n2001:db8::/64\n")
    for target, src in ((EAST, SUNSET), ("2001:db8::2", "2001:db8:1::2")):
        with Capture(lab.west) as wire:
            heard = ping(lab.sunset, target, 3, wait=4).received
            if failure == "passthrough":
                wait_for("what passes", lambda: clear(wire, src, target), 3)  # noqa: B023
            seen = clear(wire, src, target)
        assert (heard == 3) is (failure == "passthrough"), (heard, seen)
        assert bool(seen) is (failure == "passthrough")


def test_a_stranger_speaks_for_nobody(lab: Lab) -> None:
    """Null authentication proves nothing: east lets west in for itself and for no host behind it."""
    east = host(lab, "east", private="10.1.0.0/16\n192.0.2.0/24\n")
    gateway(lab, "drop", "192.0.2.0/24\n")
    with Capture(lab.west) as wire:
        assert ping(lab.sunset, EAST, 2, wait=3).received == 0
        assert clear(wire, SUNSET, EAST) == []
    assert east.json("auto", "--status")["child_sas"] == []


WHOEVER = {"right": "%opportunistic", "authby": "rsasig", "keyingtries": "1", "auto": "route"}


@pytest.mark.matrix
@pytest.mark.parametrize("failure", ["passthrough", "drop"])
def test_a_gateway_for_whoever_is_behind_it(lab: Lab, failure: str) -> None:
    """packetdefault: west names no net of its own. Its own traffic, and what those behind it say to each other, is not
    meant; a net that comes to be behind it later is."""
    world = world_of(lab, zones=ZONES)
    other = conn("lan", HERE, leftsubnet="10.2.0.0/24", failureshunt="drop", auto="route")
    east = world.host("east", SECOND, more=other, lan="10.1.0.0/16\n10.3.0.0/24\n")
    default = conn("packetdefault", WHOEVER, left="%defaultroute", leftsubnet="0.0.0.0/0", failureshunt=failure)
    west = world.host("west", FIRST, conf=default)
    with Capture(lab.west) as wire:
        assert ping(lab.sunset, SUNRISE, 3, wait=5).received == 3, west.log() + east.log()
        assert clear(wire, SUNSET, SUNRISE) == []
        assert ping(lab.west, EAST, 2, wait=2).received == 2 and clear(wire, WEST, EAST) != []
    road = lab.add_host("road", "west", "lan2", "10.3.0", "2001:db8:3")
    lab.make_router("west")
    lab.east.ip("route", "add", "10.3.0.0/24", "via", "192.0.2.1")
    wait_for("the new net", lambda: "#10.3.0.0/24===" in west.ipsec("auto", "--status").stdout, 5)
    for one, to in ((road, SUNSET), (lab.sunset, "10.3.0.2"), (lab.west, "10.3.0.2"), (road, "10.3.0.1")):
        assert ping(one, to, 2, wait=2).received == 2, "those behind it are not its business"
    with Capture(lab.west) as wire:
        heard = ping(road, EAST, 3, wait=4).received
        assert (heard == 3) is (failure == "passthrough"), "no record names a gateway for it"
        assert bool(clear(wire, "10.3.0.2", EAST)) is (failure == "passthrough")


def test_hosts_encrypt_inside_the_tunnel_of_their_gateways(lab: Lab) -> None:
    """Sunset and sunrise have a tunnel of their own, of which their gateways see ESP alone, and encrypt that again."""
    world = world_of(lab, zones=ZONES)
    other = conn("lan", HERE, leftsubnet="10.2.0.0/24", failureshunt="drop", auto="route")
    east = world.host("east", SECOND, more=other, lan="10.1.0.0/16\n")
    west = world.host("west", FIRST, more=LAN, lan="10.2.0.0/16\n")
    host(lab, "sunrise", private=f"{SUNSET}\n")
    trapped(host(lab, "sunset", private=f"{SUNRISE}\n"), 1)
    with Capture(lab.west) as wire, Capture(lab.sunset, "lan") as inside, Capture(lab.west, "ipsec1") as between:
        assert ping(lab.sunset, SUNRISE, 3, wait=8).received == 3, west.log() + east.log()
        assert transfer(lab.sunset, lab.sunrise, SUNRISE, 1 << 19, SUNSET).intact
        assert clear(wire, SUNSET) == clear(wire, SUNRISE) == []
        assert clear(inside, SUNSET, SUNRISE) == [], "nor has the gateway seen what they say"
        nested = {(s.src, s.dst) for s in between.packets(lambda s: s.kind in ("esp", "esp-udp"))}
        assert nested == {(SUNSET, SUNRISE), (SUNRISE, SUNSET)}
