# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets stopped before they are decided: what hosts behind a gateway send waits in the kernel's queue.

sunset ---lan--- west =======wan======= east ---lan--- sunrise
10.1.0.2          192.0.2.1        192.0.2.2          10.2.0.2
2001:db8:1::2     2001:db8::1    2001:db8::2
"""

from __future__ import annotations

import socket
import time
from ipaddress import ip_address, ip_network

import pytest

from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS
from openswan.engine.effects import Intercept, Way
from openswan.host.intercept.table import Note, Table
from openswan.host.nfqueue import NfQueue
from tests.bench.oeworld import datagram
from tests.netns.capture import QUIET, Capture
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.test_oe import NETS, host, trapped
from tests.netns.test_oegateway import EAST, SUNRISE, SUNSET, clear, gateway
from tests.netns.traffic import Receiver, ping, udp_socket

BOTH = "192.0.2.0/24\n2001:db8::/64\n"


def decided(gateway: Gateway, version: str = "ip") -> str:
    """What the kernel knows of pairs."""
    return gateway.host.run("nft", "list", "map", version, "openswan_oe", "decided", check=False).stdout


def test_what_goes_in_clear_never_comes_near_us_again(lab: Lab) -> None:
    """Held for holdtimeout=, then in clear; from then on the kernel knows, and the packet engine sees none of it."""
    west = gateway(lab, "passthrough", BOTH)
    heard = Receiver(lab.east, EAST, 7001)
    s = udp_socket(lab.sunset, SUNSET)
    with Capture(lab.west, "ipsec0") as inner:
        begun = time.monotonic()
        for number in range(100):
            s.sendto(b"<<held>>" + number.to_bytes(8, "big") + bytes(500), (EAST, 7001))
        wait_for("a hundred datagrams", lambda: len(heard.got) >= 100, 8)
        assert time.monotonic() - begun > 0.9
        for number in range(100, 200):
            s.sendto(b"<<held>>" + number.to_bytes(8, "big") + bytes(500), (EAST, 7001))
        wait_for("two hundred", lambda: len(heard.got) >= 200, 4)
        assert not inner.packets(lambda p: SUNSET in (p.src, p.dst))
    s.close()
    assert heard.numbers(b"<<held>>") == list(range(200)), "in order"
    assert f"{SUNSET} . {EAST}" in decided(west)
    assert ping(lab.sunset, "2001:db8::2", 3, wait=4).received == 3
    assert "2001:db8:1::2 . 2001:db8::2" in decided(west, "ip6")
    # Another group decides from now on.
    (west.dir / "ipsec.d" / "policies" / "lan").write_text("198.51.100.0/24\n")
    west.ipsec("auto", "--rereadgroups")
    wait_for("forgotten", lambda: SUNSET not in decided(west), 5)


def test_the_status_counts_what_waits_and_what_had_no_room(lab: Lab) -> None:
    """128 packets of a pair are kept, the newest."""
    west = gateway(lab, "passthrough", BOTH)
    heard = Receiver(lab.east, EAST, 7001)
    s = udp_socket(lab.sunset, SUNSET)
    for number in range(200):
        s.sendto(b"<<held>>" + number.to_bytes(8, "big"), (EAST, 7001))
    wait_for("those there was room for", lambda: len(heard.got) >= 128, 8)
    s.close()
    assert heard.numbers(b"<<held>>") == list(range(72, 200))
    known = west.json("status")["interception"]
    assert known == {"how": "by NFQUEUE", "held": 0, "dropped": 72, "late": 0, "overflows": 0, "refused": 0}
    assert "are met by NFQUEUE: 0 held, 72 dropped" in west.ipsec("status").stdout
    assert 'openswan_drops_total{place="interception",reason="dropped"} 72.0' in west.ipsec("metrics").stdout


def test_a_host_that_scans_is_not_in_the_way_of_another(lab: Lab) -> None:
    """Thousands of new pairs at once: the kernel lets through what can be decided, and drops and counts the rest; none
    of them comes near the packet engine."""
    west = gateway(lab, "passthrough", BOTH + "100.128.0.0/10\n")
    heard = Receiver(lab.east, EAST, 7001)
    with lab.sunset.inside():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for number in range(8000):
        target = f"100.128.{number >> 8}.{number & 255}"
        raw.sendto(datagram(SUNSET, target), (target, 0))
    wait_for(
        "the other host's datagram, which it sends again like everybody",
        lambda: heard.got or not raw.sendto(datagram("10.1.0.99", EAST), (EAST, 0)),
        12,
        1.0,
    )
    raw.close()
    known = west.json("status")["interception"]
    assert known["refused"] > 1000 and known["overflows"] == 0, known
    assert west.ipsec("eroute").stdout.count("100.128.") == 1, "the line's own"


def test_under_masquerading(lab: Lab) -> None:
    """A router that hides its hosts: what was held goes out under the router's address like the rest of its flow."""
    lab.west.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE")
    gateway(lab, "passthrough", "192.0.2.0/24\n")
    heard = Receiver(lab.east, EAST, 7001)
    s = udp_socket(lab.sunset, SUNSET)
    for number in range(5):
        s.sendto(b"<<held>>" + number.to_bytes(8, "big"), (EAST, 7001))
    wait_for("five datagrams", lambda: len(heard.got) >= 5, 6)
    s.close()
    assert ping(lab.sunset, EAST, 3, wait=2).received == 3, "answers find back"


@pytest.mark.parametrize("failure", ["passthrough", "drop"])
def test_what_no_group_is_about_goes_its_way(lab: Lab, failure: str) -> None:
    """The same destinations, from hosts that are not meant: the gateway itself, and one on another net."""
    road = lab.add_host("road", "west", "lan2", "10.3.0", "2001:db8:3")
    lab.make_router("west")
    lab.east.ip("route", "add", "10.3.0.0/24", "via", "192.0.2.1")
    lab.east.ip("-6", "route", "add", "2001:db8:3::/64", "via", "2001:db8::1")
    gateway(lab, failure, BOTH)
    for target in (EAST, "2001:db8::2"):
        assert ping(lab.west, target, 2, wait=2).received == 2
        assert ping(road, target, 2, wait=2).received == 2


def test_a_connection_to_another_address_of_the_gateway_is_answered(lab: Lab) -> None:
    """An address that no group is of: what answers a connection (SYN and ACK) goes in clear like everything from it."""
    gateway(lab, "drop", "192.0.2.0/24\n2001:db8::/64\n10.2.0.0/16\n")
    lab.west.ip("addr", "add", "10.9.9.9/32", "dev", "lo")
    lab.west.ip("addr", "add", "2001:db8:9::9/128", "dev", "lo", "nodad")
    lab.east.ip("route", "add", "10.9.9.9", "via", "192.0.2.1")
    lab.east.ip("-6", "route", "add", "2001:db8:9::9", "via", "2001:db8::1")
    for family, address in ((socket.AF_INET, "10.9.9.9"), (socket.AF_INET6, "2001:db8:9::9")):
        with lab.west.inside(), socket.create_server((address, 7002), family=family), lab.east.inside():
            socket.create_connection((address, 7002), timeout=3).close()


def test_routed_traffic_past_a_group_for_the_gateway_itself(lab: Lab) -> None:
    """A group for everybody, of the gateway alone: what it forwards is not touched."""
    west = host(lab, "west", private="0.0.0.0/0\n::/0\n")
    trapped(west)
    assert ping(lab.sunset, SUNRISE, 2, wait=2).received == 2
    assert ping(lab.sunset, "2001:db8:2::2", 2, wait=2).received == 2
    assert ping(lab.sunrise, SUNSET, 2, wait=2).received == 2


def test_a_closed_group_leaks_nothing_while_the_tables_are_gone(lab: Lab) -> None:
    """Somebody flushes everything and nobody puts it back: routes and the guard are left."""
    west = gateway(lab, "drop", BOTH)
    stop = west.pid
    with Capture(lab.west) as wire:
        lab.west.run("kill", "-STOP", str(stop))
        try:
            lab.west.run("nft", "flush", "ruleset", check=False)
            lab.west.run("nft", "delete", "table", "ip", "openswan_oe", check=False)
            assert ping(lab.sunset, EAST, 3, wait=0.5).received == 0
        finally:
            lab.west.run("kill", "-CONT", str(stop))
        assert ping(lab.sunset, EAST, 3, wait=2).received == 0
        assert clear(wire, SUNSET, EAST) == []


def test_an_inbound_packet_in_clear_begins_a_tunnel(lab: Lab) -> None:
    """East only speaks when it is spoken to (clear-or-private) and has no reason to begin; west does by itself."""
    east = host(lab, "east", clear_or_private=NETS)
    west = host(lab, "west", private_or_clear=NETS)
    trapped(west)
    with Capture(lab.west) as wire:
        assert ping(lab.east, "192.0.2.1", 1, wait=2).received == 1, "it came in clear, as the group allows"
        wait_for("the tunnel", lambda: west.json("auto", "--status")["child_sas"] != [], 6)
        wait_for("at both ends", lambda: east.json("auto", "--status")["child_sas"] != [], 2)
        before = len(clear(wire, "192.0.2.1", EAST))
        assert ping(lab.east, "192.0.2.1", 3, wait=2).received == 3
        assert len(clear(wire, "192.0.2.1", EAST)) == before, "and encrypted from then on"


def test_an_inbound_packet_for_a_closed_group_begins_one_but_does_not_get_in(lab: Lab) -> None:
    """East forgets all it had, and only answers: its packets in clear are dropped, and bring it back."""
    host(lab, "east", clear_or_private=NETS)
    west = host(lab, "west", private=NETS)
    trapped(west)
    with Capture(lab.west) as wire:
        assert ping(lab.east, "192.0.2.1", 1, wait=0.5).received == 0
        wait_for("the tunnel", lambda: west.json("auto", "--status")["child_sas"] != [], 6)
        wait_for("the way back", lambda: ping(lab.east, "192.0.2.1", 1, wait=1).received == 1, 5)
        heard = wire.packets(lambda s: s.src == "192.0.2.1" and s.dst == EAST and s.kind not in QUIET)
        assert not heard, "nothing of ours went out in clear"


def test_who_is_left_in_clear_does_not_trigger(lab: Lab) -> None:
    west = host(lab, "west", clear_or_private=NETS)
    with Capture(lab.west) as wire:
        assert ping(lab.east, "192.0.2.1", 3, wait=1).received == 3
        assert not wire.packets(lambda s: s.kind == "ike")
    assert west.json("auto", "--status")["child_sas"] == []


PLANS = {
    4: Intercept(
        ((ip_network("0.0.0.0/0"), Way.CLOSED), (ip_network("192.0.2.0/24"), Way.OPEN)),
        (ip_network("10.1.0.0/24"),),
        (ip_network("192.0.2.1/32"),),
        ((ip_network("10.9.0.0/16"), ip_network("0.0.0.0/0")),),
    ),
    6: Intercept(
        ((ip_network("::/0"), Way.OPEN), (ip_network("2001:db8::/64"), Way.CLOSED)), (ip_network("2001:db8:1::/64"),)
    ),
}
HOSTS = {
    4: (ip_address("10.1.0.2"), ip_address("192.0.2.2")),
    6: (ip_address("2001:db8:1::2"), ip_address("2001:db8::2")),
}


@pytest.mark.parametrize("version", [4, 6])
def test_a_kernel_takes_the_tables_keeps_decisions_and_lets_go(lab: Lab, version: int) -> None:
    with lab.west.inside():
        left = Table(version)
        left.load(PLANS[version])
        left.close()
        table = Table(version)
        table.load(PLANS[version])  # what a predecessor has left makes way
        assert table.check() and table.counts() == 0
        for code, wanted in (
            (DEFAULT_MARKS.clear, 1),
            (DEFAULT_MARKS.dropped, 1),
            (DEFAULT_MARKS.dropped, 1),
            (0, 0),
            (0, 0),
        ):
            # Whatever is expected to be there already.
            for there in (True, False):
                table.note([Note(HOSTS[version], code, 60.0, there)])
                assert table.counts() == wanted
        others = [(HOSTS[version][0], HOSTS[version][1] + number) for number in range(1, 2000)]
        table.note([Note(hosts, DEFAULT_MARKS.dropped, 60.0, False) for hosts in others])
        table.note(
            [Note(hosts, 0, 0.0, True) for hosts in others] + [Note(HOSTS[version], DEFAULT_MARKS.clear, 60.0, False)]
        )
        assert table.counts() == 1
        before = lab.west.run("nft", "-a", "list", "table", f"ip{'6' * (version == 6)}", "openswan_oe").stdout
        table.load(PLANS[version])
        assert table.check() and table.counts() == 0, "asked about again"
        after = lab.west.run("nft", "-a", "list", "table", f"ip{'6' * (version == 6)}", "openswan_oe").stdout
        chains = [
            [line for line in text.splitlines() if "chain" in line and "handle" in line] for text in (before, after)
        ]
        assert chains[0] == chains[1], "where a hook goes the kernel drops what it has queued"
        table.clear()
        assert not table.check() and table.nft.table_flags() is None
        table.close()


def test_the_kernel_keeps_packets_until_a_verdict(lab: Lab) -> None:
    """Also over the death of who listened, as long as somebody has the socket open."""
    lab.east.run("iptables", "-A", "INPUT", "-p", "icmp", "-j", "NFQUEUE", "--queue-num", "77")
    with lab.east.inside():
        queue = NfQueue(77, 16, fail_open=False)
        with pytest.raises(HostError, match="NFQUEUE 77"):
            NfQueue(77, 16, fail_open=False)
    ping(lab.west, EAST, 1, wait=0.2)
    [first] = wait_for("the packet", queue.read)
    assert first.head[12:16] == bytes((192, 0, 2, 1))
    # Another process takes over: it sees the packet again.
    with lab.east.inside():
        heir = NfQueue(77, 16, False, inherited=queue.sock)
    heir.again()
    [again] = wait_for("the same packet", heir.read)
    assert again.head == first.head
    heir.verdict(again.id, True)
    heir.flush()
    heir.close()
