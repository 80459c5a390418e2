# SPDX-License-Identifier: GPL-2.0-or-later
"""Through a masquerading router, and road warriors known only by who they are.

sunset - west ==== [nat] ==== east - sunrise
         road ======'
"""

from __future__ import annotations

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import INNER, SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.traffic import Flow, Receiver, assert_ping, learn_path, ping, transfer

WEST = conn(
    "net", left="192.168.7.2", leftid="@west", leftsubnet="10.1.0.0/24",
    right="192.0.2.2", rightid="@east", rightsubnet="10.2.0.0/24", authby="secret", auto="add",
)  # fmt: skip
ROAD = conn(
    "road", left="%defaultroute", leftid="@road", right="192.0.2.2", rightid="@east", rightsubnet="10.2.0.0/24",
    authby="secret", auto="add",
)  # fmt: skip
EAST = conn(
    "net", left="%any", leftid="@west", leftsubnet="10.1.0.0/24",
    right="192.0.2.2", rightid="@east", rightsubnet="10.2.0.0/24", authby="secret", auto="add",
)  # fmt: skip


def test_a_gateway_behind_a_masquerading_router(nat_lab: Lab) -> None:
    lab = nat_lab
    west, east = Gateway(lab.west, WEST, SECRETS), Gateway(lab.east, EAST, SECRETS)
    east.start()
    west.start()
    with Capture(lab.east) as wire:
        west.up("net")
        east.wait_tunnels()
        assert_ping(lab.sunset, "10.2.0.2")
        learn_path(lab.sunset, "10.2.0.2", 1472)
        assert_ping(lab.sunset, "10.2.0.2", size=4000)
        assert_ping(lab.sunrise, "10.1.0.2")
        assert transfer(lab.sunset, lab.sunrise, "10.2.0.2").intact
        assert transfer(lab.sunrise, lab.sunset, "10.1.0.2").intact
        assert_quiet(wire, INNER)
        assert wire.count()["esp"] == 0 and wire.count()["esp-udp"] > 100


@pytest.mark.matrix
@pytest.mark.parametrize("version", ["insist", "never"])
def test_the_mapping_changes_and_the_tunnel_follows(nat_lab: Lab, version: str) -> None:
    lab, more = nat_lab, f"    ikev2={version}\n"
    west, east = Gateway(lab.west, WEST + more, SECRETS), Gateway(lab.east, EAST + more, SECRETS)
    east.start()
    west.start()
    west.up("net")
    east.wait_tunnels()
    assert_ping(lab.sunset, "10.2.0.2")
    lab["nat"].run("iptables", "-t", "nat", "-F", "POSTROUTING")
    lab["nat"].run(
        "iptables", "-t", "nat", "-A", "POSTROUTING", "-p", "udp", "-o", "out",
        "-j", "MASQUERADE", "--to-ports", "31000-32000",
    )  # fmt: skip
    lab["nat"].run("conntrack", "-F")
    assert ping(lab.sunset, "10.2.0.2", 3).received >= 2, "only answers to the very first packet go to the old mapping"
    assert_ping(lab.sunset, "10.2.0.2")
    assert_ping(lab.sunrise, "10.1.0.2")
    assert "31" in east.ipsec("spi").stdout


def test_two_road_warriors_behind_one_router(nat_lab: Lab) -> None:
    lab = nat_lab
    east = Gateway(
        lab.east,
        conn("any", left="%any", right="192.0.2.2", rightid="@east", rightsubnet="10.2.0.0/24",
             authby="secret", auto="add"),
        SECRETS,
    )  # fmt: skip
    road = Gateway(lab["road"], ROAD, SECRETS)
    west = Gateway(lab.west, ROAD.replace("@road", "@west"), SECRETS)
    for gateway in (east, road, west):
        gateway.start()
    road.up("road")
    west.up("road")
    wait_for("both warriors", lambda: east.tunnels() >= 2, 10)
    with Capture(lab.east) as wire:
        for host in (lab["road"], lab.west):
            assert_ping(host, "10.2.0.2")
            assert transfer(host, lab.sunrise, "10.2.0.2", 1 << 20).intact
        heard = Receiver(lab["road"], "192.168.8.2", 7001)
        flow = Flow(lab.sunrise, "10.2.0.2", "192.168.8.2", 7001, b"<<back>>").start()
        wait_for("answers at the warrior", lambda: len(heard.got) > 5)
        flow.stop()
        assert_quiet(wire, INNER, [b"<<back>>"])
    status = east.status()
    assert '"any"[1]' in status and '"any"[2]' in status, status
    road.ipsec("auto", "--down", "road")
    wait_for("one warrior left", lambda: east.tunnels() == 1, 10)
    assert_ping(lab.west, "10.2.0.2")


def test_hosts_that_nobody_has_arranged_anything_with(nat_lab: Lab) -> None:
    """Opportunistic encryption from behind the router: each host is known by an address that the server gives it."""
    lab = nat_lab
    group = {"left": "%defaultroute", "right": "%opportunisticgroup", "authby": "null", "auto": "route"}
    private = conn("private", group, failureshunt="drop")
    east = Gateway(lab.east, conn("private", group, failureshunt="drop", rightaddresspool="100.64.0.1-100.64.0.9"))
    west, road = Gateway(lab.west, private), Gateway(lab["road"], private)
    for gateway in (east, west, road):
        (gateway.dir / "ipsec.d" / "policies" / "private").write_text("192.0.2.0/24\n")
        gateway.start()
    for gateway in (west, road):
        wait_for("the line", lambda g=gateway: "%trap" in g.ipsec("eroute").stdout, 5)  # type: ignore[misc]
    with Capture(lab.east) as wire:
        for gateway, own, given in ((west, "192.168.7.2", "100.64.0.1"), (road, "192.168.8.2", "100.64.0.2")):
            assert ping(gateway.host, "192.0.2.2", 3, wait=5).received == 3, gateway.status()
            with Capture(lab.east, "ipsec1") as there, Capture(gateway.host, "ipsec1") as here:
                assert_ping(gateway.host, "192.0.2.2", size=4000)
                assert_ping(lab.east, given)
                assert transfer(gateway.host, lab.east, "192.0.2.2", 1 << 20).intact
                # The kernel says by itself which multicast groups a new device is in.
                assert {s.src for s in there.packets() if s.kind != "mld"} == {given, "192.0.2.2"}
                assert {s.src for s in here.packets() if s.kind != "mld"} == {own, "192.0.2.2"}
            assert f"pair {own} as {given} 192.0.2.2" in gateway.status()
        assert_quiet(wire, ("100.64.0.0/24", "192.168.7.0/24", "192.168.8.0/24"))
        assert wire.count()["esp"] == 0 and wire.count()["esp-udp"] > 100


def test_hosts_behind_a_box_that_translates_ipv6(nat_lab: Lab) -> None:
    """The same over IPv6: ESP in UDP, two hosts behind one address, which are told apart by what they are given."""
    lab = nat_lab
    lab["nat"].run("ip6tables", "-t", "nat", "-A", "POSTROUTING", "-o", "out", "-j", "MASQUERADE")
    group = {"left": "%defaultroute", "right": "%opportunisticgroup", "authby": "null", "auto": "route"}
    private = conn("private", group, failureshunt="drop")
    east = Gateway(lab.east, conn("private", group, failureshunt="drop", rightaddresspool="fd64::1-fd64::9"))
    west, road = Gateway(lab.west, private), Gateway(lab["road"], private)
    for gateway in (east, west, road):
        (gateway.dir / "ipsec.d" / "policies" / "private").write_text("2001:db8::/64\n")
        gateway.start()
    for gateway in (west, road):
        wait_for("the line", lambda g=gateway: "%trap" in g.ipsec("eroute").stdout, 5)  # type: ignore[misc]
    with Capture(lab.east) as wire:
        for gateway, own, given in ((west, "2001:db8:7::2", "fd64::1"), (road, "2001:db8:8::2", "fd64::2")):
            assert ping(gateway.host, "2001:db8::2", 3, wait=5).received == 3, gateway.log() + east.log()
            with Capture(lab.east, "ipsec1") as there, Capture(gateway.host, "ipsec1") as here:
                learn_path(gateway.host, "2001:db8::2", 1452)  # of IPv6 it is the sender who cuts
                assert_ping(gateway.host, "2001:db8::2", size=4000)
                assert_ping(lab.east, given)
                assert transfer(gateway.host, lab.east, "2001:db8::2", 1 << 20).intact
                assert {s.src for s in there.packets() if s.kind not in ("mld", "nd")} == {given, "2001:db8::2"}
                assert {s.src for s in here.packets() if s.kind not in ("mld", "nd")} == {own, "2001:db8::2"}
            assert f"pair {own} as {given} 2001:db8::2" in gateway.status()
        assert_quiet(wire, ("fd64::/64", "2001:db8:7::/64", "2001:db8:8::/64"))
        assert wire.count()["esp"] == 0 and wire.count()["esp-udp"] > 100
