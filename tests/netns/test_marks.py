# SPDX-License-Identifier: GPL-2.0-or-later
"""Another mask for our marks, beside a firewall that has all the bits we have else, and wants them back as they were.

sunset ---lan--- west =======wan======= east ---lan--- sunrise
10.1.0.2          192.0.2.1        192.0.2.2          10.2.0.2
"""

from __future__ import annotations

import pytest

from tests.netns.capture import Capture
from tests.netns.conns import conn
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.test_oe import HERE as NOBODYS
from tests.netns.test_oegateway import clear
from tests.netns.traffic import ping

SETUP = "version 2.0\nconfig setup\n    fwmark-mask=0x0f000000\n\n"
PSK = ': PSK "correct horse battery staple"\n'
ENDS = {"left": "192.0.2.1", "leftsubnet": "10.1.0.2/32", "right": "192.0.2.2", "rightsubnet": "10.2.0.0/24"}
SITE = conn("site", ENDS, authby="secret", auto="route")
OPEN = conn("open", NOBODYS, leftsubnet="10.1.0.0/24", failureshunt="passthrough", holdtimeout="1")
OTHER = "10.1.0.3"
MINE = "0xf000/0xf000"
"""All of the firewall's bits, which are ours by default."""


def firewall(host: Host) -> None:
    """All that comes by or goes out has these bits, and what leaves with them is counted."""
    for chain in ("PREROUTING", "OUTPUT"):
        host.run("iptables", "-t", "mangle", "-I", chain, "-j", "MARK", "--set-xmark", MINE)
    for device in ("wan", "ipsec0"):
        host.run("iptables", "-t", "mangle", "-A", "POSTROUTING", "-o", device, "-m", "mark", "--mark", MINE)
        host.run("iptables", "-t", "mangle", "-A", "POSTROUTING", "-o", device, "-m", "mark", "!", "--mark", MINE)


def counted(host: Host) -> dict[str, tuple[int, int]]:
    """By device: packets that left with the firewall's bits, and without."""
    text = host.run("iptables-save", "-c", "-t", "mangle").stdout
    found: dict[str, list[int]] = {}
    for line in text.splitlines():
        if "-A POSTROUTING" in line and "--mark" in line:
            found.setdefault(line.split(" -o ")[1].split()[0], []).append(int(line[1:].split(":")[0]))
    return {device: (counts[0], counts[1]) for device, counts in found.items()}


@pytest.mark.long
def test_a_firewall_that_has_our_usual_bits(lab: Lab) -> None:
    """A tunnel, its guard, and a pair that goes in clear: each as ever, and no packet has lost a bit of others."""
    firewall(lab.west)
    west = Gateway(lab.west, SETUP + SITE + OPEN, PSK)
    (west.dir / "ipsec.d" / "policies" / "open").write_text("198.51.100.0/24\n")
    east = Gateway(lab.east, SETUP + SITE, PSK)
    lab.east.ip("addr", "add", "198.51.100.9/32", "dev", "lan")
    for each in (east, west):
        each.start()
    assert "not from all fwmark 0x1000000/0x1000000 lookup 50" in lab.west.ip("rule", "show")
    lab.sunset.ip("addr", "add", f"{OTHER}/24", "dev", "lan")
    with Capture(lab.west) as wire:
        west.up("site")
        assert ping(lab.sunset, "10.2.0.2", 3, wait=5).received == 3
        assert clear(wire, "10.1.0.2", "10.2.0.2") == []
        assert ping(lab.sunset, "198.51.100.9", 3, OTHER, wait=8).received == 3, "held, then in clear"
        wait_for("what passes", lambda: clear(wire, OTHER, "198.51.100.9"), 5)
        east.stop()
        assert ping(lab.sunset, "10.2.0.2", 2, wait=1).received == 0
        assert clear(wire, "10.1.0.2", "10.2.0.2") == [], "guarded"
    decided = lab.west.run("nft", "list", "map", "ip", "openswan_oe", "decided").stdout
    assert f"{OTHER} . 198.51.100.9" in decided and "0x03000000" in decided
    counts = counted(lab.west)
    assert counts["ipsec0"][0] > 0 and counts["wan"][0] > 0 and counts["ipsec0"][1] == counts["wan"][1] == 0


def test_whose_policy_rules_look_at_our_bits_is_warned(lab: Lab) -> None:
    lab.west.ip("rule", "add", "pref", "100", "fwmark", "0x2000/0x3000", "lookup", "main")
    west = Gateway(lab.west, SITE, PSK)
    west.start()
    wanted = "ip rule 100 looks at 0x3000 of the mark, and bits of 0xf000 are ours"
    wait_for("the warning", lambda: wanted in west.log(), 15)
