# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's queue goes away while packets wait in it: that is found out, and the group's fail mode is kept.

sunset ----lan---- west =======wan======= east
10.1.0.2                                  192.0.2.2
"""

from __future__ import annotations

import struct
import time

import pytest

from openswan.host.intercept.table import QUEUES
from openswan.host.keeper import recall
from openswan.host.nfqueue import ANY_FAMILY, BIND, CONFIG, UNBIND
from openswan.host.nlmsg import NETLINK_NETFILTER, NLM_F_ACK, Message, NetlinkSocket, attr
from tests.netns.capture import Capture
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.test_intercept import BOTH
from tests.netns.test_oegateway import EAST, SUNSET, clear, gateway
from tests.netns.traffic import Receiver, ping, udp_socket

OPEN, CLOSED = QUEUES["open"], QUEUES["closed"]


def command(code: int, number: int) -> Message:
    """Bind a queue, or unbind it."""
    body = struct.pack(">BBH", ANY_FAMILY, 0, number) + attr(1, struct.pack(">BBH", code, 0, ANY_FAMILY))
    return Message(CONFIG, NLM_F_ACK, body)


def take_away(west: Gateway, name: str) -> None:
    """Unbind a queue by its own socket, which the keeper has too: no other one may."""
    with west.host.inside():
        found = recall(west.run_dir)
    try:
        assert not NetlinkSocket(NETLINK_NETFILTER, sock=found[name]).send([command(UNBIND, QUEUES[name])])
    finally:
        for each in found.values():
            each.close()


def how(west: Gateway) -> str:
    """How first packets are met."""
    return str(west.json("status")["interception"]["how"])


def bound(west: Gateway) -> dict[int, int]:
    """Who listens to each queue: the port id of its socket."""
    text = west.host.run("cat", "/proc/net/netfilter/nfnetlink_queue").stdout
    return {int(row[0]): int(row[1]) for row in map(str.split, text.splitlines())}


@pytest.mark.matrix
@pytest.mark.parametrize(("failure", "name"), [("passthrough", "open"), ("drop", "closed")])
def test_a_queue_that_goes_away_is_bound_anew(lab: Lab, failure: str, name: str) -> None:
    """First packets are held again, and go where the group says; meanwhile nothing goes in clear that may not."""
    west = gateway(lab, failure, BOTH)
    before = bound(west)[QUEUES[name]]
    with Capture(lab.west) as wire:
        take_away(west, name)
        wait_for("another socket", lambda: bound(west).get(QUEUES[name], before) != before, 15)
        heard = Receiver(lab.east, EAST, 7001)
        s = udp_socket(lab.sunset, SUNSET)
        begun = time.monotonic()
        for number in range(20):
            s.sendto(b"<<held>>" + number.to_bytes(8, "big"), (EAST, 7001))
        if failure == "passthrough":
            wait_for("twenty datagrams", lambda: len(heard.got) >= 20, 15)
            assert time.monotonic() - begun > 0.9, "they were held"
            assert heard.numbers(b"<<held>>") == list(range(20))
        else:
            wait_for("the decision", lambda: [pair["meets"] for pair in west.json("status")["pairs"]] == ["%drop"], 15)
            assert heard.got == [] and clear(wire, SUNSET, EAST) == []
        s.close()
    assert how(west) == "by NFQUEUE" and f"NFQUEUE {QUEUES[name]} was lost: bound anew" in west.log()


@pytest.mark.matrix
@pytest.mark.parametrize(("failure", "name"), [("passthrough", "open"), ("drop", "closed")])
def test_one_that_somebody_else_takes_is_done_without(lab: Lab, failure: str, name: str) -> None:
    """The packet engine holds what the queue would have, until the other one lets go."""
    west = gateway(lab, failure, BOTH)
    with west.host.inside():
        thief = NetlinkSocket(NETLINK_NETFILTER)
    with Capture(lab.west) as wire:
        take_away(west, name)
        assert not thief.send([command(BIND, QUEUES[name])])
        wait_for("the other way", lambda: how(west) == "by the route into ipsecN", 15)
        assert ping(lab.sunset, EAST, 3, wait=3).received == (3 if failure == "passthrough" else 0)
        if failure == "drop":
            assert clear(wire, SUNSET, EAST) == []
    assert west.logged(f"NFQUEUE {QUEUES[name]} is somebody else's now")
    thief.close()
    wait_for("the queue", lambda: how(west) == "by NFQUEUE", 15)
    assert ping(lab.sunset, "2001:db8::2", 2, wait=3).received == (2 if failure == "passthrough" else 0)
