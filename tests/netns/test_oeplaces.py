# SPDX-License-Identifier: GPL-2.0-or-later
"""Opportunistic encryption of a host on two wires, and what applications see of it.

west =======wan======= east ----lan---- sunrise
192.0.2.1        192.0.2.2             10.2.0.2
"""

from __future__ import annotations

import errno
import select
import socket
import time

import pytest

from tests.netns.capture import Capture
from tests.netns.lab import Lab, wait_for
from tests.netns.test_oe import CONF, NETS, host, trapped
from tests.netns.test_oedns import clear_between
from tests.netns.traffic import Receiver, ping, udp_socket

WEST, EAST = "192.0.2.1", "192.0.2.2"


def connecting(at: Lab, target: str, port: int, source: str = "") -> tuple[socket.socket, int]:
    """A TCP connection that is begun, and what connect() says."""
    with at.west.inside():
        s = socket.socket()
    s.setblocking(False)
    if source:
        s.bind((source, 0))
    return s, s.connect_ex((target, port))


@pytest.mark.matrix
@pytest.mark.parametrize("group", ["private", "private_or_clear"])
def test_no_application_is_told_of_an_error_while_it_waits(lab: Lab, group: str) -> None:
    """East is deaf: more packets than are kept, connected sockets and connections that are begun, for a hold's time."""
    west = host(lab, "west", **{group: NETS})
    trapped(west)
    lab.east.run("iptables", "-A", "INPUT", "-j", "DROP")
    plain, connected = udp_socket(lab.west, "0.0.0.0"), udp_socket(lab.west, "0.0.0.0")
    connected.connect((EAST, 7001))
    stream, said = connecting(lab, EAST, 7002)
    assert said == errno.EINPROGRESS
    begun, sent = time.monotonic(), 0
    while time.monotonic() - begun < 2.5:
        assert plain.sendto(bytes(100), (EAST, 7001)) == connected.send(bytes(100)) == 100
        sent += 2
        time.sleep(0.005)
    assert sent > 256
    assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert not select.select([connected, stream], [], [], 0)[0], "nothing to read, and no error"
    for each in (plain, connected, stream):
        each.close()


def test_only_reject_answers(lab: Lab) -> None:
    """A blocked connection is refused at once as prohibited; a dropped one just gets no answer."""
    west = host(lab, "west", block="10.2.0.0/24\n", private="192.0.2.0/24\n")
    trapped(west, 1)
    wait_for("the line", lambda: "%reject" in west.ipsec("eroute").stdout, 5)
    blocked, _ = connecting(lab, "10.2.0.2", 7002)
    dropped, _ = connecting(lab, EAST, 7002)
    wait_for("a refusal", lambda: select.select([], [blocked], [], 0)[1], 3)
    assert blocked.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (errno.EHOSTUNREACH, errno.EACCES)
    time.sleep(3.5)
    assert not select.select([], [dropped], [], 0)[1] and dropped.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    for each in (blocked, dropped):
        each.close()


@pytest.mark.parametrize("bound", ["0.0.0.0", WEST], ids=["unbound", "bound"])
def test_bound_and_unbound_sockets_send_from_the_right_address(lab: Lab, bound: str) -> None:
    """The first packet, which waits, and those after it."""
    trapped(host(lab, "east", private=NETS))
    trapped(host(lab, "west", private=NETS))
    heard = Receiver(lab.east, EAST, 7001, echo=True)
    s = udp_socket(lab.west, bound)
    s.settimeout(5)
    for number in range(3):
        s.sendto(number.to_bytes(8, "big"), (EAST, 7001))
        assert s.recvfrom(100)[1] == (EAST, 7001), "the answer comes back to the socket"
    assert len(heard.got) == 3
    s.close()


def test_a_host_with_two_interfaces_encrypts_on_both(lab: Lab) -> None:
    """West and east have a second wire between them, and a conn for each."""
    lab.wire("west", "dmz", "east", "dmz")
    for name, last in (("west", 1), ("east", 2)):
        lab.address(name, "dmz", f"203.0.113.{last}/24")
    second = CONF.split("conn private-or-clear")[0].replace("conn private", "conn second")
    for name, own in (("east", 2), ("west", 1)):
        conf = second.replace("%defaultroute", f"203.0.113.{own}")
        trapped(host(lab, name, more=conf, private="192.0.2.0/24\n", second="203.0.113.0/24\n"))
    with Capture(lab.west) as wan, Capture(lab.west, "dmz") as dmz:
        for target in (EAST, "203.0.113.2"):
            assert ping(lab.west, target, 3, wait=5).received == 3
        assert clear_between(wan, WEST, EAST) == clear_between(dmz, "203.0.113.1", "203.0.113.2") == []
        assert all(each.packets(lambda s: s.kind in ("esp", "esp-udp")) for each in (wan, dmz))
