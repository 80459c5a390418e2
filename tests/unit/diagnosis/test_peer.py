# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes on the way to the peer and at the peer."""

from dataclasses import replace
from typing import Any

import pytest

from openswan.diagnosis.facts import Facts, Line, Peer, Way
from openswan.diagnosis.firewall import read_iptables
from tests.unit.diagnosis.world import CONF, HIM, ME, NOW, codes, config, down, first, up

FILTER = "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"


def peer(**what: Any) -> Facts:
    return replace(down(("retransmission", '"net" #1: x')), peers={"net": Peer(**{"address": HIM, **what})})


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (peer(name="gw.example.org", address=None, lookup="no such name"), "peer-name"),
        (peer(way=Way(error="no route from here to 198.51.100.7: Network is unreachable")), "no-route"),
        (peer(way=Way("wan"), neighbour="FAILED", answers={500: False, 4500: False}), "no-neighbour"),
        (peer(answers={500: False, 4500: False}, errors={500: "Connection refused"}), "peer-port-closed"),
        (peer(answers={500: False, 4500: False}, errors={500: "No route to host"}), "peer-unreachable"),
        (peer(answers={500: False, 4500: False}), "peer-silent"),
        (peer(answers={500: False, 4500: True}), "udp-500-blocked"),
        (peer(answers={500: True, 4500: False}), "udp-4500-blocked"),
    ],
)
def test_the_way_there(facts: Facts, code: str) -> None:
    assert first(facts).code == code


def test_a_dead_resolver_is_told_from_a_wrong_name() -> None:
    facts = peer(name="gw.example.org", address=None, lookup="no DNS server answered")
    facts = replace(facts, machine=replace(facts.machine, nameserver="no DNS server answered"))
    assert first(facts).code == "dead-resolver" and "/etc/resolv.conf" in first(facts).remedy


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("-A INPUT -p udp -m udp --dport 500 -j DROP", "firewall-in-500"),
        ("-A OUTPUT -p udp -m udp --dport 4500 -j DROP", "firewall-out-4500"),
        ("-A INPUT -p esp -j DROP", "firewall-in-esp"),
    ],
)
def test_our_own_firewall(rule: str, code: str) -> None:
    facts = peer(way=Way("wan", source=ME), answers={500: True, 4500: True})
    found = first(replace(facts, firewall=read_iptables(FILTER + rule + "\n")))
    assert found.code == code and found.remedy == "iptables -D " + rule.removeprefix("-A ")


def test_esp_that_does_not_pass() -> None:
    facts = up()
    rows = tuple({**row, "packets": 5 if row["direction"] == "out" else 0} for row in facts.sas)
    said = (Line(NOW - 5, "esp-blocked", '"net" #1: IKE up, ESP blocked'),)
    found = first(replace(facts, sas=rows, log=said))
    assert found.code == "esp-blocked" and "encapsulation=yes" in found.remedy
    assert "esp-blocked" not in codes(replace(facts, log=said))


def test_what_the_log_says() -> None:
    text = "packet from 198.51.100.7:500: rejecting I1: no acceptable IKE proposal"
    found = first(down(("ike-failed", text)))
    assert (found.code, found.evidence, found.conn) == ("ike-mismatch", (text,), "net")
    other = down(("ike-failed", text.replace("198.51.100.7", "203.0.113.5")))
    assert "ike-mismatch" not in codes(other)
    assert "ike-mismatch" not in codes(replace(up(), log=(Line(NOW, "ike-failed", text),)))


def test_what_no_rule_explains_is_still_shown() -> None:
    facts = down(("failed", '"net" #1: negotiation failed: the moon is full'))
    assert first(facts).code == "negotiation-failed" and "moon" in first(facts).evidence[0]


def test_a_stranger_calls() -> None:
    text = (
        "packet from 203.0.113.9:500: initial message received on 192.0.2.1:500 but no connection has been authorized"
    )
    found = first(down(("ike-failed", text), wanted=False))
    assert found.code == "no-conn-for-peer" and "left=192.0.2.1 and right=203.0.113.9" in found.remedy
    assert "no-conn-for-peer" not in codes(replace(down(("ike-failed", text)), target="net"))


def test_a_peer_that_is_away_is_a_remark_until_somebody_wants_it() -> None:
    away = replace(down(wanted=False), peers={"net": Peer(address=HIM, answers={500: False, 4500: False})})
    assert first(away).code == "peer-silent" and first(away).weight < 30
    assert first(replace(away, target="net")).weight > 30


def test_nobody_has_brought_it_up() -> None:
    facts = replace(down(wanted=False), target="net")
    assert first(facts).code == "not-up" and first(facts).remedy == "ipsec auto --up net"
    assert codes(down(routing="prospective erouted")) == ["waiting"]


@pytest.mark.parametrize(
    ("more", "remedy"), [("", "let larger packets pass"), ("\tfragmentation=no\n", "fragmentation=yes in conn net")]
)
def test_small_messages_pass_and_large_ones_do_not(more: str, remedy: str) -> None:
    text = '"net" #1: max number of retransmissions (2) reached STATE_PARENT_I2.  Possible authentication failure'
    facts = down(("no-answer", text))
    facts = replace(facts, config=config(CONF + more))
    assert first(facts).code == "large-ike" and first(facts).remedy.startswith(remedy)
    assert "large-ike" not in codes(down(("no-answer", text.replace("I2", "I1"))))
    deaf = {"net": Peer(address=HIM, answers={500: True, 4500: False})}
    assert first(replace(facts, peers=deaf)).code == "udp-4500-blocked"


def test_what_the_log_says_of_peers_that_may_be_anybody() -> None:
    facts = replace(down(), config=config(CONF.replace("198.51.100.7", "%any")), peers={})
    named = Line(NOW - 5, "ike-failed", 'packet from 203.0.113.5:500: "net": PSK authentication failed AUTH mismatch!')
    assert first(replace(facts, log=(named,))).code == "psk-mismatch"
    other = replace(named, text="packet from 203.0.113.5:500: rejecting I1: no acceptable IKE proposal")
    assert first(replace(facts, log=(other,), target="net")).code == "ike-mismatch"
    assert "ike-mismatch" not in codes(replace(facts, log=(other,)))
    assert "psk-mismatch" not in codes(replace(facts, log=(replace(named, text=named.text.replace("net", "nat")),)))


def test_clients_that_throw_each_other_out() -> None:
    text = '"net"[1] 198.51.100.9 #1: peer says INITIAL_CONTACT on a newer SA, deleting this one'
    often = tuple(Line(NOW - 60 * number, "ike", text) for number in (3, 2, 1))
    assert first(replace(up(), log=often)).code == "duplicate-id"
    assert codes(replace(up(), log=often[1:])) == []
    assert codes(replace(up(), log=tuple(replace(line, time=NOW - 3600) for line in often))) == []
