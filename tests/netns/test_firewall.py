# SPDX-License-Identifier: GPL-2.0-or-later
"""leftfirewall= and lefthostaccess= on gateways whose own packet filter drops what it does not know.

sunset ----lan---- west =======wan======= east ----lan---- sunrise
"""

from __future__ import annotations

import pytest

from openswan.host.nfnetlink import NF_DROP, TABLE_OWNER, Nftables, verdict
from tests.netns.conns import NET4, NET6, conn
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.pair import Pair, pair
from tests.netns.traffic import assert_ping

IKE = "-p udp -m multiport --dports 500,4500 -j ACCEPT", "-p esp -j ACCEPT"


def xtables(tool: str, host: Host) -> None:
    """A filter as iptables has it: nothing is forwarded, nothing received but IKE, ESP and answers."""
    for rule in (*(f"-A INPUT {each}" for each in IKE), "-P FORWARD DROP", "-P INPUT DROP"):
        host.run(tool, *rule.split())


NFT = """
table inet filter {
    chain forward { type filter hook forward priority filter; policy drop; }
    chain input {
        type filter hook input priority filter; policy drop;
        meta l4proto { esp, udp } accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        iifname "lo" accept
    }
    chain counted {
        type filter hook forward priority mangle; policy accept;
        counter
    }
}
"""


def nftables(host: Host) -> None:
    """The same in nft, beside a chain that only counts."""
    host.run("nft", "-f", "-", input=NFT)


FILTERS = {
    "iptables-nft": lambda host: xtables("iptables-nft", host),
    "iptables-legacy": lambda host: xtables("iptables-legacy", host),
    "nft": nftables,
}


def rules(host: Host) -> str:
    """Every rule of ours, wherever it is."""
    commands = "nft -s list ruleset; iptables-nft-save; iptables-legacy-save; ip6tables-nft-save"
    text = host.run("sh", "-c", commands, check=False).stdout
    return "\n".join(line.strip() for line in text.splitlines() if "ipsec-fw" in line or 'comment "net' in line)


def answers(host: Host, target: str) -> bool:
    return " 1 received" in host.run("ping", "-c", "1", "-W", "0.3", target, check=False).stdout


def opened(lab: Lab, base: dict[str, str], **more: str) -> Pair:
    """A pair whose west alone filters."""
    return pair(lab, conn("net", base, leftfirewall="yes", auto="add", **more), conn("net", base, auto="add"))


@pytest.mark.matrix
@pytest.mark.parametrize("kind", FILTERS)
def test_what_is_forwarded_passes_while_the_tunnel_is_up(lab: Lab, kind: str) -> None:
    FILTERS[kind](lab.west)
    both = opened(lab, NET4)
    both.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    assert_ping(lab.sunrise, "10.1.0.2")
    assert not answers(lab.sunrise, "10.1.0.1"), "only lefthostaccess=yes opens the host itself"
    assert not answers(lab.sunset, "192.0.2.2"), "what goes elsewhere is nobody's business"
    both.west.ipsec("auto", "--down", "net")
    wait_for("the end of the opening", lambda: rules(lab.west) == "", 20)


@pytest.mark.matrix
@pytest.mark.parametrize("kind", ["iptables-legacy", "nft"])
def test_the_host_itself_is_open_to_the_tunnel_and_to_nothing_else(lab: Lab, kind: str) -> None:
    FILTERS[kind](lab.west)
    both = opened(lab, NET4, lefthostaccess="yes")
    both.up("net")
    assert_ping(lab.sunrise, "10.1.0.1")
    assert_ping(lab.west, "10.2.0.2")
    assert_ping(lab.sunrise, "10.1.0.2")
    assert not answers(lab.sunset, "10.1.0.1"), "who comes by another device meets the filter"
    both.west.ipsec("auto", "--down", "net")
    wait_for("the end of the opening", lambda: rules(lab.west) == "", 20)


def test_ipv6(lab: Lab) -> None:
    nftables(lab.west)
    for rule in ("-P FORWARD DROP",):
        lab.west.run("ip6tables-nft", *rule.split())
    both = opened(lab, NET6, lefthostaccess="yes")
    both.up("net")
    assert_ping(lab.sunset, "2001:db8:2::2")
    assert_ping(lab.sunrise, "2001:db8:1::1")
    listed = lab.west.run("nft", "list", "chain", "inet", "filter", "ipsec-fw-fwd").stdout
    assert 'iifname "ipsec0" ip6 saddr 2001:db8:2::/64 ip6 daddr 2001:db8:1::/64 accept comment "net"' in listed
    both.west.ipsec("auto", "--down", "net")
    wait_for("the end of the opening", lambda: rules(lab.west) == "", 20)


def test_host_to_host(lab: Lab) -> None:
    """Nothing is forwarded: leftfirewall=yes alone opens the host, as the classic scripts did."""
    xtables("iptables-nft", lab.west)
    both = opened(lab, {"left": "192.0.2.1", "right": "192.0.2.2", "authby": "secret"})
    both.up("net")
    assert_ping(lab.east, "192.0.2.1")
    assert "FORWARD" not in rules(lab.west)


def test_ports_and_protocols_are_part_of_the_opening(lab: Lab) -> None:
    FILTERS["nft"](lab.west)
    xtables("iptables-nft", lab.west)
    both = pair(
        lab,
        conn("net", NET4, leftfirewall="yes", auto="add", leftprotoport="udp/0", rightprotoport="udp/7777"),
        conn("net", NET4, auto="add", leftprotoport="udp/0", rightprotoport="udp/7777"),
    )
    both.up("net")
    found = rules(lab.west)
    way = "-s 10.1.0.0/24 -d 10.2.0.0/24 -o ipsec0 -p udp -m udp --dport 7777"
    back = "-s 10.2.0.0/24 -d 10.1.0.0/24 -i ipsec0 -p udp -m udp --sport 7777"
    assert f"-A ipsec-fw-fwd {way} -m comment --comment net -j ACCEPT" in found, found
    assert f"-A ipsec-fw-fwd {back} -m comment --comment net -j ACCEPT" in found, found
    assert 'oifname "ipsec0" ip saddr 10.1.0.0/24 ip daddr 10.2.0.0/24 udp dport 7777 accept comment "net"' in found
    assert 'iifname "ipsec0" ip saddr 10.2.0.0/24 ip daddr 10.1.0.0/24 udp sport 7777 accept comment "net"' in found


FLUSHES = {
    "iptables-legacy": "iptables-legacy -F FORWARD; iptables-legacy -F ipsec-fw-fwd; iptables-legacy -X",
    "nft": "nft flush ruleset; printf %s {} | nft -f -",
}


@pytest.mark.matrix
@pytest.mark.parametrize("kind", FLUSHES)
def test_what_somebody_flushes_is_put_back(lab: Lab, kind: str) -> None:
    FILTERS[kind](lab.west)
    both = opened(lab, NET4)
    both.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    before = rules(lab.west)
    lab.west.run("sh", "-c", FLUSHES[kind].format(f"'{NFT}'"))
    wait_for("the opening", lambda: rules(lab.west) == before, 20)
    assert_ping(lab.sunset, "10.2.0.2")


def test_a_filter_that_comes_later_is_opened(lab: Lab) -> None:
    both = opened(lab, NET4)
    both.up("net")
    assert rules(lab.west) == "", "there is nothing to open"
    xtables("iptables-legacy", lab.west)
    nftables(lab.west)
    wait_for(
        "the openings",
        lambda: rules(lab.west).count("-j ACCEPT") == rules(lab.west).count('accept comment "net"') == 2,
        20,
    )
    assert_ping(lab.sunset, "10.2.0.2")


def test_a_chain_that_drops_nothing_is_left_alone(lab: Lab) -> None:
    nftables(lab.west)
    both = opened(lab, NET4)
    both.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    chain = lab.west.run("nft", "list", "chain", "inet", "filter", "counted").stdout
    assert "jump" not in chain and "counter packets 0 " not in chain


def test_two_conns_that_open_the_same_close_it_one_by_one(lab: Lab) -> None:
    """The same selector by two conns of which one has it at a time, and what both have beside it."""
    xtables("iptables-nft", lab.west)
    shared = {**NET4, "overlapip": "yes", "leftfirewall": "yes", "auto": "add"}
    text = conn("net", shared) + conn("net2", shared, rightsubnet="10.2.0.0/25")
    both = pair(lab, text, text.replace("leftfirewall=yes", "leftfirewall=no"))
    both.up("net", "net2")
    assert rules(lab.west).count("-j ACCEPT") == 4
    both.west.ipsec("auto", "--down", "net2")
    wait_for("the end of one", lambda: rules(lab.west).count("-j ACCEPT") == 2, 20)
    assert "--comment net -j" in rules(lab.west)
    for gateway in (both.west, both.east):
        gateway.ipsec("auto", "--delete", "net2")
    assert_ping(lab.sunset, "10.2.0.2")


def test_a_killed_daemon_leaves_nothing_open_but_ipsec0_and_the_next_one_closes_it(lab: Lab) -> None:
    xtables("iptables-nft", lab.west)
    both = opened(lab, NET4)
    both.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    both.west.kill()
    left = [line for line in rules(lab.west).splitlines() if "-j ACCEPT" in line]
    assert len(left) == 2 and all("-i ipsec0" in line or "-o ipsec0" in line for line in left)
    lab.west.ip("link", "del", "ipsec0")
    assert not answers(lab.sunset, "10.2.0.2")
    both.west.start()
    assert rules(lab.west) == ""


def test_an_orderly_end_closes_everything(lab: Lab) -> None:
    nftables(lab.west)
    both = opened(lab, NET4)
    both.up("net")
    assert rules(lab.west)
    both.west.stop()
    assert rules(lab.west) == ""


def test_a_table_that_belongs_to_somebody_else_is_named(lab: Lab) -> None:
    """An owned table cannot be changed by others: the tunnel comes up, and the log says who has to open it."""
    with lab.west.inside():
        owner = Nftables("fence")
    chain = owner.base_chain("forward", "filter", "forward", 0)
    owner.commit([owner.new_table(TABLE_OWNER), chain, owner.rule("forward", [verdict(NF_DROP)])])
    both = opened(lab, NET4)
    said = both.west.up("net")
    line = "leftfirewall=yes has no effect in the nft table inet fence: it belongs to another process"
    assert line in said or line in both.west.log(), said
    assert not answers(lab.sunset, "10.2.0.2")
    owner.close()


def test_a_script_of_the_users_that_ends_in_the_default_command_opens_too(lab: Lab) -> None:
    xtables("iptables-nft", lab.west)
    script = lab.dir / "updown"
    script.write_text('#!/bin/sh\nexec ipsec _updown "$@"\n')
    script.chmod(0o755)
    both = opened(lab, NET4, leftupdown=str(script))
    both.up("net")
    assert_ping(lab.sunset, "10.2.0.2")
    before = rules(lab.west)
    lab.west.run("iptables-nft", "-F", "FORWARD")
    wait_for("the opening", lambda: rules(lab.west) == before, 20)
    both.west.ipsec("auto", "--down", "net")
    wait_for("the end of the opening", lambda: rules(lab.west) == "", 20)


def test_peers_who_prove_nothing_are_never_let_in(lab: Lab) -> None:
    xtables("iptables-nft", lab.west)
    both = opened(lab, {**NET4, "authby": "null"}, lefthostaccess="yes")
    both.up("net")
    assert rules(lab.west) == "" and "FIREWALL" not in both.west.status()
    assert not answers(lab.sunset, "10.2.0.2")


def test_a_gateway_that_masquerades(lab: Lab) -> None:
    """Sources of the tunnel stay as they are, everything else is translated."""
    xtables("iptables-nft", lab.west)
    lab.west.run("iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE")
    ports = {"leftprotoport": "udp/0", "rightprotoport": "udp/7777"}
    both = pair(
        lab,
        conn("net", NET4, leftfirewall="yes", auto="add")
        + conn(
            "port", NET4, leftsubnet="10.1.0.0/24", rightsubnet="10.2.0.2/32", leftfirewall="yes", auto="add", **ports
        ),
        conn("net", NET4, auto="add") + conn("port", NET4, rightsubnet="10.2.0.2/32", auto="add", **ports),
    )
    both.up("net", "port")
    heard = lab.sunrise.start("tcpdump", "-nli", "lan", "-c", "1", "src", "10.1.0.2")
    assert_ping(lab.sunset, "10.2.0.2")
    heard.wait(5)
