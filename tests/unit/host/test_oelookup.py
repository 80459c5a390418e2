# SPDX-License-Identifier: GPL-2.0-or-later
"""A destination's gateways and a name's keys, by a DNS that is a dictionary."""

from __future__ import annotations

import asyncio
import base64
from ipaddress import ip_address

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from openswan.crypto.rsakey import encode_public
from openswan.engine.oeevents import Learned, Verdict
from openswan.host.oelookup import NameKeys, OeLookup
from openswan.policy.dnsanswer import DnsAnswer, DnsStatus
from openswan.policy.gateways import reverse_name
from openswan.policy.grade import Grade

HOST, OTHER = ip_address("192.0.2.7"), ip_address("198.51.100.1")
NAME = reverse_name(HOST)
ONE, TWO = (encode_public(rsa.generate_private_key(65537, 2048).public_key()) for _ in range(2))
FOUND, ABSENT, FAILED, BOGUS = DnsStatus


def ipseckey(gateway: bytes = b"", kind: int = 0, key: bytes = ONE, precedence: int = 10) -> bytes:
    return bytes([precedence, kind, 2 if key else 0]) + gateway + key


def txt(text: str, key: bytes = ONE) -> bytes:
    text = f"{text} {base64.b64encode(key).decode()}"
    parts = [text[at : at + 255].encode() for at in range(0, len(text), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts)


def answer(name: str, kind: str, *records: bytes, secure: bool = True, ttl: float = 300.0) -> DnsAnswer:
    return DnsAnswer(name, kind, FOUND, records, secure, ttl)


class Book:
    """Instead of a DnsLookup: what is not in it does not exist."""

    def __init__(self, *answers: DnsAnswer) -> None:
        self.answers = {(each.name, each.kind): each for each in answers}
        self.asked: list[tuple[str, str]] = []
        self.voids: dict[str, tuple[str, float]] = {}

    def void(self, name: str) -> tuple[str, float] | None:
        return self.voids.get(name)

    async def ask(self, name: str, kind: str) -> DnsAnswer:
        self.asked.append((name, kind))
        absent = DnsAnswer(name, kind, ABSENT, ttl=60.0, secure=True, reason=f"no {kind} record for {name}")
        return self.answers.get((name, kind), absent)


def learn(*answers: DnsAnswer) -> tuple[Learned, tuple[str, ...]]:
    return asyncio.run(OeLookup(Book(*answers)).learn(HOST))  # type: ignore[arg-type]


def keys(*answers: DnsAnswer, name: str = "gw.example") -> NameKeys:
    return asyncio.run(OeLookup(Book(*answers)).keys(name))  # type: ignore[arg-type]


def shown(learned: Learned) -> list[tuple[str, str, Grade, bytes]]:
    assert learned.verdict is Verdict.GATEWAYS
    return [(str(one.address), one.source, one.grade, one.octets) for one in learned.gateways]


def test_all_types_by_precedence_each_with_its_own_grade() -> None:
    learned, complaints = learn(
        answer(NAME, "IPSECKEY", ipseckey(precedence=20), secure=False),
        answer(NAME, "TXT", txt(f"X-IPsec-Server(10)={OTHER}", TWO), b"\x05v=spf", ttl=100.0),
    )
    assert complaints == () and learned.ttl == 100.0
    assert shown(learned) == [(str(OTHER), "TXT", Grade.DNSSEC, TWO), (str(HOST), "IPSECKEY", Grade.DNS, ONE)]


@pytest.mark.parametrize("secure", [True, False])
def test_a_signed_ipseckey_record_needs_no_others_beside_it(secure: bool) -> None:
    book = Book(answer(NAME, "IPSECKEY", ipseckey(), secure=secure))
    learned, _ = asyncio.run(OeLookup(book).learn(HOST))  # type: ignore[arg-type]
    assert learned.verdict is Verdict.GATEWAYS
    assert {kind for _, kind in book.asked} == ({"IPSECKEY"} if secure else {"IPSECKEY", "TXT", "KEY"})


def test_one_that_cannot_be_used_does() -> None:
    book = Book(answer(NAME, "IPSECKEY", b"\x0a"), answer(NAME, "TXT", txt(f"X-IPsec-Server(10)={HOST}")))
    learned, complaints = asyncio.run(OeLookup(book).learn(HOST))  # type: ignore[arg-type]
    assert shown(learned) == [(str(HOST), "TXT", Grade.DNSSEC, ONE)] and len(complaints) == 1


@pytest.mark.parametrize("secure", [True, False])
def test_a_name_that_a_signed_denial_says_does_not_exist_is_asked_for_once(secure: bool) -> None:
    book = Book(DnsAnswer(NAME, "IPSECKEY", ABSENT, secure=secure, ttl=60.0, nothing=True))
    learned, _ = asyncio.run(OeLookup(book).learn(HOST))  # type: ignore[arg-type]
    assert learned.verdict is Verdict.NONE
    assert len(set(book.asked)) == (1 if secure else 3)


def test_the_same_in_two_types_is_one() -> None:
    learned, _ = learn(
        answer(NAME, "IPSECKEY", ipseckey(), secure=False), answer(NAME, "TXT", txt(f"X-IPsec-Server(10)={HOST}"))
    )
    assert shown(learned) == [(str(HOST), "TXT", Grade.DNSSEC, ONE)]


def test_nothing_there() -> None:
    learned, complaints = learn()
    assert learned == Learned(HOST, Verdict.NONE, (), 60.0, f"no IPSECKEY or TXT record for {NAME}") and not complaints


def test_only_records_that_cannot_be_used() -> None:
    learned, complaints = learn(answer(NAME, "IPSECKEY", b"\x0a", ipseckey(OTHER.packed, 1), secure=False))
    assert learned.verdict is Verdict.NONE and learned.reason == complaints[0] and len(complaints) == 2
    assert "it is unsigned and delegates to 198.51.100.1" in complaints[1]


def test_one_bogus_answer_spoils_all() -> None:
    bad = DnsAnswer(NAME, "KEY", BOGUS, ttl=5.0, reason="DNSSEC: wrong")
    unsigned = answer(NAME, "IPSECKEY", ipseckey(), secure=False)
    assert learn(unsigned, bad)[0] == Learned(HOST, Verdict.BOGUS, (), 5.0, "DNSSEC: wrong")


def test_a_bogus_answer_is_not_kept_waiting_by_one_that_does_not_come() -> None:
    bad = DnsAnswer(NAME, "TXT", BOGUS, ttl=5.0, reason="DNSSEC: wrong")
    book = Book(bad)
    ask = book.ask

    async def slowly(name: str, kind: str) -> DnsAnswer:
        if kind != "TXT":
            await asyncio.sleep(60)
        return await ask(name, kind)

    book.ask = slowly  # type: ignore[method-assign]
    learned, _ = asyncio.run(asyncio.wait_for(OeLookup(book).learn(HOST), 5))  # type: ignore[arg-type]
    assert learned.verdict is Verdict.BOGUS


def test_a_failure_is_no_denial() -> None:
    failed = DnsAnswer(NAME, "IPSECKEY", FAILED, ttl=5.0, reason="no answer")
    assert learn(failed)[0] == Learned(HOST, Verdict.FAILED, (), 5.0, "no answer")
    learned, _ = learn(failed, answer(NAME, "TXT", txt(f"X-IPsec-Server(10)={HOST}")))
    assert learned.verdict is Verdict.GATEWAYS, "what was found counts"


def test_a_gateway_that_is_a_name() -> None:
    named = answer(NAME, "IPSECKEY", ipseckey(b"\x02gw\x07example\x00", 3))
    six = ip_address("2001:db8::9")
    learned, complaints = learn(
        named, answer("gw.example", "A", OTHER.packed, secure=False), answer("gw.example", "AAAA", six.packed)
    )
    assert complaints == ()
    assert [each[:3] for each in shown(learned)] == [
        (str(OTHER), "IPSECKEY", Grade.DNSSEC),
        (str(six), "IPSECKEY", Grade.DNSSEC),
    ], "it is the key that proves the peer"
    learned, complaints = learn(named)
    assert learned.verdict is Verdict.NONE
    assert complaints == (
        "gateway gw.example: no A record for gw.example",
        f"IPSECKEY record of {NAME} is not used: gateway gw.example has no address",
    )


@pytest.mark.parametrize(("secure", "grade"), [(True, Grade.DNSSEC), (False, Grade.DNS)])
def test_a_record_without_a_key(secure: bool, grade: Grade) -> None:
    keyless = answer(NAME, "IPSECKEY", ipseckey(OTHER.packed, 1, b""))
    own = answer(reverse_name(OTHER), "KEY", b"\x42\x00\x04\x01" + TWO, secure=secure)
    assert shown(learn(keyless, own)[0]) == [(str(OTHER), "IPSECKEY", grade, TWO)]
    learned, complaints = learn(keyless)
    assert learned.verdict is Verdict.NONE and complaints == (f"no key is published for {reverse_name(OTHER)}",)


@pytest.mark.parametrize(("secure", "grade"), [(True, Grade.DNSSEC), (False, Grade.DNS)])
def test_a_name_without_a_key_has_it_under_the_name(secure: bool, grade: Grade) -> None:
    keyless = answer(NAME, "IPSECKEY", ipseckey(b"\x02gw\x07example\x00", 3, b""))
    there = answer("gw.example", "A", OTHER.packed)
    own = answer("gw.example", "KEY", b"\x42\x00\x04\x01" + TWO, secure=secure)
    [one] = learn(keyless, there, own)[0].gateways
    assert (one.address, one.octets, one.grade, one.name) == (OTHER, TWO, grade, "gw.example")
    # Where the address of that name leads is not what a signed record has said.
    [one] = learn(keyless, there, answer(reverse_name(OTHER), "KEY", b"\x42\x00\x04\x01" + TWO))[0].gateways
    assert (one.octets, one.grade) == (TWO, Grade.DNS)
    found = keys(answer("gw.example", "IPSECKEY", ipseckey(b"\x05other\x07example\x00", 3, b"")))
    assert found.names == ("other.example",) and not found.keys


def test_how_much_is_asked_is_bounded() -> None:
    names = [bytes([3]) + f"g{n}".encode() + b"\x00" for n in range(10, 30)]
    book = Book(answer(NAME, "IPSECKEY", *(ipseckey(name, 3) for name in names)))
    asyncio.run(OeLookup(book).learn(HOST))  # type: ignore[arg-type]
    assert len(set(book.asked)) == 3 + 4 * 2
    keyless = [ipseckey(ip_address(0xC6336400 + n).packed, 1, b"") for n in range(1, 9)]
    book = Book(answer(NAME, "IPSECKEY", *keyless))
    asyncio.run(OeLookup(book).learn(HOST))  # type: ignore[arg-type]
    assert len(set(book.asked)) == 3 + 4 * 3


def test_keys_of_a_name() -> None:
    found = keys(answer("gw.example", "KEY", b"\x42\x00\x04\x01" + ONE), answer("gw.example", "IPSECKEY", ipseckey()))
    assert [octets for _, octets in found.keys] == [ONE] and (found.grade, found.status) == (Grade.DNSSEC, FOUND)
    assert encode_public(found.keys[0][0]) == ONE  # type: ignore[arg-type]


def test_unsigned_keys_do_not_stand_beside_signed_ones() -> None:
    found = keys(
        answer("gw.example", "IPSECKEY", ipseckey()),
        answer("gw.example", "KEY", b"\x42\x00\x04\x01" + TWO, secure=False),
    )
    assert [octets for _, octets in found.keys] == [ONE] and found.grade is Grade.DNSSEC
    found = keys(answer("gw.example", "KEY", b"\x42\x00\x04\x01" + TWO, secure=False))
    assert [octets for _, octets in found.keys] == [TWO] and found.grade is Grade.DNS


def test_names_without_keys() -> None:
    assert keys() == NameKeys((), Grade.DNS, ABSENT, 60.0, "no key is published for gw.example", ())
    failed = DnsAnswer("gw.example", "KEY", FAILED, ttl=5.0, reason="no answer")
    assert keys(failed).status is FAILED
    assert keys(DnsAnswer("gw.example", "TXT", BOGUS, ttl=5.0, reason="x")).status is BOGUS
    broken = keys(answer("gw.example", "IPSECKEY", b"\x0a\x00\x02\x03"))
    assert broken.status is ABSENT and len(broken.complaints) == 1


def test_nothing_is_asked_where_nothing_can_be() -> None:
    """A name above the destination's does not exist: no more is asked about any address below it."""
    book = Book()
    book.voids[reverse_name(HOST)] = ("0.192.in-addr.arpa", 40.0)
    learned, complaints = asyncio.run(OeLookup(book).learn(HOST))  # type: ignore[arg-type]
    assert (learned.verdict, learned.ttl, complaints, book.asked) == (Verdict.NONE, 40.0, (), [])
    assert learned.reason == f"no IPSECKEY or TXT record for {reverse_name(HOST)}"
