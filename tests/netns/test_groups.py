# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy groups that look for nobody: what is to go in clear does, what is to be refused shows on no wire.

west =======wan======= east ----lan---- sunrise
192.0.2.1        192.0.2.2             10.2.0.2
"""

from __future__ import annotations

from tests.netns.capture import Capture, assert_quiet
from tests.netns.conns import setup
from tests.netns.gateway import Gateway
from tests.netns.lab import Lab, wait_for
from tests.netns.traffic import ping

OTHERS = "".join(f"conn {name}\n    auto=ignore\n" for name in ("packetdefault", "private", "private-or-clear"))
CONF = setup(oe="yes") + OTHERS + "conn clear-or-private\n    auto=ignore\n"
HIDDEN = ("10.2.0.0/24",)


def grouped(lab: Lab, **groups: str) -> Gateway:
    """West with these files of policy groups."""
    west = Gateway(lab.west, CONF)
    write(west, **groups)
    west.start()
    return west


def write(gateway: Gateway, **groups: str) -> None:
    for name, text in groups.items():
        (gateway.dir / "ipsec.d" / "policies" / name).write_text(text)


def eroutes(gateway: Gateway) -> str:
    return gateway.ipsec("eroute").stdout


def test_a_blocked_net_is_refused_both_ways_but_for_its_clear_host(lab: Lab) -> None:
    west = grouped(lab, block="10.2.0.0/24\n", clear="10.2.0.1\n")
    wait_for("the lines", lambda: "%reject" in eroutes(west) and "%pass" in eroutes(west), 5)
    with Capture(lab.west) as wire:
        seen = ping(lab.west, "10.2.0.2", 2, wait=0.5)
        assert seen.received == 0 and "ICMP error type 3 code 13" in seen.text, seen.text
        assert_quiet(wire, ("10.2.0.2/32",))
    assert ping(lab.west, "10.2.0.1", 2).received == 2
    assert ping(lab.sunrise, "192.0.2.1", 2, wait=0.5).received == 0


def test_files_are_read_again_on_request(lab: Lab) -> None:
    west = grouped(lab, block="10.2.0.2\n")
    wait_for("the line", lambda: "%reject" in eroutes(west), 5)
    write(west, block="# nobody\n10.2.0.300\n", clear="10.2.0.2\n")
    said = west.ipsec("auto", "--rereadgroups", check=False)
    assert "10.2.0.300" in said.stdout + said.stderr
    assert "%reject" not in eroutes(west) and "%pass" in eroutes(west)
    assert ping(lab.west, "10.2.0.2", 2).received == 2
    assert ping(lab.sunrise, "192.0.2.1", 2).received == 2


def test_a_group_is_given_up_and_taken_up_as_a_whole(lab: Lab) -> None:
    west = grouped(lab, block="10.2.0.2\n10.3.0.0/16 tcp 25\n2001:db8:2::/64\n")
    wait_for("the lines", lambda: eroutes(west).count("%reject") == 4, 5)
    assert ping(lab.west, "2001:db8:2::2", 1, wait=0.5).received == 0
    west.ipsec("auto", "--unroute", "block")
    assert "%reject" not in eroutes(west)
    assert ping(lab.west, "10.2.0.2", 2).received == 2
    assert ping(lab.west, "2001:db8:2::2", 2).received == 2
    west.ipsec("auto", "--route", "block")
    assert eroutes(west).count("%reject") == 4
    assert ping(lab.west, "10.2.0.2", 1, wait=0.5).received == 0
    west.ipsec("auto", "--replace", "block")
    assert eroutes(west).count("%reject") == 4
    west.ipsec("auto", "--delete", "block")
    assert "%reject" not in eroutes(west) and "block" not in west.status()


def test_a_restart_keeps_what_is_blocked_blocked(lab: Lab) -> None:
    west = grouped(lab, block="10.2.0.0/24\n")
    wait_for("the line", lambda: "%reject" in eroutes(west), 5)
    with Capture(lab.west) as wire:
        west.kill()
        assert ping(lab.west, "10.2.0.2", 2, wait=0.3).received == 0
        west.start()
        wait_for("the line", lambda: "%reject" in eroutes(west), 5)
        assert ping(lab.west, "10.2.0.2", 2, wait=0.3).received == 0
        assert_quiet(wire, HIDDEN)
