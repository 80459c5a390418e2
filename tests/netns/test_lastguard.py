# SPDX-License-Identifier: GPL-2.0-or-later
"""The last guard, where a device is given its packets: what goes round every chain of the IP layer is stopped there.

The net is that of test_guard.py. `fwd` at an ingress hook does what a flowtable does to an offloaded flow: the packet
goes from one device to the other past FORWARD and POSTROUTING. test_links.py has a real flowtable, on a stock kernel.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from openswan.engine.effects import GuardEntry
from openswan.host.guard.guard import Guard
from openswan.policy.selector import FlowKey
from openswan.wire.probe import probe_packet
from tests.netns.capture import Capture as WireCapture
from tests.netns.conns import conn
from tests.netns.lab import Lab, wait_for
from tests.netns.pair import pair
from tests.netns.test_guard import (
    FAMILY,
    FAR,
    HOST,
    INSIDE,
    LAN,
    MISHAPS,
    PORT,
    REPAIR,
    SECRET,
    TARGET,
    Capture,
    Net,
    everything_out,
    inside,
    say,
    sh,
)
from tests.netns.test_guard import net as net
from tests.netns.traffic import assert_ping, ping

pytestmark = pytest.mark.netns
SHORT_CUT = """
table netdev shortcut {
    chain lan {
        type filter hook ingress device "lan" priority 0; policy accept;
        ip daddr 10.2.0.0/24 fwd ip to 203.0.113.2 device "wan"
        ip6 daddr fd02::/64 fwd ip6 to fd03::2 device "wan"
    }
}
"""
UNSEEN = "source NAT"
"""The mishap that gives packets another address before they come here."""


@pytest.fixture
def guarded(net: Net, tmp_path: Path) -> Iterator[tuple[Net, Guard, Capture]]:
    with inside(net.g):
        guard = Guard.open("nft", tmp_path)
        guard.set("site", tuple(GuardEntry(FlowKey(a, b), "ipsec0") for a, b in zip(LAN, FAR, strict=True)))
    yield net, guard, Capture(net.p, "eth0")
    with inside(net.g):
        guard.close(False)
        sh("nft flush ruleset")


def short_cut(net: Net, tmp_path: Path) -> None:
    (tmp_path / "shortcut.nft").write_text(SHORT_CUT)
    # Whoever takes the short cut does not look for the neighbour.
    sh(f"ip netns exec {net.g} ping -c 1 -W 4 203.0.113.2; ip netns exec {net.g} ping -c 1 -W 4 fd03::2")
    sh(f"ip netns exec {net.g} nft -f {tmp_path}/shortcut.nft")


def from_the_lan(net: Net) -> None:
    for version in (4, 6):
        for size in (100, 4000):
            say(net.h, version, HOST[version], size)


def test_a_short_cut_past_the_chains_of_the_ip_layer(guarded: tuple[Net, Guard, Capture], tmp_path: Path) -> None:
    net, guard, wire = guarded
    short_cut(net, tmp_path)
    wire.plaintext(0)
    from_the_lan(net)
    wait_for("all of it at the last guard", lambda: min(stopped(net, guard)) >= 6, 5, 0.05)
    assert wire.plaintext() == []
    with inside(net.g):
        assert not guard.counters()["out4"]
        guard.last.clear()
    from_the_lan(net)
    assert len(wire.wanted(12)) >= 12, "the guard before it has nothing to say there"
    with inside(net.g):
        assert guard.restore()
    from_the_lan(net)
    wire.plaintext(0)
    assert wire.plaintext() == []


def stopped(net: Net, guard: Guard) -> tuple[int, int]:
    """Packets the last guard has dropped, of either family."""
    with inside(net.g):
        counters = guard.counters()
    return counters["last4"], counters["last6"]


@pytest.mark.parametrize("mishap", [name for name in MISHAPS if name != UNSEEN])
def test_alone_it_stops_what_the_first_one_stops(guarded: tuple[Net, Guard, Capture], mishap: str) -> None:
    net, guard, wire = guarded
    try:
        with inside(net.g):
            guard.backend.clear()
        MISHAPS[mishap](net)
        wire.plaintext(0)
        everything_out(net)
        assert wire.plaintext() == []
        with inside(net.g):
            assert guard.last.check(guard.model) and guard.counters()["last4"] and guard.counters()["last6"]
    finally:
        sh(REPAIR.format(ip=f"ip -n {net.g}", x=f"ip netns exec {net.g}"), check=False)


def test_behind_source_nat_it_knows_nobody(guarded: tuple[Net, Guard, Capture]) -> None:
    """Which is why it is the last guard and not the only one."""
    net, guard, wire = guarded
    try:
        with inside(net.g):
            guard.backend.clear()
        MISHAPS[UNSEEN](net)
        say(net.h, 4, HOST[4])
        assert len(wire.wanted(3)) == 3
    finally:
        sh(REPAIR.format(ip=f"ip -n {net.g}", x=f"ip netns exec {net.g}"), check=False)


def whole(version: int, mark: int, net: Net) -> None:
    """A packet of a protected selector by a packet socket, which knows no chain of the IP layer."""
    protocol = 0x0800 if version == 4 else 0x86DD
    packet = probe_packet(ip_address(INSIDE[version]), ip_address(TARGET[version]), 17, (PORT, PORT), SECRET)
    mac = bytes.fromhex(sh(f"ip netns exec {net.p} cat /sys/class/net/eth0/address").replace(":", ""))
    with inside(net.g), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sock:
        if mark:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        try:
            sock.sendto(packet, ("wan", protocol, 0, 1, mac))
        except OSError:
            assert not mark


@pytest.mark.parametrize("version", [4, 6])
def test_our_own_mark_passes_and_packet_sockets_do_not(guarded: tuple[Net, Guard, Capture], version: int) -> None:
    net, guard, wire = guarded
    wire.plaintext(0)
    whole(version, 0, net)
    assert wire.plaintext() == []
    with inside(net.g):
        assert guard.counters()[f"last{version}"] == 1
    whole(version, 0x1000, net)
    assert len(wire.wanted(1)) == 1
    say(net.g, version, INSIDE[version], mark=0x1000)
    assert len(wire.wanted(3)) == 3


def test_what_is_not_protected_passes(guarded: tuple[Net, Guard, Capture]) -> None:
    net, guard, wire = guarded
    wire.plaintext(0)
    with inside(net.g):
        guard.set("all", (), (4, 6))
        sh("ip neigh flush dev wan")
    # Our own packets need their neighbours all the same.
    for version in (4, 6):
        say(net.g, version, INSIDE[version], mark=0x1000)
    assert len(wire.wanted(6)) == 6
    with inside(net.g):
        guard.set("all", ())
    sh(f"ip netns exec {net.h} ping -c 1 -W 4 203.0.113.2; ip netns exec {net.h} ping -c 1 -W 4 fd03::2")
    sh(f"ip netns exec {net.g} ping -c 1 -W 4 203.0.113.2; ip netns exec {net.g} ping -c 1 -W 4 fd03::2")


def test_a_client_for_dhcp_is_heard_though_everything_is_guarded(guarded: tuple[Net, Guard, Capture]) -> None:
    net, guard, wire = guarded
    with inside(net.g):
        guard.set("all", (), (4, 6))
    wire.plaintext(0)
    for ports, passes in (((68, 67), True), ((68, 69), False)):
        with inside(net.g), socket.socket(FAMILY[4], socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wan")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.bind(("0.0.0.0", ports[0]))
            try:
                sock.sendto(SECRET, ("255.255.255.255", ports[1]))
            except OSError:
                assert not passes
        assert bool(wire.wanted(int(passes))) is passes


def test_it_outlives_its_holder_and_comes_back_after_a_flush(
    guarded: tuple[Net, Guard, Capture], tmp_path: Path
) -> None:
    net, guard, wire = guarded
    short_cut(net, tmp_path)
    with inside(net.g):
        guard.backend.close()
        guard.last.close()  # all that a SIGKILL leaves
    wire.plaintext(0)
    from_the_lan(net)
    assert wire.plaintext() == []
    with inside(net.g):
        successor = Guard.open("nft", tmp_path)
        assert successor.check() and successor.counters()["last4"] >= 6, "adopted, not made anew"
        sh("nft flush ruleset")
        assert successor.check(), "it is owned"
        successor.close(keep=True)
        sh("nft flush ruleset")
        assert "openswan" not in sh("nft list tables")
        guard.__dict__.update(Guard.open("nft", tmp_path).__dict__)
        assert guard.check()
    short_cut(net, tmp_path)
    wire.plaintext(0)
    from_the_lan(net)
    assert wire.plaintext() == []


HOSTS = conn("hosts", {"left": "192.0.2.1", "right": "192.0.2.2", "authby": "secret"})


def test_a_gateway_has_it_and_says_so(lab: Lab) -> None:
    """Between the two hosts themselves even ESP meets the selector: it passes by its mark, however it is sent."""
    hosts = HOSTS.replace("authby", "encapsulation=no\n    authby")
    both = pair(lab, hosts + "    auto=start\n", hosts + "    auto=add\n")
    both.settle()
    west, namespace = both.west, lab.west
    assert_ping(namespace, "192.0.2.2")
    said = west.ipsec("verify", check=False).stdout.splitlines()
    at = next(number for number, line in enumerate(said) if "netdev egress" in line)
    assert said[at].endswith("[OK]") and "on lan, wan" in said[at + 1]
    assert "last leak guard: on lan, wan, 0 packets dropped" in west.ipsec("status").stdout
    assert west.json("status")["guard"]["last"]["devices"] == ["lan", "wan"]
    lab.wire("west", "late", "sunset", "late")
    chains = ("nft", "list", "chains", "netdev")
    wait_for("a chain on the new device", lambda: "dev-late" in namespace.run(*chains).stdout, 3, 0.05)
    west.kill()
    with WireCapture(namespace) as wire:
        assert ping(namespace, "192.0.2.2", 1, wait=0.2).lost
        assert "dev-wan" in namespace.run(*chains).stdout, "it stays when the daemon dies"
        assert not [seen for seen in wire.packets() if seen.kind == "icmp"]
    west.start()
    west.wait_tunnels()
    assert_ping(namespace, "192.0.2.2")
    west.stop()
    assert "openswan" not in namespace.run("nft", "list", "tables").stdout
    west.ipsec("setup", "guard")
    assert "dev-wan" in namespace.run(*chains).stdout
