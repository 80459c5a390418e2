# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host under a closed group over everything still may say in clear: its queries to its own resolvers.

sunset ----lan---- west =======wan======= east (servers on many ports)
10.1.0.2        192.0.2.1            192.0.2.2
                2001:db8::1          2001:db8::2
"""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from tests.netns.capture import QUIET, Capture
from tests.netns.conns import conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.test_oe import host
from tests.netns.traffic import Receiver, family, ping, udp_socket

EAST = {4: "192.0.2.2", 6: "2001:db8::2"}
PORTS = (53, 80, 853)
BEHIND = conn(
    "behind", left="%defaultroute", leftsubnet="10.1.0.0/24", right="%group", authby="never", type="drop", auto="route"
)
"""What west forwards for sunset is closed too."""


def echo(lab: Lab, address: str, port: int) -> None:
    """A server that answers questions with themselves, in UDP and TCP."""
    lab.at_close(Receiver(lab.east, address, port, echo=True).close)
    with lab.east.inside():
        listener = socket.create_server((address, port), family=family(address))
    lab.at_close(listener.close)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                s, _ = listener.accept()
                with s, contextlib.suppress(OSError):
                    s.sendall(s.recv(100))

    threading.Thread(target=serve, daemon=True).start()


def answered(of: Host, address: str, port: int, kind: int = socket.SOCK_DGRAM) -> bool:
    """Does a question come back?"""
    question = b"<<asked>>" + bytes(8)
    with of.inside():
        s = socket.socket(family(address), kind)
    with s, contextlib.suppress(OSError):
        s.settimeout(0.5)
        s.connect((address, port))
        s.send(question)
        return s.recv(100) == question
    return False


def exempt(west: Gateway) -> int:
    return sum(row["owner"] == "%exempt" and row["dst_port"] in (53, 853) for row in west.eroutes())


@pytest.mark.matrix
@pytest.mark.parametrize("version", [4, 6], ids=["ipv4", "ipv6"])
def test_a_closed_group_over_everything_leaves_the_resolver(lab: Lab, version: int) -> None:
    server = EAST[version]
    for port in PORTS:
        echo(lab, server, port)
    everything = {4: "0.0.0.0/0\n", 6: "::/0\n"}[version]
    west = host(lab, "west", f"nameserver {server}\n", private=everything)
    wait_for("the exemption", lambda: exempt(west) == 4, 15)
    with Capture(lab.west) as wire:
        for port in (53, 853):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                # Whoever asks asks again: the neighbour may have to be found first.
                wait_for(f"an answer from port {port}", lambda: answered(lab.west, server, port, kind), 5)  # noqa: B023
        assert not answered(lab.west, server, 80) and not answered(lab.west, server, 80, socket.SOCK_STREAM)
        seen = wire.packets(lambda s: s.kind not in QUIET)
        assert seen and all(53 in ports(s.data) or 853 in ports(s.data) for s in seen), list(map(str, seen))
    mine = {4: "192.0.2.1", 6: "2001:db8::1"}[version]
    assert "its own resolver" in west.ipsec("eroute", "--match", mine, server, "udp", "53").stdout
    assert f"{server} (ports 53 and 853)" in west.status()


def ports(frame: bytes) -> tuple[int, int]:
    """Source and destination port of UDP or TCP without options."""
    at = 34 if frame[12:14] == b"\x08\x00" else 54
    return int.from_bytes(frame[at : at + 2], "big"), int.from_bytes(frame[at + 2 : at + 4], "big")


def test_nobody_else_goes_that_way(lab: Lab) -> None:
    """Neither what this host forwards, nor who calls from the resolver's port; and it ends with resolv.conf's word."""
    echo(lab, EAST[4], 53)
    lab.west.sysctl(ipv4__ip_forward=1)
    lab.east.ip("route", "replace", "10.1.0.0/24", "via", "192.0.2.1")
    assert answered(lab.sunset, EAST[4], 53)
    west = host(lab, "west", f"nameserver {EAST[4]}\n", BEHIND, private="0.0.0.0/0\n", behind="0.0.0.0/0\n")
    wait_for("the exemption of both its addresses", lambda: exempt(west) == 8, 15)
    assert answered(lab.west, EAST[4], 53)
    heard = Receiver(lab.west, "192.0.2.1", 999)
    with lab.west.inside():
        service = socket.create_server(("192.0.2.1", 7000))
    lab.at_close(service.close)
    with Capture(lab.west) as wire:
        assert not answered(lab.sunset, EAST[4], 53) and not answered(lab.sunset, EAST[4], 53, socket.SOCK_STREAM)
        assert not wire.packets(lambda s: s.src == "10.1.0.2" and s.kind not in QUIET)
    with udp_socket(lab.east, EAST[4], 853) as s:
        s.sendto(b"<<in>>", ("192.0.2.1", 999))
    with lab.east.inside(), pytest.raises(OSError, match="timed out"):
        socket.create_connection(("192.0.2.1", 7000), 0.5, (EAST[4], 853))
    assert heard.got == []
    (west.dir / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    wait_for("the end of it", lambda: exempt(west) == 0, 8)
    assert not answered(lab.west, EAST[4], 53)


def test_a_line_about_the_resolver_itself_counts(lab: Lab) -> None:
    """Whoever names that very host means it; and a tunnel with it takes its questions too."""
    echo(lab, EAST[4], 53)
    east = host(lab, "east", private="192.0.2.1\n")
    west = host(lab, "west", f"nameserver {EAST[4]}\n", private=f"0.0.0.0/0\n{EAST[4]}\n")
    wait_for("the lines", lambda: west.ipsec("eroute").stdout.count("%trap") >= 2, 5)
    with Capture(lab.west) as wire:
        assert answered(lab.west, EAST[4], 53) or answered(lab.west, EAST[4], 53), east.log()
        assert ping(lab.west, EAST[4], 1, wait=2).received == 1
        assert not wire.packets(lambda s: s.kind not in QUIET)
    assert exempt(west) == 0
