# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec verify --leak` finds nothing on gateways in good order, and names what others have broken.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import pytest

from tests.netns.capture import Capture
from tests.netns.conns import INNER, NET4, NET6, conn
from tests.netns.lab import Host, Lab
from tests.netns.pair import pair

CONF = conn("net4", NET4, auto="start") + conn("net6", NET6, auto="start")
EAST = CONF.replace("auto=start", "auto=add")


def past_the_tunnels(west: Host) -> None:
    """Somebody's rule that comes before ours, with a default route of its own."""
    for family, via in (("-4", "192.0.2.2"), ("-6", "2001:db8::2")):
        west.ip(family, "route", "add", "default", "via", via, "dev", "wan", "table", "77")
        west.ip(family, "rule", "add", "pref", "5", "lookup", "77")


def test_nothing_leaks_from_a_gateway_in_good_order(lab: Lab) -> None:
    both = pair(lab, CONF, EAST)
    both.settle(2)
    with Capture(lab.west) as wire:
        said = both.west.ipsec("verify", "--leak").stdout
        assert said.splitlines()[0].endswith("[OK]") and "12 of 2 flows" in said
        assert '"net4": 10.1.0.1 > 10.2.0.254 udp, tcp, icmp: into ipsec0' in said
        assert '"net4": 10.1.0.254 > 10.2.0.254 udp, tcp, icmp from lan: into ipsec0' in said
        assert '"net6": 2001:db8:1::1 > 2001:db8:2:' in said and said.count("into ipsec0") == 4
        assert "ipsecleak" not in lab.west.ip("link"), "what plays the hosts goes"
        past_the_tunnels(lab.west)
        said = both.west.ipsec("verify", "--leak").stdout
        assert said.splitlines()[0].endswith("[OK]") and said.count("held back") == 4, said
        assert not wire.leaks(INNER)


def test_a_conn_without_a_guard_leaks_by_a_foreign_rule(lab: Lab) -> None:
    text = conn("net4", NET4, auto="start", leakguard="no")
    both = pair(lab, text, text.replace("auto=start", "auto=add"))
    both.settle()
    assert both.west.ipsec("verify", "--leak").stdout.count("into ipsec0") == 2
    past_the_tunnels(lab.west)
    lab.west.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-p", "tcp", "-j", "MASQUERADE")
    with Capture(lab.west) as wire:
        done = both.west.ipsec("verify", "--leak", check=False)
        assert wire.leaks(["10.2.0.0/24"]), "the witness has seen it too"
    assert done.returncode == 1 and "[FAILED]" in done.stdout
    assert '"net4": 10.1.0.1 > 10.2.0.254 udp, icmp: LEFT IN CLEAR through wan as 10.1.0.1 > 10.2.0.254' in done.stdout
    assert "tcp: LEFT IN CLEAR through wan as 192.0.2.1 > 10.2.0.254" in done.stdout
    assert "take leakguard=no out of it" in done.stdout


@pytest.mark.long
def test_a_guard_that_was_flushed_behind_a_dead_daemon(lab: Lab) -> None:
    both = pair(lab, CONF, EAST)
    both.settle(2)
    west = both.west
    west.kill()
    past_the_tunnels(lab.west)
    assert "[OK]" in west.ipsec("verify", "--leak").stdout, "the guard stays when the daemon dies"
    lab.west.run("nft", "flush", "ruleset")
    done = west.ipsec("verify", "--leak", check=False)
    assert done.returncode == 1 and done.stdout.count("LEFT IN CLEAR through wan") == 4
    assert "ipsec setup guard puts it back" in done.stdout
    west.ipsec("setup", "guard")
    said = west.ipsec("verify", "--leak").stdout
    assert "[OK]" in said and said.count("held back") == 4


@pytest.mark.long
def test_what_leaks_of_hosts_behind_the_gateway_alone(lab: Lab) -> None:
    """A rule for packets that come in by one device: those of the gateway itself never meet it."""
    text = conn("net4", NET4, auto="start", leakguard="no")
    both = pair(lab, text, text.replace("auto=start", "auto=add"))
    both.settle()
    lab.west.sysctl(ipv4__conf__all__rp_filter=1, ipv4__conf__lan__rp_filter=1)
    assert "[OK]" in both.west.ipsec("verify", "--leak").stdout
    lab.west.ip("route", "add", "default", "via", "192.0.2.2", "dev", "wan", "table", "77")
    lab.west.ip("rule", "add", "pref", "5", "iif", "lan", "lookup", "77")
    with Capture(lab.west) as wire:
        done = both.west.ipsec("verify", "--leak", check=False)
        assert wire.leaks(["10.2.0.0/24"]), "the witness has seen it too"
    assert done.returncode == 1
    leak = "LEFT IN CLEAR through wan as 10.1.0.254 > 10.2.0.254"
    assert f'"net4": 10.1.0.254 > 10.2.0.254 udp, tcp, icmp from lan: {leak}' in done.stdout
    assert done.stdout.count("LEFT IN CLEAR") == 1, "what the gateway itself sends goes its way"
    plain = conn("net4", NET4, auto="start")
    both.west.configure(plain)
    both.west.ipsec("auto", "--replace", "net4")
    both.west.up("net4")
    said = both.west.ipsec("verify", "--leak").stdout
    assert "[OK]" in said and "from lan: held back" in said
