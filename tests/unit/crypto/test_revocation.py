# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.revocation promises."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509 as library
from cryptography.x509.oid import AuthorityInformationAccessOID

from openswan.base.errors import CryptoError
from openswan.crypto import ocsp
from openswan.crypto.crl import Lists
from openswan.crypto.revocation import Demands, Known, Places, Question, Strict, Way, check, require_unrevoked
from tests.unit.crypto.keys import NOW, certify, ec_key, revoke
from tests.unit.crypto.ocsps import REVOKED, answer

ROOT_KEY, MIDDLE_KEY, LEAF_KEY = ec_key("secp256r1", 1), ec_key("secp256r1", 2), ec_key("secp256r1", 3)
ROOT = certify("root", ROOT_KEY, "root", ROOT_KEY, authority=True)
MIDDLE = certify("middle", MIDDLE_KEY, "root", ROOT_KEY, authority=True, serial=5)


def uri(text: str) -> library.UniformResourceIdentifier:
    return library.UniformResourceIdentifier(text)


LIST = library.CRLDistributionPoints([library.DistributionPoint([uri("http://crl/")], None, None, None)])
ASK = library.AuthorityInformationAccess(
    [library.AccessDescription(AuthorityInformationAccessOID.OCSP, uri("http://ocsp/"))]
)
LEAF = certify("leaf", LEAF_KEY, "middle", MIDDLE_KEY, serial=77, extensions=[LIST, ASK])
BARE = certify("leaf", LEAF_KEY, "middle", MIDDLE_KEY, serial=77)
CHAIN = (LEAF, MIDDLE, ROOT)
EMPTY_LISTS = (revoke("middle", MIDDLE_KEY, []), revoke("root", ROOT_KEY, []))


def asks(known: Known, chain: Any = CHAIN, worth: Any = lambda _: True, **demands: Any) -> list[tuple[Way, str]]:
    found = check(chain, known, Demands(**demands), NOW, worth)
    return [(question.way, question.uri) for question in found]


def refused(known: Known, reason: str, chain: Any = CHAIN, **demands: Any) -> None:
    with pytest.raises(CryptoError, match=reason):
        asks(known, chain, lambda _: False, **demands)


def test_nothing_is_asked_and_wanted_by_default() -> None:
    assert asks(Known()) == []
    assert asks(Known(), (ROOT,), strict=Strict.YES) == [], "an authority of ours is not revoked by anybody"


def test_revoked_by_a_list_anywhere_in_the_chain() -> None:
    refused(Known(Lists([revoke("middle", MIDDLE_KEY, [77])])), "CN=leaf' .* was revoked")
    refused(Known(Lists([revoke("root", ROOT_KEY, [5])])), "CN=middle' .* was revoked")
    with pytest.raises(CryptoError, match=r"CN=middle' .* was revoked"):
        require_unrevoked(CHAIN, Known(Lists([revoke("root", ROOT_KEY, [5])])), NOW)


def test_strict() -> None:
    full = Known(Lists(EMPTY_LISTS))
    for strict in Strict:
        assert asks(full, strict=strict) == []
    half = Known(Lists(EMPTY_LISTS[:1]))
    refused(half, "CN=middle' .* no current revocation list of .*CN=root' and strictcrlpolicy=yes", strict=Strict.YES)
    assert asks(half, strict=Strict.IFURI) == [], "the intermediate says no place"
    refused(Known(), "CN=leaf'.* strictcrlpolicy=ifuri", strict=Strict.IFURI)
    assert asks(Known(), (BARE, MIDDLE, ROOT), strict=Strict.IFURI) == []
    places = {MIDDLE.subject.public_bytes(): Places(crl=("http://ca/",))}
    refused(Known(places=places), "ifuri", (BARE, MIDDLE, ROOT), strict=Strict.IFURI)


def test_lists_are_fetched_where_the_certificate_and_the_ca_section_say() -> None:
    assert asks(Known(), fetch=True) == [(Way.CRL, "http://crl/")]
    places = {MIDDLE.subject.public_bytes(): Places(crl=("http://ca/",)), ROOT.subject.public_bytes(): Places(("r",))}
    assert asks(Known(places=places), fetch=True) == [(Way.CRL, "http://crl/"), (Way.CRL, "r")]
    assert asks(Known(places=places), worth=lambda q: q.uri != "http://crl/", fetch=True) == [
        (Way.CRL, "http://ca/"),
        (Way.CRL, "r"),
    ]
    assert asks(Known(Lists(EMPTY_LISTS), places=places), fetch=True) == [], "known already"


def test_responders_before_lists() -> None:
    both: dict[str, Any] = {"fetch": True, "ocsp": True}
    assert asks(Known(), **both) == [(Way.OCSP, "http://ocsp/")]
    assert asks(Known(), worth=lambda q: q.way is Way.CRL, **both) == [(Way.CRL, "http://crl/")]
    assert asks(Known(), (BARE, MIDDLE, ROOT), ocsp_uri="http://default/", **both) == [
        (Way.OCSP, "http://default/"),
        (Way.OCSP, "http://default/"),
    ]
    assert asks(Known(Lists(EMPTY_LISTS)), ocsp=True) == [(Way.OCSP, "http://ocsp/")], "fresher than any list"


def told(status: Any = None) -> Known:
    data = answer(LEAF, MIDDLE, MIDDLE_KEY, status) if status else answer(LEAF, MIDDLE, MIDDLE_KEY)
    return Known(answers={ocsp.cert_id(LEAF, MIDDLE): ocsp.read(data, LEAF, MIDDLE, NOW)})


def test_what_responders_said() -> None:
    assert asks(told(), ocsp=True) == []
    assert asks(told(), ocsp=True, fetch=True) == []
    refused(told(REVOKED), "CN=leaf' .* was revoked at 2026-06-01 10:00:00 UTC, says the OCSP responder")
    late = NOW + timedelta(days=3)
    with pytest.raises(CryptoError, match="says the OCSP responder"):
        require_unrevoked(CHAIN, told(REVOKED), late)
    assert check(CHAIN, told(), Demands(ocsp=True), late, lambda _: True), "out of date: asked again"
    refused(Known(), "no OCSP responder says that it is good", ocsp=True, ocsp_strict=True)
    refused(told(), "CN=middle' .* no OCSP responder", ocsp=True, ocsp_strict=True)
    assert asks(told(), (LEAF, MIDDLE), ocsp=True, ocsp_strict=True, strict=Strict.YES) == []


def test_questions_that_are_the_same() -> None:
    one = Question(Way.CRL, "http://crl/", MIDDLE)
    assert one.key == Question(Way.CRL, "http://crl/", MIDDLE).key != Question(Way.CRL, "http://crl/", ROOT).key
    assert Question(Way.OCSP, "x", MIDDLE, LEAF).key != Question(Way.OCSP, "x", ROOT, MIDDLE).key
