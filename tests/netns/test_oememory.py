# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of peers of policy groups outlives the daemon.

west =======wan======= east
192.0.2.1        192.0.2.2
"""

from __future__ import annotations

import time

import pytest

from tests.netns.capture import QUIET, Capture, assert_quiet
from tests.netns.conns import conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.test_oe import HERE, host, trapped
from tests.netns.test_oedns import EAST, FIRST, SECOND, WEST, world_of
from tests.netns.traffic import ping

NET = "192.0.2.0/24\n"
KEEPING = conn("keeping", HERE, failureshunt="passthrough", keepgrade="yes")


def again(west: Gateway) -> None:
    west.ipsec("setup", "restart")
    trapped(west, 1)


def test_a_deaf_peer_does_not_hold_again_after_a_restart(lab: Lab) -> None:
    west = host(lab, "west", private_or_clear=NET)
    trapped(west, 1)
    assert ping(lab.west, EAST, 2, wait=6).received == 2, "held for three seconds, then in clear"
    again(west)
    begun = time.monotonic()
    assert ping(lab.west, EAST, 1, wait=6).received == 1
    assert time.monotonic() - begun < 1.5, west.log()
    assert "before the daemon began anew" in west.status()


@pytest.mark.long
def test_a_downgrade_is_refused_after_a_restart_too(lab: Lab) -> None:
    """East goes for good after it had a tunnel once: with keepgrade=yes nothing is let out in clear to it."""
    east = host(lab, "east", private=NET)
    west = host(lab, "west", more=KEEPING, keeping=NET)
    trapped(west, 1)
    assert ping(lab.west, EAST, 2, wait=5).received == 2
    east.stop()
    again(west)
    with Capture(lab.west) as wire:
        assert ping(lab.west, EAST, 2, wait=5).received == 0, west.log()
        assert_quiet(wire)
    wait_for("the shunt", lambda: "192.0.2.2: dropped since" in west.status(), 5)


def test_a_file_that_was_tampered_with_is_ignored_in_one_line(lab: Lab) -> None:
    west = host(lab, "west", private_or_clear=NET)
    trapped(west, 1)
    west.stop()
    path = west.run_dir / "oe-peers"
    path.write_text("openswan-peers 1\nhost 192.0.2.2 - 0 0 soon\n")
    path.chmod(0o600)
    west.start()
    trapped(west, 1)
    [line] = [line for line in west.log().splitlines() if "oe-peers" in line]
    assert "line 2 is not about a peer" in line


def test_a_capable_peer_is_called_without_waiting_for_the_dns_after_a_restart(lab: Lab) -> None:
    world = world_of(lab)
    world.host("east", SECOND, private=f"{WEST}\n")
    west = world.host("west", FIRST, private=f"{EAST}\n")
    assert ping(lab.west, EAST, 2, wait=5).received == 2
    lab["ns"].ip("link", "set", "west", "down")
    again(west)
    with Capture(lab.west) as wire:
        ping(lab.west, EAST, 1, wait=1)
        assert wire.packets(lambda s: s.src == WEST and s.dst == EAST and s.kind == "ike"), west.log()
        assert not [s for s in wire.packets(lambda s: s.dst == EAST) if s.kind not in (*QUIET, "ike")]
