# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of peers from the DNS: asked for once, believed for their time, and never more than a few at once."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from openswan.base.entropy import SeededRng
from openswan.base.errors import CryptoError
from openswan.engine.core import Core
from openswan.engine.effects import LearnKeys, Log
from openswan.engine.events import KeysLearned
from openswan.engine.peerkeys import BURST, MOST_AT_ONCE, MOST_KNOWN, PeerKeys
from openswan.engine.settings import Settings
from openswan.policy.gateways import Published
from openswan.policy.grade import Grade
from openswan.policy.identity import address_identity, parse_identity

PEER = ip_address("192.0.2.7")
ID = address_identity(PEER)
NAME = "7.2.0.192.in-addr.arpa"
FOUND = Published((ed25519.Ed25519PrivateKey.generate().public_key(),), Grade.DNSSEC, 60.0)


def made() -> PeerKeys:
    return PeerKeys(Core(SeededRng(1), Settings()))


def test_one_question_however_many_wait() -> None:
    keys, done = made(), list[str]()
    assert keys.published(ID, PEER) == NAME
    keys.start(NAME, lambda: done.append("first"))
    assert keys.published(ID, PEER) == NAME
    keys.start(NAME, lambda: done.append("second"))
    assert keys.core.effects == [LearnKeys(NAME)]
    keys.learned(KeysLearned(NAME, FOUND, ("TXT record is malformed",)))
    assert done == ["first", "second"] and keys.published(ID, PEER) is FOUND
    assert [each.text for each in keys.core.effects if isinstance(each, Log)] == ["TXT record is malformed"]


def test_an_answer_is_good_for_its_time() -> None:
    keys = made()
    keys.learned(KeysLearned(NAME, FOUND))
    keys.core.now = 59.0
    assert keys.published(ID, PEER) is FOUND
    keys.core.now = 60.0
    assert keys.published(ID, PEER) == NAME
    keys.learned(KeysLearned(NAME, Published((), reason="no record")))
    assert isinstance(keys.published(ID, PEER), Published), "who asked comes back for it"


@pytest.mark.parametrize(
    "claim", ["192.0.2.8", "@gw", "@gw..example", "@*.example", "me@example", "2001:db8::7", "@10.0.0.1"]
)
def test_a_claim_that_is_not_the_address(claim: str) -> None:
    with pytest.raises(CryptoError, match="has to use it as its identity"):
        made().published(parse_identity(claim), PEER)


NAMED = parse_identity("@GW.example")
DNS, DNSSEC = Grade.DNS, Grade.DNSSEC


@pytest.mark.parametrize(
    ("of_address", "of_name", "grade"), [(DNSSEC, DNSSEC, DNSSEC), (DNSSEC, DNS, DNS), (DNS, DNSSEC, DNS)]
)
def test_a_name_that_the_records_of_the_address_name(of_address: Grade, of_name: Grade, grade: Grade) -> None:
    """The grade is the weaker one of the two answers."""
    keys = made()
    assert keys.published(NAMED, PEER) == NAME, "its address first, whatever it claims"
    keys.learned(KeysLearned(NAME, Published((), of_address, 60.0, names=("other.example", "gw.Example."))))
    assert keys.published(NAMED, PEER) == "gw.example"
    keys.learned(KeysLearned("gw.example", replace(FOUND, grade=of_name)))
    assert keys.published(NAMED, PEER) == replace(FOUND, grade=grade)
    assert keys.published(ID, PEER) == keys.known[NAME][1], "its address has no keys by that"


def test_a_key_beside_the_name() -> None:
    """TXT "X-IPsec-Server(10)=@gw.example KEY" under the address, and nothing under the name."""
    keys = made()
    keys.learned(KeysLearned(NAME, replace(FOUND, names=("gw.example",))))
    assert keys.published(NAMED, PEER) == "gw.example"
    keys.learned(KeysLearned("gw.example", Published((), DNS, 60.0, "no key is published for gw.example")))
    assert keys.published(NAMED, PEER) == keys.known[NAME][1]


@pytest.mark.parametrize("names", [(), ("other.example",), ("gw.example.org",)], ids=str)
def test_a_name_that_the_records_of_the_address_do_not_name(names: tuple[str, ...]) -> None:
    """Whatever that name says of itself: nothing is asked about it."""
    keys = made()
    keys.learned(KeysLearned("gw.example", FOUND))
    keys.learned(KeysLearned(NAME, replace(FOUND, names=names)))
    with pytest.raises(CryptoError, match=r"records of 192\.0\.2\.7 do not name gw\.example"):
        keys.published(NAMED, PEER)


def test_strangers_cannot_have_everything_looked_up() -> None:
    keys = made()
    for number in range(MOST_AT_ONCE):
        address = ip_address(0x0A000000 + number)
        name = keys.published(address_identity(address), address)
        assert isinstance(name, str)
        keys.start(name, lambda: None)
    with pytest.raises(CryptoError, match="too many strangers"):
        keys.published(ID, PEER)
    first = ip_address(0x0A000000)
    assert isinstance(keys.published(address_identity(first), first), str), "one that is under way costs nothing"
    for name in list(keys.waiting):
        keys.learned(KeysLearned(name, FOUND))
    for number in range(int(BURST) - MOST_AT_ONCE):
        address = ip_address(0x0B000000 + number)
        keys.published(address_identity(address), address)
    with pytest.raises(CryptoError, match="too many strangers"):
        keys.published(ID, PEER)
    keys.core.now = 1.0
    assert keys.published(ID, PEER) == NAME


def test_what_is_known_is_bounded() -> None:
    keys = made()
    for number in range(MOST_KNOWN + 5):
        keys.learned(KeysLearned(f"{number}.example", FOUND))
    assert len(keys.known) == MOST_KNOWN and "0.example" not in keys.known
