# SPDX-License-Identifier: GPL-2.0-or-later
"""What pluto fetches and keeps of revocation, and how it acts on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509 as library
from cryptography.x509 import ocsp as library_ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from openswan.base.entropy import SeededRng
from openswan.base.errors import CryptoError
from openswan.crypto import x509
from openswan.crypto.ocsp import REQUEST_TYPE
from openswan.crypto.revocation import Demands, Fetching, Places, Question, Strict
from openswan.engine.brain import Brain
from openswan.engine.effects import Fetch, Log, WhackDone, WhackLine
from openswan.engine.events import CertificatesRead, Fetched
from openswan.engine.revocation import AGAIN, Revocation
from openswan.engine.settings import Settings
from tests.unit.crypto.keys import NOW, certify, ec_key, revoke
from tests.unit.crypto.ocsps import REVOKED, answer

ROOT_KEY, LEAF_KEY = ec_key("secp256r1", 1), ec_key("secp256r1", 2)
ROOT = certify("root", ROOT_KEY, "root", ROOT_KEY, authority=True)


def leaf(list_uri: str = "http://crl/", ask_uri: str = "http://ocsp/", serial: int = 77) -> library.Certificate:
    places = library.CRLDistributionPoints(
        [library.DistributionPoint([library.UniformResourceIdentifier(list_uri)], None, None, None)]
    )
    where = library.UniformResourceIdentifier(ask_uri)
    access = library.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
    extensions = [places, library.AuthorityInformationAccess([access])]
    return certify("leaf", LEAF_KEY, "root", ROOT_KEY, serial=serial, extensions=extensions)


LEAF = leaf()
CHAIN = (LEAF, ROOT)


class World:
    """A brain whose effects and clock are at hand."""

    def __init__(self, fetching: Fetching | None = None, **demands: Any) -> None:
        settings = Settings(demands=Demands(**demands), fetching=fetching or Fetching())
        self.brain = Brain(SeededRng(1), settings, lambda now: NOW + timedelta(seconds=now))
        self.done: list[str] = []

    @property
    def it(self) -> Revocation:
        return self.brain.revocation

    def take(self, kind: type[Any]) -> list[Any]:
        found = [effect for effect in self.brain.core.effects if isinstance(effect, kind)]
        self.brain.core.effects = [effect for effect in self.brain.core.effects if not isinstance(effect, kind)]
        return found

    def check(self, chain: Any = CHAIN) -> tuple[Question, ...]:
        return self.it.check(chain, NOW + timedelta(seconds=self.brain.core.now))

    def ask(self, chain: Any = CHAIN) -> Fetch:
        """Have fetched what a chain needs; the one request."""
        self.it.start(self.check(chain), lambda: self.done.append("done"))
        (fetch,) = self.take(Fetch)
        return fetch  # type: ignore[no-any-return]

    def pass_time(self, seconds: float) -> None:
        self.brain.core.now += seconds
        self.brain.core.timers.run(self.brain.core.now)

    def logs(self) -> list[str]:
        return [effect.text for effect in self.take(Log)]


def test_a_list_is_fetched_kept_and_believed() -> None:
    world = World(strict=Strict.YES, fetch=True)
    fetch = world.ask()
    assert (fetch.uri, fetch.body, fetch.timeout) == ("http://crl/", b"", 5.0)
    world.brain.fetches.fetched(Fetched(fetch.token, revoke("root", ROOT_KEY, [])))
    assert world.done == ["done"] and world.check() == ()
    assert any("fetched CRL of 'C=CA, O=Example, CN=root': 0 revoked, good until 2026-06-06" in x for x in world.logs())
    world.brain.fetches.fetched(Fetched(fetch.token, b"late"))
    # Files read again leave it where it is.
    world.it.read(CertificatesRead((), (revoke("root", ROOT_KEY, []),), ()))
    assert len(list(world.it.known.lists)) == 2


def test_a_list_revokes() -> None:
    world = World(fetch=True)
    world.brain.fetches.fetched(Fetched(world.ask().token, revoke("root", ROOT_KEY, [77])))
    with pytest.raises(CryptoError, match="was revoked"):
        world.check()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"junk", "neither PEM nor DER"),
        (revoke("root", LEAF_KEY, [77]), "has not signed it"),
        (revoke("other", ROOT_KEY, [77]), "has not signed it; it says 'C=CA, O=Example, CN=other'"),
        (revoke("root", ROOT_KEY, [], days=-1), "it was good until 2026-05-31 12:00:00 UTC"),
    ],
    ids=["junk", "another key", "another issuer", "old"],
)
def test_lists_of_no_use(data: bytes, reason: str) -> None:
    world = World(strict=Strict.IFURI, fetch=True)
    world.brain.fetches.fetched(Fetched(world.ask().token, data))
    assert world.done == ["done"], "nobody waits for ever"
    assert any("CRL from http://crl/ is of no use" in line and reason in line for line in world.logs())
    with pytest.raises(CryptoError, match="no current revocation list"):
        world.check()
    world.pass_time(AGAIN)
    assert len(world.check()) == 1


def test_a_server_that_does_not_have_one_list_is_asked_for_others() -> None:
    world = World(fetch=True)
    world.brain.fetches.fetched(Fetched(world.ask().token, b"", "the server says 404 'Not Found'", answered=True))
    assert world.check() == (), "not again for that"
    assert len(world.check((leaf("http://CRL/other"), ROOT))) == 1


def test_a_server_that_fails_is_let_be_for_a_while() -> None:
    world = World(fetch=True)
    world.brain.fetches.fetched(Fetched(world.ask().token, b"", "no answer within 5 s"))
    assert world.check() == () and world.check((leaf(serial=78), ROOT)) == ()
    assert world.check((leaf("http://CRL/other"), ROOT)) == (), "the same server"
    assert world.check((leaf("http://other/"), ROOT)) != ()
    assert "CRL not fetched from http://crl/: no answer within 5 s" in world.logs()
    world.pass_time(AGAIN)
    assert len(world.check()) == 1


def test_two_who_wait_ask_once() -> None:
    world = World(fetch=True)
    fetch = world.ask()
    world.it.start(world.check((leaf(serial=78), ROOT)), lambda: world.done.append("other"))
    assert world.take(Fetch) == []
    world.brain.fetches.fetched(Fetched(fetch.token, revoke("root", ROOT_KEY, [])))
    assert world.done == ["done", "other"] and not world.it.waiting and not world.it.under_way


def test_only_http_is_fetched() -> None:
    world = World(fetch=True)
    for uri in ("ldap://x/cn=root", "https://x/", "file:///etc/passwd"):
        for _ in range(3):
            assert world.check((leaf(uri), ROOT)) == ()
        assert world.logs() == [f"CRL not fetched from '{uri}': only http is"]


def test_responders_by_get() -> None:
    world = World(ocsp=True, ocsp_strict=True)
    fetch = world.ask()
    assert fetch.uri.startswith("http://ocsp/M") and not fetch.body and fetch.timeout == 2.0
    world.brain.fetches.fetched(Fetched(fetch.token, answer(LEAF, ROOT, ROOT_KEY)))
    assert world.check() == ()
    assert "OCSP responder 'C=CA, O=Example, CN=root' says that 'C=CA, O=Example, CN=leaf' is good" in world.logs()
    assert world.it.purge() == 1 and len(world.check()) == 1


def test_responders_by_post() -> None:
    world = World(Fetching(ocsp_post=True), ocsp=True)
    fetch = world.ask()
    asked = library_ocsp.load_der_ocsp_request(fetch.body)
    nonce = asked.extensions.get_extension_for_class(library.OCSPNonce).value.nonce
    assert fetch.uri == "http://ocsp/" and fetch.content_type == REQUEST_TYPE and len(nonce) == 32
    world.brain.fetches.fetched(Fetched(fetch.token, answer(LEAF, ROOT, ROOT_KEY, nonce=b"x" * 32)))
    assert any("another question" in line for line in world.logs())
    world.pass_time(AGAIN)
    fetch = world.ask()
    nonce = library_ocsp.load_der_ocsp_request(fetch.body).extensions.get_extension_for_class(library.OCSPNonce)
    world.brain.fetches.fetched(Fetched(fetch.token, answer(LEAF, ROOT, ROOT_KEY, REVOKED, nonce=nonce.value.nonce)))
    with pytest.raises(CryptoError, match="says the OCSP responder"):
        world.check()


def test_the_cache_of_answers_is_bounded() -> None:
    world = World(Fetching(ocsp_cache=2), ocsp=True)
    for serial in range(1, 6):
        cert = leaf(serial=serial)
        world.brain.fetches.fetched(Fetched(world.ask((cert, ROOT)).token, answer(cert, ROOT, ROOT_KEY)))
    assert [name.serial for name in world.it.known.answers] == [4, 5]


def test_responders_of_our_own_trust() -> None:
    local = certify("local", LEAF_KEY, "local", LEAF_KEY)
    other = certify("other", ec_key(), "other", ec_key())
    files = (("local.pem", x509.der(local)), ("other.pem", x509.der(other)), ("junk", b"junk"))
    for only, count in (("", 2), ("local.pem", 1), ("C=CA, O=Example, CN=other", 1), ("nobody", 0)):
        world = World(Fetching(ocsp_trusted=only), ocsp=True)
        world.it.read(CertificatesRead((), (), (), responders=files))
        assert len(world.it.known.responders) == count
    world = World(ocsp=True, ocsp_strict=True)
    world.it.read(CertificatesRead((), (), (), responders=files))
    data = answer(LEAF, ROOT, LEAF_KEY, signer=local, enclose=False)
    world.brain.fetches.fetched(Fetched(world.ask().token, data))
    assert world.check() == ()


PLACES = ((ROOT.subject.public_bytes(), Places(("http://ca/list",), ("http://ca/ocsp",))),)


def test_lists_are_renewed_before_they_end() -> None:
    world = World(Fetching(interval=3600.0), fetch=True)
    world.it.read(CertificatesRead((x509.der(ROOT),), (), (), places=PLACES))
    world.pass_time(0.0)
    (fetch,) = world.take(Fetch)
    assert fetch.uri == "http://ca/list"
    world.brain.fetches.fetched(Fetched(fetch.token, revoke("root", ROOT_KEY, [], days=1)))
    world.pass_time(3600.0)
    assert world.take(Fetch) == []
    for _ in range(23):
        world.pass_time(3600.0)
    assert len(world.take(Fetch)) == 1, "the list ends before the next look"


def test_without_an_interval_nothing_is_fetched_by_itself() -> None:
    world = World(strict=Strict.YES)
    world.it.read(CertificatesRead((x509.der(ROOT),), (), (), places=PLACES))
    world.pass_time(1e6)
    assert world.take(Fetch) == []


def test_fetching_all_by_hand() -> None:
    world = World()
    assert world.it.fetch_all(7)
    assert "no certificate and no ca section" in world.take(WhackLine)[0].text
    world.it.read(CertificatesRead((x509.der(ROOT),), (), (), places=PLACES))
    assert not world.it.fetch_all(7)
    (fetch,) = world.take(Fetch)
    assert world.take(WhackDone) == []
    world.brain.fetches.fetched(Fetched(fetch.token, revoke("root", ROOT_KEY, [1])))
    assert [effect.client for effect in world.take(WhackDone)] == [7]


def test_there_is_no_room_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openswan.engine.revocation.MOST_OCTETS", 200)
    world = World(fetch=True)
    world.brain.fetches.fetched(Fetched(world.ask().token, revoke("root", ROOT_KEY, list(range(1, 50)))))
    assert any("no room for another list" in line for line in world.logs())
    assert not list(world.it.known.lists) and not world.it.octets
