# SPDX-License-Identifier: GPL-2.0-or-later
"""Opportunistic encryption with keys from a scripted DNS: who is called, who is believed, what becomes of packets."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from openswan.base.said import Said, Shunt
from openswan.config.secrets import Secret, SecretKind, SecretStore
from openswan.crypto.dnskey import raw_octets
from openswan.crypto.rsakey import PrivateKey
from openswan.engine import oeevents
from openswan.engine.oeevents import Learned, Verdict
from openswan.engine.oestates import State
from openswan.policy.connection import SIGNATURES, Auth, Connection, End, Host, HostKind, ShuntPolicy
from openswan.policy.gateways import Gateway, Published, reverse_name
from openswan.policy.grade import Grade
from openswan.policy.identity import MY_ID, parse_identity
from tests.sim.net import PERFECT, Faults
from tests.sim.pair import EAST, WEST, Pair, SimHost, conn, make_pair, rsa_key
from tests.sim.test_groups import ready, target
from tests.sim.v1 import V1

LOSSY = Faults(loss=0.2, duplicate=0.1)
RSA: dict[str, Any] = {**V1, "auth": Auth.RSASIG}
"""What makes a group IKEv1: its keys are RSA."""
versions = pytest.mark.parametrize("version", [{}, RSA], ids=["ikev2", "ikev1"])
KEYS: dict[str, PrivateKey] = {
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    "eddsa": ed25519.Ed25519PrivateKey.generate(),
}


def group(name: str = "private", failure: ShuntPolicy = ShuntPolicy.DROP, **more: Any) -> Connection:
    """A group whose peers have their keys in the DNS."""
    values = {"auth": SIGNATURES, "failure_shunt": failure, "keying_tries": 1, "retransmit_timeout": 5.0, **more}
    kind = values.pop("kind", HostKind.OPPORTUNISTIC_GROUP)
    here = End(Host(HostKind.DEFAULTROUTE), MY_ID, dns_key=True)
    return conn(name, here, End(Host(kind), subnet=values.pop("subnet", None), dns_key=True), **values)


PRIVATE = group()
PERMISSIVE = group("private-or-clear", ShuntPolicy.PASS)


def secrets(key: PrivateKey) -> SecretStore:
    return SecretStore((Secret(SecretKind.PRIVATE_KEY, (), "test:1", b"", key),))


def gateway(key: PrivateKey, address: str, grade: Grade = Grade.DNSSEC, preference: int = 10) -> Gateway:
    public = key.public_key()
    return Gateway(ip_address(address), public, raw_octets(public), preference, "IPSECKEY", grade)


def publish(pair: Pair, address: str, key: PrivateKey, grade: Grade = Grade.DNSSEC) -> None:
    """Everybody finds this key under an address."""
    for host in (pair.west, pair.east):
        there = ip_address(address)
        host.dns[address] = Learned(there, Verdict.GATEWAYS, (gateway(key, address, grade),), 300.0)
        host.dns[reverse_name(there)] = Published((key.public_key(),), grade, 300.0)


def both(
    west: Connection = PRIVATE,
    east: Connection = PRIVATE,
    faults: Faults = PERFECT,
    seed: int = 0,
    grade: Grade = Grade.DNSSEC,
    keys: tuple[PrivateKey, PrivateKey] | None = None,
) -> Pair:
    """Two hosts with keys of their own that both are in the DNS."""
    mine, its = keys or (rsa_key(1), rsa_key(2))
    pair = make_pair(seed, faults, west_secrets=secrets(mine), east_secrets=secrets(its))
    publish(pair, WEST, mine, grade)
    publish(pair, EAST, its, grade)
    for host, each in ((pair.west, west), (pair.east, east)):
        ready(host, each, **{each.name.replace("-", "_"): "192.0.2.0/24\n198.51.100.0/24\n"})
    return pair


def grade_at(host: SimHost) -> Grade | None:
    [state] = host.pluto.brain.pairs.machine.pairs.values()
    return state.grade


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "eddsa"])
@pytest.mark.parametrize("grade", [Grade.DNS, Grade.DNSSEC], ids=str)
def test_the_first_packet_waits_for_dns_and_ike(kind: str, grade: Grade) -> None:
    keys = (KEYS[kind], rsa_key(2)) if kind != "rsa" else None
    pair = both(grade=grade, keys=keys)
    for _ in range(3):
        pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    back = pair.send(pair.east, EAST, WEST)
    assert pair.run(1.0, lambda: back in pair.west.klips.delivered)
    assert grade_at(pair.west) is grade_at(pair.east) is grade
    assert pair.west.questions == [EAST], "one question however many packets"
    assert pair.east.questions == [reverse_name(ip_address(WEST))]
    assert pair.west.clear == pair.east.clear == []
    pair.sane()


@pytest.mark.parametrize("seed", range(8))
def test_both_begin_at_once_on_a_bad_line(seed: int) -> None:
    patient = {"retransmit_timeout": 30.0}
    pair = both(group(**patient), group("private-or-clear", ShuntPolicy.PASS, **patient), LOSSY, seed)
    for _ in range(5):
        pair.send(pair.west, WEST, EAST)
        pair.send(pair.east, EAST, WEST)
    pair.run(40.0)
    assert isinstance(target(pair.west, EAST), Said) and isinstance(target(pair.east, WEST), Said)
    assert pair.west.clear == [] and pair.agreed()
    pair.sane()


@pytest.mark.parametrize("seed", [2, 3, 48])
def test_who_is_refused_hears_of_it_soon_on_a_bad_line(seed: int) -> None:
    """East has let west in, and takes nothing in clear while it believes in the tunnel; west has another key for it."""
    permissive = replace(PERMISSIVE, retransmit_timeout=60.0)
    pair = both(permissive, permissive, Faults(loss=0.3), seed)
    pair.west.dns[EAST] = Learned(ip_address(EAST), Verdict.GATEWAYS, (gateway(rsa_key(3), EAST),), 300.0)
    pair.send(pair.west, WEST, EAST)
    let_in = pair.run(10.0, lambda: bool(pair.east.klips.sas))
    assert pair.run(20.0, lambda: target(pair.west, EAST) is Shunt.PASS) and pair.west.clear
    assert let_in and not pair.east.klips.sas
    pair.sane()


def by_name(pair: Pair, address: str, name: str, key: PrivateKey, grade: Grade = Grade.DNSSEC) -> None:
    """Everybody finds a gateway of that name under an address, and the key under the name."""
    for host in (pair.west, pair.east):
        there = ip_address(address)
        found = replace(gateway(key, address, grade), name=name)
        host.dns[address] = Learned(there, Verdict.GATEWAYS, (found,), 300.0)
        host.dns[reverse_name(there)] = Published((), grade, 300.0, names=(name,))
        host.dns[name] = Published((key.public_key(),), grade, 300.0)


def calling_itself(name: str) -> Connection:
    return replace(PRIVATE, left=replace(PRIVATE.left, id=parse_identity(f"@{name}")))


@pytest.mark.parametrize("grade", [Grade.DNS, Grade.DNSSEC], ids=str)
@pytest.mark.parametrize("names", [("west.example", ""), ("", "east.example"), ("west.example", "east.example")])
def test_who_calls_itself_by_its_name(names: tuple[str, str], grade: Grade) -> None:
    """Keys stand under names that the records of the addresses name; either end may have one, or both."""
    west, east = (calling_itself(name) if name else PRIVATE for name in names)
    pair = both(west, east, grade=grade)
    for address, name, key in zip((WEST, EAST), names, (rsa_key(1), rsa_key(2)), strict=True):
        if name:
            by_name(pair, address, name, key, grade)
    for _ in range(3):
        pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing()), pair.east.lines
    back = pair.send(pair.east, EAST, WEST)
    assert pair.run(1.0, lambda: back in pair.west.klips.delivered)
    assert grade_at(pair.west) is grade_at(pair.east) is grade
    assert pair.west.clear == pair.east.clear == []
    pair.sane()


def test_names_last_over_rekeying() -> None:
    """Of the tunnel and of the IKE SA, whichever end begins it."""
    west, east = (
        replace(calling_itself(name), ike_lifetime=120.0, ipsec_lifetime=60.0, rekey_margin=10.0)
        for name in ("west.example", "east.example")
    )
    pair = both(west, east)
    by_name(pair, WEST, "west.example", rsa_key(1))
    by_name(pair, EAST, "east.example", rsa_key(2))
    seen = set()
    for _ in range(40):
        pair.send(pair.west, WEST, EAST)
        pair.send(pair.east, EAST, WEST)
        pair.run(10.0)
        seen.add(target(pair.west, EAST))
    assert len(seen) > 3 and not pair.missing() and pair.west.clear == pair.east.clear == []
    assert grade_at(pair.west) is grade_at(pair.east) is Grade.DNSSEC
    pair.sane()


def test_a_name_that_its_address_does_not_name() -> None:
    """Whoever has a name with a key is not thereby who sits at an address."""
    pair = both(calling_itself("mallory.example"))
    for host in (pair.west, pair.east):
        host.dns["mallory.example"] = Published((rsa_key(1).public_key(),), Grade.DNSSEC, 300.0)
    pair.send(pair.west, WEST, EAST)
    pair.run(5.0)
    assert not pair.east.klips.sas and "mallory.example" not in pair.east.questions
    assert any("the records of 192.0.2.1 do not name mallory.example" in line for line in pair.east.lines)
    pair.sane()


def test_who_is_called_by_its_address_has_no_other_name() -> None:
    pair = both(east=calling_itself("mallory.example"))
    pair.send(pair.west, WEST, EAST)
    pair.run(5.0)
    assert not pair.west.klips.sas
    pair.sane()


def test_everybody_without_a_file() -> None:
    """right=%opportunistic: the net of its rightsubnet=."""
    east_net, west_net = ip_network("198.51.100.0/24"), ip_network("192.0.2.0/24")
    pair = both()
    oe = group("oe", kind=HostKind.OPPORTUNISTIC, subnet=east_net)
    pair.west.say("delete", name="private")
    ready(pair.west, oe)
    pair.east.say("delete", name="private")
    ready(pair.east, group("oe", kind=HostKind.OPPORTUNISTIC, subnet=west_net))
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    assert target(pair.west, "198.51.100.9") is Shunt.TRAP
    pair.west.say("unroute", name="oe")
    assert target(pair.west, "198.51.100.9") is None
    pair.sane()


@pytest.mark.parametrize(("policy", "shunt"), [(PRIVATE, Shunt.DROP), (PERMISSIVE, Shunt.PASS)], ids=["drop", "pass"])
@pytest.mark.parametrize("verdict", [Verdict.NONE, Verdict.FAILED], ids=lambda each: each.value)
def test_no_record_or_no_answer(policy: Connection, shunt: Shunt, verdict: Verdict) -> None:
    """The group decides at once; nobody is called."""
    pair = both(policy, policy)
    pair.west.dns[EAST] = Learned(ip_address(EAST), verdict, (), 300.0, "no such record")
    first = pair.send(pair.west, WEST, EAST)
    pair.run(0.5)
    assert target(pair.west, EAST) is shunt and not pair.west.pluto.core.states.ikes
    assert pair.west.clear == ([first] if shunt is Shunt.PASS else [])


def test_a_silent_dns_is_waited_for_no_longer_than_packets_are() -> None:
    pair = both(PERMISSIVE, PERMISSIVE)
    pair.west.dns_delay = 4.0
    first = pair.send(pair.west, WEST, EAST)
    pair.run(2.9)
    assert target(pair.west, EAST) is Shunt.HOLD and pair.west.clear == []
    pair.run(0.2)
    assert target(pair.west, EAST) is Shunt.PASS and pair.west.clear == [first]
    assert pair.run(3.0, lambda: isinstance(target(pair.west, EAST), Said)), "the answer that comes late is used"


@pytest.mark.parametrize("policy", [PRIVATE, PERMISSIVE], ids=lambda each: each.name)
def test_a_bogus_answer_denies_in_every_group(policy: Connection) -> None:
    pair = both(policy, policy)
    pair.west.dns[EAST] = Learned(ip_address(EAST), Verdict.BOGUS, (), 5.0, "signatures are wrong")
    pair.send(pair.west, WEST, EAST)
    pair.run(1.0)
    assert target(pair.west, EAST) is Shunt.DROP and pair.west.clear == []


def test_who_shows_another_key_is_nobody() -> None:
    """Either way: the responder's key is another one than the DNS names, or the initiator's is."""
    for wrong in (WEST, EAST):
        pair = both()
        publish(pair, wrong, rsa_key(3))
        pair.send(pair.west, WEST, EAST)
        pair.run(8.0)
        assert target(pair.west, EAST) is Shunt.DROP and not pair.east.klips.sas, wrong
        assert pair.east.klips.delivered == []
        lines = (pair.west if wrong == EAST else pair.east).lines
        assert any("wrong key?" in line for line in lines), lines
        pair.sane()


@pytest.mark.parametrize(("faults", "seed"), [(PERFECT, 0), *((LOSSY, seed) for seed in range(6))])
def test_nothing_goes_in_clear_before_a_refused_peer_has_given_up_its_tunnel(faults: Faults, seed: int) -> None:
    """It would not take it: to the responder all is well until it hears that its proof was not."""
    pair = both(PERMISSIVE, PERMISSIVE, faults, seed)
    publish(pair, EAST, rsa_key(3))
    first = pair.send(pair.west, WEST, EAST)
    believed = pair.run(12.0, lambda: isinstance(target(pair.east, WEST), Said))
    assert pair.run(15.0, lambda: target(pair.west, EAST) is Shunt.PASS)
    assert pair.west.clear == [first]
    if faults is PERFECT:
        assert believed and not pair.east.klips.sas
    pair.sane()


def test_a_stranger_without_a_record_is_refused() -> None:
    pair = both()
    pair.east.dns[reverse_name(ip_address(WEST))] = Published((), reason="no key is published")
    pair.send(pair.west, WEST, EAST)
    pair.run(8.0)
    assert not pair.east.klips.sas and target(pair.west, EAST) is Shunt.DROP
    assert any("the DNS has no public key for '192.0.2.1': no key is published" in line for line in pair.east.lines)


def test_a_dns_that_never_answers_the_responder() -> None:
    """The half-open IKE SA goes by itself."""
    pair = both()
    del pair.east.dns[reverse_name(ip_address(WEST))]
    pair.send(pair.west, WEST, EAST)
    pair.run(80.0)
    assert pair.east.empty() and target(pair.west, EAST) is Shunt.DROP


@versions
def test_a_weak_record_does_not_reach_authgrade(version: dict[str, Any]) -> None:
    strict = group(auth_grade=Grade.DNSSEC, **version)
    pair = both(strict, strict, grade=Grade.DNS)
    pair.send(pair.west, WEST, EAST)
    pair.run(1.0)
    assert target(pair.west, EAST) is Shunt.DROP and not pair.east.klips.sas


@versions
def test_gateways_are_tried_by_precedence_until_one_answers(version: dict[str, Any]) -> None:
    """The first two are not there, or have another key."""
    permissive = group("private-or-clear", ShuntPolicy.PASS, **version)
    pair = both(permissive, permissive)
    listed = (
        gateway(rsa_key(2), "203.0.113.77", preference=1),
        gateway(rsa_key(3), EAST, preference=2),
        gateway(rsa_key(2), EAST, preference=3),
    )
    pair.west.dns[EAST] = Learned(ip_address(EAST), Verdict.GATEWAYS, listed, 300.0)
    pair.send(pair.west, WEST, EAST)
    assert pair.run(30.0, lambda: isinstance(target(pair.west, EAST), Said))
    assert any("203.0.113.77" in line for line in pair.west.lines)
    pair.sane()


def test_a_host_behind_the_gateway_its_record_names() -> None:
    """West calls east for 10.2.0.5, and a conn of east's lets it in there."""
    pair = make_pair(west_secrets=secrets(rsa_key(1)), east_secrets=secrets(rsa_key(2)))
    ready(pair.west, PRIVATE, private="10.2.0.0/16\n")
    behind = End(Host(HostKind.ADDRESS, ip_address(EAST)), subnet=ip_network("10.2.0.5/32"))
    west = End(Host(HostKind.ADDRESS, ip_address(WEST)), rsa_keys=(raw_octets(rsa_key(1).public_key()),))
    pair.east.load(conn("behind", behind, west, auth=SIGNATURES))
    pair.west.dns["10.2.0.5"] = Learned(ip_address("10.2.0.5"), Verdict.GATEWAYS, (gateway(rsa_key(2), EAST),), 300.0)
    pair.send(pair.west, WEST, "10.2.0.5")
    assert pair.run(3.0, lambda: not pair.missing())
    assert target(pair.west, "10.2.0.6") is Shunt.TRAP, "one host, and no other"
    assert grade_at(pair.west) is Grade.DNSSEC
    pair.sane()


def test_pairs_behind_one_gateway_share_an_ike_sa() -> None:
    pair = make_pair(west_secrets=secrets(rsa_key(1)), east_secrets=secrets(rsa_key(2)))
    ready(pair.west, PRIVATE, private="10.2.0.0/16\n")
    west = End(Host(HostKind.ADDRESS, ip_address(WEST)), rsa_keys=(raw_octets(rsa_key(1).public_key()),))
    for last in (5, 6):
        host = ip_address(f"10.2.0.{last}")
        behind = End(Host(HostKind.ADDRESS, ip_address(EAST)), subnet=ip_network(f"{host}/32"))
        pair.east.load(conn(f"behind{last}", behind, west, auth=SIGNATURES))
        pair.west.dns[str(host)] = Learned(host, Verdict.GATEWAYS, (gateway(rsa_key(2), EAST),), 300.0)
        pair.send(pair.west, WEST, str(host))
        assert pair.run(3.0, lambda: not pair.missing())
    assert len(pair.west.pluto.core.states.ikes) == 1
    pair.sane()


def test_a_peer_that_answers_others_has_answered() -> None:
    """What is held waits for as long as for who answers: not to be dropped because many want a tunnel at once."""
    pair = make_pair(west_secrets=secrets(rsa_key(1)), east_secrets=secrets(rsa_key(2)))
    ready(pair.west, PRIVATE, private="10.2.0.0/16\n")
    west = End(Host(HostKind.ADDRESS, ip_address(WEST)), rsa_keys=(raw_octets(rsa_key(1).public_key()),))
    hosts = [ip_address(f"10.2.0.{last}") for last in range(5, 8)]
    for host in hosts:
        behind = End(Host(HostKind.ADDRESS, ip_address(EAST)), subnet=ip_network(f"{host}/32"))
        pair.east.load(conn(f"behind{host}", behind, west, auth=SIGNATURES))
        pair.west.dns[str(host)] = Learned(host, Verdict.GATEWAYS, (gateway(rsa_key(2), EAST),), 300.0)
    pair.send(pair.west, WEST, str(hosts[0]))
    assert pair.run(3.0, lambda: not pair.missing())
    pair.net.cut.add(ip_address(EAST))
    known = pair.west.pluto.brain.pairs.machine.pairs
    pair.send(pair.west, WEST, str(hosts[1]))
    pair.run(0.2)
    assert known[oeevents.Pair(ip_address(WEST), hosts[1])].state is State.SHAKING
    pair.run(2.0)
    pair.send(pair.west, WEST, str(hosts[2]))
    pair.run(0.2)
    assert known[oeevents.Pair(ip_address(WEST), hosts[2])].state is State.CALLING, "it has not been heard for a while"


def test_a_key_that_is_changed_is_asked_for_when_the_record_has_run_out() -> None:
    pair = both()
    pair.send(pair.west, WEST, EAST)
    assert pair.run(3.0, lambda: not pair.missing())
    pair.west.say("terminate", name="private")
    pair.run(2.0)
    publish(pair, WEST, rsa_key(3))
    pair.west.secrets = secrets(rsa_key(3))
    pair.west.say("rereadsecrets")
    packet = pair.send(pair.west, WEST, EAST)
    pair.run(9.0)
    assert packet not in pair.east.klips.delivered, "east still believes the old one, for its 300 seconds"
    pair.run(400.0)
    packet = pair.send(pair.west, WEST, EAST)
    pair.run(70.0)
    packet = pair.send(pair.west, WEST, EAST)
    assert pair.run(8.0, lambda: packet in pair.east.klips.delivered)
