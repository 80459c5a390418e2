# SPDX-License-Identifier: GPL-2.0-or-later
"""Opportunistic encryption over IKEv1, as it was: Main Mode, RSA keys in the DNS, Quick Mode with delegation."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from openswan.base.said import Said, Shunt
from openswan.engine.oeevents import Learned, Verdict
from openswan.policy.connection import Connection, End, Host, HostKind, ShuntPolicy
from openswan.policy.gateways import Published, reverse_name
from openswan.policy.grade import Grade
from openswan.policy.identity import MY_ID
from tests.sim.net import PERFECT, Faults
from tests.sim.pair import EAST, WEST, Pair, SimHost, conn, make_pair, rsa_key
from tests.sim.test_groups import ready, target
from tests.sim.test_oedns import KEYS, LOSSY, RSA, both, grade_at, group, publish, secrets
from tests.sim.test_oegateway import BEHIND, INSIDE, OTHER, gateways, lan, meets
from tests.sim.test_oegateway import publish as publish_behind

PRIVATE = group(**RSA)
PERMISSIVE = group("private-or-clear", ShuntPolicy.PASS, **RSA)
NEWER = group("private-or-clear", ShuntPolicy.PASS)


def v1_everywhere(pair: Pair) -> bool:
    return all(ike.version == 1 for host in (pair.west, pair.east) for ike in host.pluto.core.states.ikes.values())


@pytest.mark.parametrize("grade", [Grade.DNS, Grade.DNSSEC], ids=str)
def test_the_first_packet_waits_for_dns_and_main_mode(grade: Grade) -> None:
    pair = both(PRIVATE, PRIVATE, grade=grade)
    for _ in range(3):
        pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    back = pair.send(pair.east, EAST, WEST)
    assert pair.run(1.0, lambda: back in pair.west.klips.delivered)
    assert grade_at(pair.west) is grade_at(pair.east) is grade
    assert pair.west.questions == [EAST] and pair.east.questions == [reverse_name(ip_address(WEST))]
    assert pair.west.clear == pair.east.clear == [] and v1_everywhere(pair)
    pair.sane()


@pytest.mark.parametrize("seed", range(8))
def test_both_begin_at_once_on_a_bad_line(seed: int) -> None:
    patient = {"retransmit_timeout": 30.0, **RSA}
    pair = both(group(**patient), group("private-or-clear", ShuntPolicy.PASS, **patient), LOSSY, seed)
    for _ in range(5):
        pair.send(pair.west, WEST, EAST)
        pair.send(pair.east, EAST, WEST)
    pair.run(40.0)
    assert isinstance(target(pair.west, EAST), Said) and isinstance(target(pair.east, WEST), Said)
    assert pair.west.clear == [] and pair.agreed() and v1_everywhere(pair)
    pair.sane()


def test_who_shows_another_key_is_nobody() -> None:
    """Either way: the responder's key is another one than the DNS names, or the initiator's is."""
    for wrong in (WEST, EAST):
        pair = both(PRIVATE, PRIVATE)
        publish(pair, wrong, rsa_key(3))
        pair.send(pair.west, WEST, EAST)
        pair.run(8.0)
        assert target(pair.west, EAST) is Shunt.DROP and not pair.east.klips.sas, wrong
        lines = (pair.west if wrong == EAST else pair.east).lines
        assert any("tried 1 keys but none worked" in line for line in lines), lines
        assert pair.east.klips.delivered == []
        pair.sane()


@pytest.mark.parametrize("kind", ["ecdsa", "eddsa"])
def test_keys_that_ikev1_cannot_use_are_no_keys(kind: str) -> None:
    pair = both(PRIVATE, PRIVATE, keys=(rsa_key(1), KEYS[kind]))
    pair.send(pair.west, WEST, EAST)
    pair.run(12.0)
    assert target(pair.west, EAST) is Shunt.DROP and not pair.east.klips.sas and pair.west.clear == []
    pair.sane()


def test_a_stranger_without_a_record_and_one_that_claims_to_be_somebody_else() -> None:
    pair = both(PRIVATE, PRIVATE)
    pair.east.dns[reverse_name(ip_address(WEST))] = Published((), reason="no key is published")
    pair.send(pair.west, WEST, EAST)
    pair.run(8.0)
    assert not pair.east.klips.sas and target(pair.west, EAST) is Shunt.DROP
    assert any("the DNS has no public key for '192.0.2.1': no key is published" in line for line in pair.east.lines)


def test_a_dns_that_never_answers_the_responder() -> None:
    pair = both(PRIVATE, PRIVATE)
    del pair.east.dns[reverse_name(ip_address(WEST))]
    pair.send(pair.west, WEST, EAST)
    pair.run(80.0)
    assert pair.east.empty() and target(pair.west, EAST) is Shunt.DROP


@pytest.mark.parametrize(("policy", "shunt"), [(PRIVATE, Shunt.DROP), (PERMISSIVE, Shunt.PASS)], ids=["drop", "pass"])
@pytest.mark.parametrize("newer", ["west", "east"])
def test_ends_of_different_versions_go_the_way_of_their_group(policy: Connection, shunt: Shunt, newer: str) -> None:
    """One version is no other's: nothing is encrypted, and what may go in clear does after the hold."""
    west, east = (group(policy.name, policy.failure_shunt), policy) if newer == "west" else (policy, NEWER)
    pair = both(west, east)
    first = pair.send(pair.west, WEST, EAST)
    pair.run(12.0)
    assert target(pair.west, EAST) is shunt and not pair.west.klips.sas
    assert pair.west.clear == ([first] if shunt is Shunt.PASS else [])
    assert not any("ikev2=no" in line for line in pair.west.lines), "strangers are no reason to change a conn"


def test_a_host_behind_the_gateway_finds_one_that_is_not() -> None:
    """Quick Mode waits until the DNS has said that the host has this gateway: its first message is asked again."""
    host = group(**{**RSA, "retransmit_timeout": 8.0})
    pair = gateways(host, west=lan("10.1.0.0/16", **{**RSA, "retransmit_timeout": 8.0}))
    pair.send(pair.west, INSIDE, EAST)
    assert pair.run(6.0, lambda: not pair.missing()), pair.east.lines[-6:]
    assert pair.east.questions == [reverse_name(ip_address(WEST)), INSIDE]
    assert any("the gateways of 10.1.0.2 are being looked up, before Quick Mode" in line for line in pair.east.lines)
    assert meets(pair.west, OTHER, EAST) is Shunt.TRAP and meets(pair.east, EAST, OTHER) is Shunt.TRAP
    pair.send(pair.west, OTHER, EAST)
    assert pair.run(8.0, lambda: isinstance(meets(pair.west, OTHER, EAST), Said))
    assert len(pair.west.pluto.core.states.ikes) == 1 and v1_everywhere(pair)
    pair.sane()


@pytest.mark.parametrize("seed", range(4))
def test_both_ends_are_gateways(seed: int) -> None:
    patient = {"retransmit_timeout": 30.0, **RSA}
    faults = Faults(loss=0.2, duplicate=0.1) if seed else PERFECT
    pair = gateways(lan("10.2.0.0/16", **patient), faults, seed, lan("10.1.0.0/16", **patient))
    first = pair.send(pair.west, INSIDE, BEHIND)
    if seed:
        pair.send(pair.east, BEHIND, INSIDE)
    assert pair.run(40.0, lambda: isinstance(meets(pair.west, INSIDE, BEHIND), Said))
    assert pair.run(40.0, lambda: isinstance(meets(pair.east, BEHIND, INSIDE), Said))
    pair.run(5.0)
    assert seed or first in pair.east.klips.delivered
    assert pair.west.clear == pair.east.clear == [] and pair.agreed() and v1_everywhere(pair)
    pair.sane()


def oppo(host: SimHost, here: str, there: str, pair: Pair) -> tuple[int, str]:
    """`ipsec whack --oppohere HERE --oppothere THERE`, to its end; the last line."""
    client = host.request("oppo", here=here, there=there)
    assert pair.run(12.0, lambda: client in host.finished)
    return host.whack[client][-1]


def test_the_scenario_of_old_with_two_conns_at_each_end() -> None:
    """ipsec-oppo: west and east for themselves (-me) and for nets behind them (-mine), one after the other."""
    behind = {WEST: ip_network("10.1.0.8/30"), EAST: ip_network("10.2.0.20/30")}
    pair = make_pair(west_secrets=secrets(rsa_key(1)), east_secrets=secrets(rsa_key(2)))
    values = {**RSA, "keying_tries": 2, "retransmit_timeout": 5.0}
    for host in (pair.west, pair.east):
        mine = str(host.address)
        for name, net in (("me", None), ("mine", behind[mine])):
            here = End(Host(HostKind.DEFAULTROUTE), MY_ID, dns_key=True, subnet=net)
            far = End(Host(HostKind.OPPORTUNISTIC), dns_key=True, subnet=ip_network("0.0.0.0/0"))
            ready(host, conn(f"ipsec-oppo-{name}", here, far, **values))
    for address, key in ((WEST, rsa_key(1)), (EAST, rsa_key(2))):
        publish_behind(pair, address, key)
    for host, key, there in (("10.1.0.10", rsa_key(1), WEST), ("10.1.0.11", rsa_key(1), WEST),
                             ("10.2.0.21", rsa_key(2), EAST), ("10.2.0.22", rsa_key(2), EAST)):  # fmt: skip
        publish_behind(pair, host, key, there)
    # Neither end's other hosts are in the DNS.
    nobody = ip_address("10.2.0.23")
    reason = "no host 23.0.2.10.in-addr.arpa. for TXT record"
    pair.west.dns[str(nobody)] = Learned(nobody, Verdict.NONE, (), 300.0, reason)
    for here, there in ((WEST, EAST), (WEST, "10.2.0.21"), ("10.1.0.11", EAST), ("10.1.0.10", "10.2.0.22")):
        code, text = oppo(pair.west, here, there, pair)
        assert (code, f"{here} -> {there}: encrypted, grade dnssec") == (4, text), pair.west.lines[-8:]
        assert isinstance(meets(pair.west, here, there), Said)
        assert pair.run(2.0, lambda a=there, b=here: isinstance(meets(pair.east, a, b), Said))
    assert len(pair.west.pluto.core.states.ikes) == 1, "one Main Mode, four Quick Modes"
    assert oppo(pair.west, "10.2.0.22", "10.1.0.10", pair) == (
        33, "no routed template covers this pair: 10.2.0.22 -> 10.1.0.10"
    )  # fmt: skip
    code, text = oppo(pair.west, "10.1.0.10", "10.2.0.23", pair)
    assert code == 33 and reason in text
    # Our client's record is the peer's to look up.
    pair.east.dns["10.1.0.8"] = Learned(ip_address("10.1.0.8"), Verdict.NONE, (), 300.0, "no host 8.0.1.10")
    code, text = oppo(pair.west, "10.1.0.8", "10.2.0.22", pair)
    assert code == 33 and not isinstance(meets(pair.west, "10.1.0.8", "10.2.0.22"), Said)
    assert pair.west.clear == pair.east.clear == [] and v1_everywhere(pair)
    pair.sane()
