# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.crl promises."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from openswan.base.errors import CryptoError
from openswan.crypto import x509
from openswan.crypto.crl import MAX_URIS, Lists, RevocationList, crl_uris, require_not_listed
from tests.unit.crypto.keys import NOW, certify, ec_key, name, revoke

ROOT_KEY, LEAF_KEY = ec_key("secp256r1", 1), ec_key("secp256r1", 2)
ROOT = certify("root", ROOT_KEY, "root", ROOT_KEY, authority=True)
PLACE = library.UniformResourceIdentifier("http://crl.example/root.crl")


def point(*uris: str) -> library.CRLDistributionPoints:
    names = [library.UniformResourceIdentifier(uri) for uri in uris]
    return library.CRLDistributionPoints([library.DistributionPoint(names, None, None, None)])


LEAF = certify("leaf", LEAF_KEY, "root", ROOT_KEY, serial=77, extensions=[point(PLACE.value)])


def crl(*extensions: tuple[library.ExtensionType, bool], serials: tuple[int, ...] = (), days: int = 5) -> bytes:
    builder = library.CertificateRevocationListBuilder().issuer_name(name("root"))
    builder = builder.last_update(NOW - timedelta(days=1)).next_update(NOW + timedelta(days=days))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for serial in serials:
        entry = library.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - timedelta(days=2))
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(ROOT_KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def listed(data: bytes, cert: library.Certificate = LEAF, **more: timedelta) -> bool:
    return require_not_listed(Lists([data]), cert, ROOT, NOW + more.get("later", timedelta()))


def test_a_list_that_does_not_name_it() -> None:
    assert listed(revoke("root", ROOT_KEY, [1, 2]))
    assert not listed(revoke("another", ROOT_KEY, []))
    assert not require_not_listed(Lists(), LEAF, ROOT, NOW)


def test_revoked_for_good() -> None:
    for later in (timedelta(), timedelta(days=8)):
        with pytest.raises(CryptoError, match=r"CN=leaf' \(serial 4d, .* was revoked at 2026-05-30 12:00:00 UTC"):
            listed(revoke("root", ROOT_KEY, [77]), later=later)


def test_only_the_authority_itself_lists() -> None:
    assert not listed(revoke("root", LEAF_KEY, [77]))
    usage = library.KeyUsage(False, False, False, False, False, True, False, False, False)
    silent = certify("root", ROOT_KEY, "root", ROOT_KEY, authority=True, extensions=[usage])
    assert not require_not_listed(Lists([revoke("root", ROOT_KEY, [77])]), LEAF, silent, NOW)


def test_only_current_lists_speak() -> None:
    assert not listed(revoke("root", ROOT_KEY, []), later=timedelta(days=6))
    assert not listed(revoke("root", ROOT_KEY, []), later=timedelta(days=-2))
    assert listed(revoke("root", ROOT_KEY, []), later=timedelta(days=-1, minutes=-3)), "clocks differ a little"


def idp(**more: object) -> library.IssuingDistributionPoint:
    values: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return library.IssuingDistributionPoint(**{**values, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "speaks"),
    [
        (idp(full_name=[PLACE]), True),
        (idp(full_name=[library.UniformResourceIdentifier("http://crl.example/other.crl")]), False),
        (idp(only_contains_user_certs=True), True),
        (idp(only_contains_ca_certs=True), False),
        (idp(full_name=[PLACE], indirect_crl=True), False),
        (idp(only_contains_attribute_certs=True), False),
        (idp(full_name=[PLACE], only_some_reasons=frozenset([library.ReasonFlags.key_compromise])), False),
        (library.DeltaCRLIndicator(3), False),
    ],
)
def test_what_a_list_is_complete_for(scope: library.ExtensionType, speaks: bool) -> None:
    assert listed(crl((scope, True))) is speaks
    with pytest.raises(CryptoError, match="was revoked"):
        listed(crl((scope, True), serials=(77,)))


def test_a_list_about_authorities() -> None:
    below = certify("below", LEAF_KEY, "root", ROOT_KEY, authority=True)
    assert listed(crl((idp(only_contains_ca_certs=True), True)), below)
    assert not listed(crl((idp(only_contains_user_certs=True), True)), below)


def test_where_a_certificate_says_its_list_is() -> None:
    assert crl_uris(LEAF) == (PLACE.value,)
    assert crl_uris(ROOT) == ()
    many = certify("x", LEAF_KEY, "root", ROOT_KEY, extensions=[point(*(f"http://{n}/" for n in range(20)))])
    assert len(crl_uris(many)) == MAX_URIS
    long = certify("x", LEAF_KEY, "root", ROOT_KEY, extensions=[point("http://x/" + "a" * 2000, "ldap://x/")])
    assert crl_uris(long) == ("ldap://x/",)


def test_newer_lists_from_one_place_replace_older_ones() -> None:
    lists = Lists()
    first = RevocationList.load(crl(), "http://x/")
    assert lists.put(first) and lists.put(RevocationList.load(crl(serials=(5,)), "http://y/"))
    again = RevocationList.load(crl(serials=(6,)), "http://x/")
    assert lists.put(again) and len(list(lists)) == 2
    builder = library.CertificateRevocationListBuilder().issuer_name(name("root"))
    old = builder.last_update(NOW - timedelta(days=9)).next_update(NOW).sign(ROOT_KEY, hashes.SHA256())
    assert not lists.put(RevocationList.load(old.public_bytes(Encoding.DER), "http://x/")), "no way back"
    for one in list(lists):
        lists.drop(one)
    assert not lists.by_issuer


def test_junk_is_left_out() -> None:
    assert not Lists([b"junk"]).by_issuer
    assert x509.may_sign_lists(ROOT)
