# SPDX-License-Identifier: GPL-2.0-or-later
"""Transport mode through NATs (RFC 7296 2.23.1): hosts with one and the same private address, behind different routers.

west 192.168.7.2 ==== [nat] 192.0.2.1 ======= 192.0.2.2 east 198.51.100.2 ======= 198.51.100.1 [nat2] ==== 192.168.7.2 twin
"""  # noqa: E501

from __future__ import annotations

import os
import socket

import pytest

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import SECRETS, conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.traffic import assert_ping, in_thread, transfer

SAME = "192.168.7.2"
version = pytest.mark.parametrize("version", ["insist", "never"])


@pytest.fixture
def twins(nat_lab: Lab) -> Lab:
    """The lab with a second router and a second host on the other side of east."""
    lab = nat_lab
    for name in ("twin", "nat2"):
        lab.hosts[name] = Host(lab, name)
    lab.wire("twin", "wan", "nat2", "in")
    lab.wire("nat2", "out", "east", "wan2")
    lab.address("twin", "wan", f"{SAME}/24")
    lab.address("nat2", "in", "192.168.7.1/24")
    lab.address("nat2", "out", "198.51.100.1/24")
    lab.address("east", "wan2", "198.51.100.2/24")
    lab.make_router("nat2")
    lab["nat2"].run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "out", "-j", "MASQUERADE")
    lab["twin"].ip("route", "add", "default", "via", "192.168.7.1")
    lab["nat2"].ip("route", "add", "192.0.2.0/24", "via", "198.51.100.2")
    lab["nat"].ip("route", "add", "198.51.100.0/24", "via", "192.0.2.2")
    lab["east"].sysctl(ipv4__conf__wan2__rp_filter=0)
    return lab


def host(lab: Lab, name: str, peer: str, peer_id: str, version: str) -> Gateway:
    """One of the two, which begins; `version` is what is said of IKEv2."""
    text = conn("host", left=SAME, leftid=f"@{name}", right=peer, rightid=peer_id, type="transport", authby="secret",
                auto="add", ikev2=version)  # fmt: skip
    return Gateway(lab[name], text, SECRETS)


def carry(lab: Lab, name: str) -> bool:
    """Half a megabyte of TCP to the server, on a port of one's own."""
    port = {"west": 5555, "twin": 5556}[name]
    return transfer(lab[name], lab.east, "192.0.2.2", 1 << 19, port=port).intact


def echoed(client: Host, server: Host, bound: str, target: str) -> bool:
    """Does TCP carry octets there and back, although the server is not at the address the client knows it by?"""
    data = os.urandom(1 << 18)
    with server.inside():
        listener = socket.create_server((bound, 5555))
    listener.settimeout(15)

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(15)
            while piece := connection.recv(1 << 16):
                connection.sendall(piece)

    thread = in_thread(serve)
    with client.inside():
        sock = socket.socket()
    got = b""
    with sock:
        sock.settimeout(15)
        sock.connect((target, 5555))
        sending = in_thread(lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
        while piece := sock.recv(1 << 16):
            got += piece
        sending.join(15)
    thread.join(15)
    listener.close()
    return got == data


@pytest.mark.matrix
@version
def test_one_server_serves_both_at_once(twins: Lab, version: str) -> None:
    lab = twins
    text = conn("any", left="%any", right="192.0.2.2", rightid="@east", type="transport", authby="secret", auto="add",
                ikev2=version)  # fmt: skip
    east = Gateway(lab.east, text, SECRETS)
    west, twin = (host(lab, name, "192.0.2.2", "@east", version) for name in ("west", "twin"))
    for gateway in (east, west, twin):
        gateway.start()
    for gateway in (west, twin):
        gateway.up("host")
    wait_for("both at the server", lambda: east.tunnels() >= 2, 10)
    with Capture(lab.east, "wan") as wire, Capture(lab.east, "wan2") as other:
        for name in ("west", "twin"):
            assert_ping(lab[name], "192.0.2.2")
        results: list[bool] = []
        work = [
            in_thread(lambda name=name: results.append(carry(lab, name)))  # type: ignore[misc]
            for name in ("west", "twin")
        ]
        for thread in work:
            thread.join(60)
        assert results == [True, True]
        for seen in (wire, other):
            assert_quiet(seen, (SAME + "/32",))
            assert seen.count()["esp-udp"] > 10
    status = east.status()
    assert '"any"[1] ' in status and '"any"[2] ' in status


@version
def test_the_two_talk_to_each_other_through_a_forwarded_port(twins: Lab, version: str) -> None:
    """Either sees the other at its router's address, which is not its own: both are 192.168.7.2."""
    lab = twins
    for port in ("500", "4500"):
        lab["nat2"].run(
            "iptables", "-t", "nat", "-A", "PREROUTING", "-i", "out", "-p", "udp", "--dport", port,
            "-j", "DNAT", "--to-destination", SAME,
        )  # fmt: skip
    text = conn("host", left="%any", leftid="@west", right=SAME, rightid="@twin", type="transport", authby="secret",
                auto="add", ikev2=version)  # fmt: skip
    west, twin = host(lab, "west", "198.51.100.1", "@twin", version), Gateway(lab["twin"], text, SECRETS)
    twin.start()
    west.start()
    west.up("host")
    twin.wait_tunnels()
    with Capture(lab.east, "wan") as wire:
        assert_ping(lab.west, "198.51.100.1")
        assert echoed(lab.west, lab["twin"], SAME, "198.51.100.1")
        assert_ping(lab["twin"], "192.0.2.1")
        assert_quiet(wire, (SAME + "/32",))
        assert wire.count()["esp-udp"] > 20
