# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates by hash and URL: from where the operator has said, once, believed by their hash, and never many."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from openswan.base.entropy import SeededRng
from openswan.base.errors import CryptoError
from openswan.crypto import x509
from openswan.engine import certificates
from openswan.engine.certificates import AGAIN, AT_ONCE, BURST, MOST_OCTETS, RATE, TIMEOUT, Certificates
from openswan.engine.core import Core
from openswan.engine.effects import Fetch, Log
from openswan.engine.events import Fetched
from openswan.engine.fetches import Fetches
from openswan.engine.settings import Settings
from openswan.ike.later import CertificateJob
from openswan.wire.v2.cert import HashUrl
from tests.unit.crypto.keys import certify, ec_key

BASE = "http://pki.test/certs/"
PEER, OTHER = ip_address("192.0.2.7"), ip_address("192.0.2.8")
KEY = ec_key("secp256r1", 1)
DER = x509.der(certify("gw", KEY, "root", KEY))
WHAT = HashUrl.of(BASE, DER)


class World:
    """Certificates whose effects and clock are at hand."""

    def __init__(self, *bases: str, on: bool = True) -> None:
        self.core = Core(SeededRng(1), Settings(hash_and_url=on))
        self.fetches = Fetches(self.core)
        self.it = Certificates(self.core, self.fetches)
        self.it.read(bases or (BASE,))
        self.done: list[str] = []

    def ask(self, what: HashUrl = WHAT, peer: Any = PEER) -> list[Fetch]:
        """Ask for what is not known; the requests that go out."""
        assert self.it.certificate(what, peer) is None
        self.it.start(CertificateJob(what, peer), lambda: self.done.append(what.url))
        return self.sent()

    def sent(self) -> list[Fetch]:
        found = [effect for effect in self.core.effects if isinstance(effect, Fetch)]
        self.core.effects = [effect for effect in self.core.effects if not isinstance(effect, Fetch)]
        return found

    def fail(self, number: int, peer: Any = PEER, **more: Any) -> None:
        (fetch,) = self.ask(HashUrl.of(BASE, b"%d" % number), peer)
        self.fetches.fetched(Fetched(fetch.token, b"", "the server says 404", answered=True, **more))

    def refusal(self, what: HashUrl = WHAT, peer: Any = PEER) -> str:
        with pytest.raises(CryptoError) as why:
            self.it.certificate(what, peer)
        return str(why.value)

    def logs(self) -> list[str]:
        return [effect.text for effect in self.core.effects if isinstance(effect, Log)]


def test_fetched_once_and_kept() -> None:
    world = World()
    (fetch,) = world.ask()
    assert fetch == Fetch(1, WHAT.url, MOST_OCTETS, TIMEOUT)
    assert world.ask(peer=OTHER) == [], "one request however many wait"
    world.fetches.fetched(Fetched(fetch.token, DER))
    assert world.done == [WHAT.url] * 2 and not world.it.waiting
    assert world.it.certificate(WHAT, PEER) == DER
    assert world.logs()[-1].startswith("fetched certificate 'C=CA, O=Example, CN=gw'")
    assert world.logs()[-1].endswith(f"from {WHAT.url}")


@pytest.mark.parametrize(
    "url",
    [
        "http://other.test/certs/{}",
        "http://pki.test/certs/{}x",
        "http://pki.test/certs/x{}",
        "http://pki.test/certs/../{}",
        "http://pki.test/certs/",
        "http://pki.test/{}",
        "http://pki.test:8080/certs/{}",
        "http://user@pki.test/certs/{}",
        "HTTP://pki.test/certs/{}",
        "https://pki.test/certs/{}",
        "http://127.0.0.1/{}",
        "file:///etc/{}",
        "{}",
        "http://pki.test/certs/" + "0" * 40,
    ],
)
def test_nothing_but_a_base_and_the_hash(url: str) -> None:
    world = World()
    assert "which no ca section's certuribase= names" in world.refusal(
        HashUrl(WHAT.digest, url.format(WHAT.digest.hex()))
    )
    assert not world.sent()


def test_the_hash_in_capitals() -> None:
    (fetch,) = World().ask(HashUrl(WHAT.digest, BASE + WHAT.digest.hex().upper()))
    assert fetch.uri == BASE + WHAT.digest.hex().upper()


def test_only_when_switched_on() -> None:
    for world in (World(on=False), World("")):
        assert not world.it.announced
        assert "which we have not asked for" in world.refusal()
    assert World().it.announced


def test_what_comes_must_have_the_hash_and_be_a_certificate() -> None:
    for what, data, reason in (
        (WHAT, DER[:-1], f"the {len(DER) - 1} octets that came have another SHA-1 hash"),
        (HashUrl.of(BASE, b"junk"), b"junk", "what came is neither PEM nor DER"),
    ):
        world = World()
        (fetch,) = world.ask(what)
        world.fetches.fetched(Fetched(fetch.token, data))
        assert world.done == [what.url], "nobody waits for ever"
        assert reason in world.refusal(what) and not world.it.known
        assert any(f"certificate of {PEER} not fetched from {what.url}" in line for line in world.logs())


def test_a_failure_is_remembered_for_a_while() -> None:
    world = World()
    (fetch,) = world.ask()
    world.fetches.fetched(Fetched(fetch.token, b"", "the server says 404 'Not Found'", answered=True))
    assert world.refusal() == f"{WHAT.url}: the server says 404 'Not Found'"
    assert len(world.ask(HashUrl.of(BASE, b"another"))) == 1, "the server is there"
    world.core.now += AGAIN
    assert len(world.ask()) == 1


def test_a_silent_server_is_let_be() -> None:
    elsewhere = "http://other.test/"
    world = World(BASE, elsewhere)
    (fetch,) = world.ask()
    world.fetches.fetched(Fetched(fetch.token, b"", "no answer within 5 s"))
    assert "the server did not answer a moment ago" in world.refusal(HashUrl.of(BASE, b"another"))
    assert len(world.ask(HashUrl.of(elsewhere, b"another"))) == 1
    assert not world.it.blame, "that is nobody's fault"
    world.core.now += AGAIN
    assert len(world.ask()) == 1
    world.fetches.fetched(Fetched(world.fetches.last, b"", "no answer within 5 s"))
    world.it.read([BASE])
    assert len(world.ask()) == 1, "read again: perhaps it is there now"


def test_who_names_what_is_not_there_is_not_listened_to() -> None:
    world = World()
    for number in range(int(BURST)):
        world.fail(number)
    assert "too many certificates that were not to be had" in world.refusal()
    assert len(world.ask(peer=OTHER)) == 1, "others are"
    world.core.now += 1 / RATE
    world.fail(1000)
    assert "too many certificates that were not to be had" in world.refusal(HashUrl.of(BASE, b"x"))


def test_sources_of_ipv6_are_networks() -> None:
    world = World()
    for number in range(int(BURST)):
        world.fail(number, ip_address(f"2001:db8::{number + 1:x}"))
    assert "too many" in world.refusal(peer=ip_address("2001:db8::ffff"))
    assert world.it.certificate(WHAT, ip_address("2001:db8:0:1::1")) is None


def test_a_few_at_a_time_and_the_others_in_their_turn() -> None:
    world = World()
    many = [HashUrl.of(BASE, b"%d" % number) for number in range(AT_ONCE + 3)]
    sent = [fetch for what in many for fetch in world.ask(what)]
    assert [fetch.uri for fetch in sent] == [what.url for what in many[:AT_ONCE]]
    world.fetches.fetched(Fetched(sent[3].token, b"", "the server says 404", answered=True))
    assert [fetch.uri for fetch in world.sent()] == [many[AT_ONCE].url] and world.done == [many[3].url]


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "MOST_WAITING", 3)
    monkeypatch.setattr(certificates, "MOST_OF_ONE", 2)
    world = World()
    world.ask(HashUrl.of(BASE, b"1"))
    world.ask(HashUrl.of(BASE, b"2"))
    assert "too many certificates are being fetched" in world.refusal()
    world.ask(HashUrl.of(BASE, b"3"), OTHER)
    assert "too many certificates are being fetched" in world.refusal(peer=ip_address("192.0.2.9"))
    assert world.it.certificate(HashUrl.of(BASE, b"1"), OTHER) is None, "what is on its way may be waited for"


def test_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_KNOWN", "MOST_FAILED", "MOST_SOURCES"):
        monkeypatch.setattr(certificates, name, 2)
    world = World()
    ders = [x509.der(certify(f"gw{number}", KEY, "root", KEY)) for number in range(3)]
    first, second, third = (HashUrl.of(BASE, der) for der in ders)
    for what, der in zip((first, second), ders, strict=False):
        (fetch,) = world.ask(what)
        world.fetches.fetched(Fetched(fetch.token, der))
    assert world.it.certificate(first, PEER) == ders[0], "used last, kept longest"
    (fetch,) = world.ask(third)
    world.fetches.fetched(Fetched(fetch.token, ders[2]))
    assert set(world.it.known) == {first.digest, third.digest}
    for number in range(5):
        world.fail(number, ip_address(f"192.0.2.{number + 1}"))
    assert len(world.it.failed) == 2 and len(world.it.blame) == 2
