# SPDX-License-Identifier: GPL-2.0-or-later
"""Look-ups against NSD and a validating Unbound.

west (127.0.0.1, 192.0.2.1: Unbound) ===wan=== (192.0.2.2: NSD) east
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from openswan.engine.oeevents import Learned, Verdict
from openswan.host.dnslookup import DnsLookup
from openswan.host.dnssec import read_anchors
from openswan.host.oelookup import OeLookup
from openswan.policy.dnsanswer import DnsAnswer, DnsStatus
from openswan.policy.gateways import gateways, read_records, reverse_name
from openswan.policy.grade import Grade
from tests.netns.dnsworld import CLASSLESS, REVERSE, UNSIGNED, DnsWorld
from tests.netns.lab import Lab

FOUND, ABSENT, FAILED, BOGUS = DnsStatus
NSD = "192.0.2.2"


@pytest.fixture(scope="module")
def world() -> Iterator[DnsWorld]:
    with Lab("direct") as lab:
        yield DnsWorld(lab)


def ask(world: DnsWorld, *questions: tuple[str, str], server: str = "127.0.0.1", host: str = "west") -> list[DnsAnswer]:
    """Ask from `host`, by a resolv.conf that names `server`; validated here when that is the authoritative one."""
    anchors = read_anchors("\n".join(world.top_anchors()))
    conf = world.dir / f"resolv.conf-{server}"
    conf.write_text("".join(f"nameserver {each}\n" for each in server.split()))

    async def work() -> list[DnsAnswer]:
        lookup = DnsLookup(conf, anchors=anchors if server == NSD else None)
        return list(await asyncio.gather(*(lookup.ask(name, kind) for name, kind in questions)))

    with world.lab[host].inside():
        return asyncio.run(work())


def test_signed_records_of_every_kind(world: DnsWorld) -> None:
    host = ip_address("192.0.2.7")
    answers = ask(world, *((reverse_name(host), kind) for kind in ("IPSECKEY", "TXT", "KEY")))
    assert [(each.status, each.secure, len(each.records)) for each in answers] == [
        (FOUND, True, 2),
        (FOUND, True, 1),
        (FOUND, True, 1),
    ]
    found = read_records(answers[0].name, [(each.kind, data) for each in answers for data in each.records])
    assert found.complaints == () and found.names() == ("gw.example",)
    made, complaints = gateways(host, found, signed=True, names={"gw.example": (ip_address("192.0.2.99"),)})
    assert complaints == ()
    assert [(str(each.address), each.preference, each.grade) for each in made] == [
        ("192.0.2.7", 10, Grade.DNSSEC),
        ("192.0.2.99", 20, Grade.DNSSEC),
    ]


def test_a_reverse_zone_delegated_by_cname(world: DnsWorld) -> None:
    [answer] = ask(world, (f"8.{REVERSE}", "TXT"))
    assert (answer.status, answer.secure, answer.trail) == (FOUND, True, (f"8.{CLASSLESS}",))


def test_a_dname(world: DnsWorld) -> None:
    [answer] = ask(world, ("gw.old.example", "IPSECKEY"))
    assert (answer.status, answer.secure, answer.trail) == (FOUND, True, ("gw.new.example",))


def test_a_record_changed_after_it_was_signed_is_bogus(world: DnsWorld) -> None:
    [answer] = ask(world, (f"9.{REVERSE}", "TXT"))
    assert answer.status is BOGUS and answer.records == ()
    assert answer.reason == f"DNSSEC signatures about 9.{REVERSE} are wrong"


def test_unsigned_is_not_secure(world: DnsWorld) -> None:
    [answer] = ask(world, (f"7.{UNSIGNED}", "TXT"))
    assert (answer.status, answer.secure) == (FOUND, False)


def test_denials_are_signed_too_and_held_as_long_as_the_soa_says(world: DnsWorld) -> None:
    gone, empty = ask(world, (f"77.{REVERSE}", "TXT"), (f"8.{CLASSLESS}", "KEY"))
    assert (gone.status, gone.secure, gone.reason) == (ABSENT, True, f"77.{REVERSE} does not exist")
    assert (empty.status, empty.secure) == (ABSENT, True)
    assert 0 < gone.ttl <= 60


def test_long_answers_come_by_tcp(world: DnsWorld) -> None:
    [answer] = ask(world, (f"20.{REVERSE}", "TXT"))
    assert (answer.status, len(answer.records), answer.secure) == (FOUND, 30, True)


def test_what_a_resolver_on_another_host_says_of_dnssec_does_not_count(world: DnsWorld) -> None:
    [answer] = ask(world, (f"7.{REVERSE}", "TXT"), server="192.0.2.1", host="east")
    assert (answer.status, answer.secure) == (FOUND, False)


def test_a_resolver_that_is_down_is_not_waited_for(world: DnsWorld) -> None:
    [answer] = ask(world, (f"7.{REVERSE}", "TXT"), server="127.0.0.53 127.0.0.1")
    assert (answer.status, answer.secure) == (FOUND, True)


@pytest.mark.parametrize(
    ("name", "kind", "status", "secure"),
    [
        (f"7.{REVERSE}", "IPSECKEY", FOUND, True),
        (f"8.{REVERSE}", "TXT", FOUND, True),
        ("gw.old.example", "IPSECKEY", FOUND, True),
        (f"20.{REVERSE}", "TXT", FOUND, True),
        (f"77.{REVERSE}", "TXT", ABSENT, True),
        (f"8.{CLASSLESS}", "KEY", ABSENT, True),
        ("nothing.example", "TXT", ABSENT, True),
        (f"7.{UNSIGNED}", "TXT", FOUND, False),
        (f"9.{REVERSE}", "TXT", BOGUS, False),
    ],
)
def test_validated_here_without_a_resolver_that_does(
    world: DnsWorld, name: str, kind: str, status: DnsStatus, secure: bool
) -> None:
    """NSEC3 zones as ldns signs them, over a wire that nobody vouches for."""
    [answer] = ask(world, (name, kind), server=NSD)
    assert (answer.status, answer.secure) == (status, secure), answer


def test_gateways_and_keys_of_a_destination(world: DnsWorld) -> None:
    """From an address to what IKE is begun with."""
    conf = world.dir / "resolv.conf-learn"
    conf.write_text("nameserver 127.0.0.1\n")

    async def work() -> list[tuple[Learned, tuple[str, ...]]]:
        lookup = OeLookup(DnsLookup(conf))
        return [await lookup.learn(ip_address(each)) for each in ("192.0.2.7", "192.0.2.8", "192.0.2.9", "192.0.2.77")]

    with world.lab["west"].inside():
        seven, eight, nine, none = asyncio.run(work())
    assert [(str(one.address), one.grade) for one in seven[0].gateways] == [("192.0.2.7", Grade.DNSSEC)]
    assert seven[0].gateways[0].key is not None and "gateway gw.example" in seven[1][0]
    assert [(str(one.address), one.source) for one in eight[0].gateways] == [("192.0.2.8", "TXT")]
    assert (nine[0].verdict, none[0].verdict) == (Verdict.BOGUS, Verdict.NONE)


def test_an_authoritative_server_that_dies_leaves_no_answer(world: DnsWorld) -> None:
    """Last in this file: nothing answers afterwards."""
    world.end("west")
    [answer] = ask(world, (f"7.{REVERSE}", "KEY"))
    assert answer.status is FAILED and "Connection refused" in answer.reason
