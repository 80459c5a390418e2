# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon dies while the kernel holds packets for it: nothing of them is lost, and nothing opens meanwhile.

sunset ----lan---- west =======wan======= east
10.1.0.2                                  192.0.2.2
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.netns.capture import Capture
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, alive, wait_for
from tests.netns.test_intercept import BOTH
from tests.netns.test_oegateway import EAST, SUNSET, clear, gateway
from tests.netns.traffic import Receiver, ping, udp_socket

FIRST, SECOND = 20, 40


def keepers(west: Gateway) -> list[int]:
    """Process ids of keepers in the gateway's namespace."""
    found = (pid for pid in west.host.pids() if alive(pid))
    return [pid for pid in found if b"keeper.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def no_hook_goes(lab: Lab, west: Gateway) -> None:
    """What could unhook the last guard, with all that is held: a device that becomes a port, and a look at it."""
    assert "on lan, late, wan" in west.ipsec("verify", check=False).stdout
    lab.west.run("ip", "link", "add", "br0", "type", "bridge")
    lab.west.run("ip", "link", "set", "late", "master", "br0")


@pytest.mark.matrix
@pytest.mark.parametrize("way", ["kill", "restart"])
def test_what_is_held_when_the_daemon_dies_goes_its_way_after_the_next_one_comes(lab: Lab, way: str) -> None:
    """Twenty wait for a decision when it dies, twenty come while there is no daemon: all forty, in order, in clear at
    last, as the group says."""
    lab.wire("west", "late", "sunset", "late")
    west = gateway(lab, "passthrough", BOTH)
    assert len(keepers(west)) == 1
    heard = Receiver(lab.east, EAST, 7001)
    s = udp_socket(lab.sunset, SUNSET)
    for number in range(FIRST):
        s.sendto(b"<<kept>>" + number.to_bytes(8, "big") + bytes(300), (EAST, 7001))
    time.sleep(0.3)
    if way == "kill":
        west.kill()
    else:
        west.ipsec("setup", "restart")
    for number in range(FIRST, SECOND):
        s.sendto(b"<<kept>>" + number.to_bytes(8, "big") + bytes(300), (EAST, 7001))
    if way == "kill":
        no_hook_goes(lab, west)
        assert heard.got == [], "nothing opens because nobody is there"
        west.start()
    wait_for("forty datagrams", lambda: len(heard.got) >= SECOND, 15)
    s.close()
    assert heard.numbers(b"<<kept>>") == list(range(SECOND))
    assert ping(lab.sunset, EAST, 2, wait=2).received == 2
    assert len(keepers(west)) == 1, "the same one"
    west.stop()
    wait_for("the end of the keeper", lambda: keepers(west) == [], 3)
    assert "openswan" not in lab.west.run("nft", "list", "tables").stdout


@pytest.mark.long
def test_a_flush_while_nobody_is_there_changes_nothing(lab: Lab) -> None:
    """The table is still somebody's: kernels that know owners keep it."""
    west = gateway(lab, "drop", BOTH)
    west.kill()
    with Capture(lab.west) as wire:
        lab.west.run("nft", "flush", "ruleset", check=False)
        assert ping(lab.sunset, EAST, 2, wait=0.5).received == 0
        assert clear(wire, SUNSET, EAST) == []
    assert "openswan_oe" in lab.west.run("nft", "list", "tables").stdout
    west.start()
    assert ping(lab.sunset, EAST, 2, wait=6).received == 0, "as its group says"
    assert "restored" not in west.log()
