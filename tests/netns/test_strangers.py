# SPDX-License-Identifier: GPL-2.0-or-later
"""Strangers stay strangers: what they send comes out of an ipsecN of their own and opens nothing.

sunset ---lan--- west =======wan======= east ---lan--- sunrise
10.1.0.2          192.0.2.1        192.0.2.2          10.2.0.2
"""

from __future__ import annotations

import socket

import pytest

from tests.netns.capture import Capture
from tests.netns.conns import conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.test_oe import CONF, NETS, host, trapped
from tests.netns.traffic import Receiver, ping, udp_socket

EAST, WEST = "192.0.2.2", "192.0.2.1"


def listener(at: Host, port: int) -> socket.socket:
    """Something that takes TCP connections."""
    with at.inside():
        server = socket.create_server(("0.0.0.0", port))
    return server


def reaches(at: Host, target: str, port: int, patience: float = 1.0) -> bool:
    """Does a TCP connection come about?"""
    with at.inside():
        s = socket.socket()
    s.settimeout(patience)
    try:
        s.connect((target, port))
    except OSError:
        return False
    finally:
        s.close()
    return True


def test_their_packets_come_out_of_an_interface_of_their_own(lab: Lab) -> None:
    east = host(lab, "east", private=NETS)
    west = host(lab, "west", private=NETS)
    trapped(west)
    with Capture(lab.west, "ipsec1") as theirs, Capture(lab.west, "ipsec0") as ours:
        assert ping(lab.west, EAST, 3, wait=4).received == 3
        wait_for("both directions", lambda: {(s.src, s.dst) for s in theirs.packets()} >= {(EAST, WEST)}, 3)
        assert not [s for s in ours.packets() if s.kind not in ("mld", "nd")], "none of theirs comes out of ours"
    [row] = west.json("auto", "--status")["child_sas"]
    assert row and east.json("auto", "--status")["child_sas"]


def test_a_closed_port_stays_closed_to_them(lab: Lab) -> None:
    """A firewall that opens ports for the wire, and everything for configured peers."""
    trapped(host(lab, "east", private=NETS))
    trapped(host(lab, "west", private=NETS))
    servers = [listener(lab.west, port) for port in (80, 81)]
    for rule in (
        "-P INPUT DROP",
        "-A INPUT -i ipsec0 -j ACCEPT",
        "-A INPUT -p udp -m multiport --dports 500,4500 -j ACCEPT",
        "-A INPUT -p esp -j ACCEPT",
        "-A INPUT -p icmp -j ACCEPT",
        "-A INPUT -p tcp --dport 80 -j ACCEPT",
    ):
        lab.west.run("iptables", *rule.split())
    assert ping(lab.east, WEST, 2, wait=4).received == 2
    assert reaches(lab.east, WEST, 80), "open to all, and so to them"
    assert not reaches(lab.east, WEST, 81), "a tunnel opens nothing"
    for each in servers:
        each.close()


def test_they_cannot_send_with_a_configured_peers_address(lab: Lab) -> None:
    """East has a tunnel for itself, and puts packets of sunrise, whom a conn of west's is about, into it."""
    configured = conn(
        "site", left=WEST, right=EAST, rightsubnet="10.2.0.0/24", authby="secret", auto="route", failureshunt="drop"
    )
    west = Gateway(lab.west, CONF + configured)
    (west.dir / "ipsec.d" / "policies" / "private").write_text(NETS)
    west.start()
    east = host(lab, "east", private=NETS)
    trapped(west)
    trapped(east)
    assert ping(lab.east, WEST, 2, wait=4).received == 2
    heard = Receiver(lab.west, WEST, 7001)
    rows = [line.split() for line in east.ipsec("eroute").stdout.splitlines() if f"{WEST}/32" in line]
    said = next(row[-1] for row in rows if "@" in row[-1])
    lab.east.ip("addr", "add", "10.2.0.99/32", "dev", "lo")
    east.ipsec(
        "eroute", "--add", "--eraf", "inet", "--src", "10.2.0.99/32", "--dst", f"{WEST}/32", "--said", said
    )  # fmt: skip
    lab.east.ip("route", "add", f"{WEST}/32", "dev", "ipsec1", "table", "77")
    lab.east.ip("rule", "add", "from", "10.2.0.99", "lookup", "77", "pref", "10")
    s = udp_socket(lab.east, "10.2.0.99")
    with Capture(lab.west) as wire:
        for number in range(5):
            s.sendto(b"<<forged>>" + number.to_bytes(8, "big"), (WEST, 7001))
        wait_for("ESP with them", lambda: wire.packets(lambda p: p.kind.startswith("esp") and p.src == EAST), 3)
    s.close()
    mine = udp_socket(lab.east, EAST)
    mine.sendto(b"<<forged>>" + (99).to_bytes(8, "big"), (WEST, 7001))
    wait_for("its own", lambda: heard.got, 4)
    mine.close()
    assert heard.numbers(b"<<forged>>") == [99]


@pytest.mark.long
def test_no_stranger_takes_what_a_conn_protects(lab: Lab) -> None:
    """East asks for a tunnel for itself without proof, though west's conn is about just that flow."""
    configured = conn("site", left=WEST, leftsubnet="192.0.2.0/25", right="192.0.2.77", rightsubnet="192.0.2.0/28",
                      authby="secret", auto="add")  # fmt: skip
    west = Gateway(lab.west, CONF + configured)
    (west.dir / "ipsec.d" / "policies" / "private").write_text(NETS)
    west.start()
    east = host(lab, "east", private=NETS)
    trapped(west)
    trapped(east)
    assert ping(lab.east, WEST, 2, wait=4).received == 0
    assert west.json("auto", "--status")["child_sas"] == [] == east.json("auto", "--status")["child_sas"]
