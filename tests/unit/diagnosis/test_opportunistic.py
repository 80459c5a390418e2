# SPDX-License-Identifier: GPL-2.0-or-later
"""What the DNS advertises of a host under a policy group, and nobody there keeps."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.diagnosis.facts import Facts, Peer, Record, Way
from openswan.diagnosis.finding import ALARM
from openswan.diagnosis.firewall import read_iptables
from tests.unit.diagnosis.world import ME, codes, config, first, up

DEAD, OTHER = ip_address("203.0.113.66"), ip_address("203.0.113.67")
RECORD = Record("66.113.0.203.in-addr.arpa", "IPSECKEY", DEAD, True)
SILENCE = {500: False, 4500: False}
WRONG = "Signature check (on 203.0.113.66) failed (wrong key?): signature by Ed25519 does not verify"


def world(*peers: Peer, records: tuple[Record, ...] = (RECORD,), **pair: Any) -> Facts:
    """A pair with the dead host, under a group's line, as `ipsec status --json` has it."""
    row = {"src": str(ME), "dst": str(DEAD), "line": "private#203.0.113.66/32", "meets": "%drop",
           "reason": "no answer to IKE", "text": f"{DEAD}: dropped since 17:05, no answer to IKE", **pair}  # fmt: skip
    known = peers or (Peer(address=DEAD, way=Way("wan", source=ME), answers=SILENCE),)
    return replace(
        up(),
        address=DEAD,
        config=config(""),
        pairs=(row,),
        records=records,
        gateways={peer.address: peer for peer in known if peer.address is not None},
    )


def test_a_dead_host_is_the_first_cause() -> None:
    found = first(world())
    assert found.code == "dead-record" and found.weight >= ALARM and str(DEAD) in found.cause
    assert found.evidence == (
        "DNS: 66.113.0.203.in-addr.arpa IPSECKEY, gateway 203.0.113.66, signed",
        f"pair {ME} {DEAD}: dropped since 17:05, no answer to IKE",
        f"IKE ping of {DEAD}: no answer on UDP ports 500 and 4500",
    )
    assert "ipsec setup start" in found.remedy and "ipsec publish --remove" in found.remedy
    assert "move the line 203.0.113.66/32 of ipsec.d/policies/private into" in found.remedy


def test_of_a_wider_line_the_host_alone_gets_another_group() -> None:
    assert "write the line 203.0.113.66/32 into ipsec.d/policies/private-or-clear" in first(
        world(line="private#203.0.113.0/24")
    ).remedy  # fmt: skip


def test_a_pair_that_was_decided_before_the_dns_answered_says_nothing_about_the_host() -> None:
    """What is asked now counts: the record that has come, and that nobody answers at what it names."""
    late = world(reason="no answer from the DNS yet", text=f"{DEAD}: dropped since 17:05, no answer from the DNS yet")
    assert first(late).code == "dead-record"


def test_what_icmp_and_the_link_say_is_evidence() -> None:
    refused = Peer(address=DEAD, answers=SILENCE, errors={500: "Connection refused"})
    assert first(world(refused)).evidence[-1].endswith("(Connection refused)")
    assert first(world(Peer(address=DEAD, answers=SILENCE, neighbour="FAILED"))).evidence[-1].endswith("neigh: FAILED)")


def test_in_clear_it_is_less_and_there_is_nothing_to_change_here() -> None:
    found = first(world(meets="%pass", line="private-or-clear#203.0.113.66/32"))
    assert found.code == "dead-record" and found.weight < first(world()).weight
    assert "goes in clear" in found.cause and "policies" not in found.remedy


def test_while_first_packets_wait_the_ping_tells() -> None:
    assert codes(world(meets="%hold", reason=None)) == ["dead-record"]
    assert codes(world(Peer(address=DEAD), meets="%hold", reason=None)) == []


def test_without_a_ping_the_daemon_knows() -> None:
    found = first(world(Peer(address=DEAD)))
    assert found.code == "dead-record" and "not asked" in found.evidence[-1]


@pytest.mark.parametrize(
    "facts",
    [
        world(Peer(address=DEAD, answers={500: True, 4500: True})),
        world(meets="tunnel", reason=None),
        world(records=()),
        world(Peer(address=DEAD, way=Way(error="no route"))),
        world(reason="no answer to IKE_AUTH: perhaps it does not take our proof"),
        world(
            Peer(address=DEAD, answers=SILENCE),
            Peer(address=OTHER, answers={500: True, 4500: False}),
            records=(RECORD, replace(RECORD, gateway=OTHER)),
        ),
    ],
    ids=["answers", "tunnel", "no record", "no route from here", "has answered", "another gateway answers"],
)
def test_no_alarm(facts: Facts) -> None:
    assert codes(facts) == []


def test_our_own_firewall_is_no_death() -> None:
    rule = "-A OUTPUT -p udp -m udp --dport 500 -j DROP"
    text = f"*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rule}\n"
    facts = replace(world(), firewall=read_iptables(text))
    assert codes(facts) == ["firewall-out-500"] and first(facts).remedy == "iptables -D " + rule.removeprefix("-A ")


def test_a_key_that_the_peer_does_not_have() -> None:
    """However late its answer to the ping may be."""
    for answers in ({500: True, 4500: True}, SILENCE):
        found = first(world(Peer(address=DEAD, answers=answers), reason=WRONG))
        assert found.code == "record-key" and "ipsec publish" in found.remedy and RECORD.owner in found.remedy
