# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.trust promises."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509 as library
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from openswan.base.errors import CryptoError
from openswan.crypto import x509
from openswan.crypto.rsakey import PrivateKey
from openswan.crypto.trust import MAX_DEPTH, MAX_INTERMEDIATES, TrustStore
from tests.shareddata import DATA
from tests.unit.crypto.keys import NOW, certify, ec_key, ed_key, name, rsa_key

ROOT_KEY, MIDDLE_KEY, LEAF_KEY = rsa_key(2048, 65537, 1), ec_key("secp256r1", 2), rsa_key(2048, 65537, 2)
ROOT = certify("root", ROOT_KEY, "root", ROOT_KEY, authority=True)
MIDDLE = certify("middle", MIDDLE_KEY, "root", ROOT_KEY, authority=True)
LEAF = certify("leaf", LEAF_KEY, "middle", MIDDLE_KEY, serial=77)
STORE = TrustStore([x509.der(ROOT)])


def usage(**bits: bool) -> library.KeyUsage:
    everything = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return library.KeyUsage(**{**everything, **bits})


def leaf_with(*extensions: library.ExtensionType, critical: bool = False) -> library.Certificate:
    return certify("leaf", LEAF_KEY, "middle", MIDDLE_KEY, extensions=extensions, critical=critical)


def refused(leaf: library.Certificate, others: Sequence[library.Certificate], reason: str, **more: Any) -> None:
    store = more.pop("store", STORE)
    with pytest.raises(CryptoError, match=reason):
        store.verify(leaf, others, more.pop("at", NOW), **more)


@pytest.mark.parametrize(
    "key", [LEAF_KEY, rsa_key(2192, 3), ec_key("secp384r1"), ed_key()], ids=["rsa", "e3", "ec", "ed"]
)
def test_chains_of_each_kind_of_key(key: PrivateKey) -> None:
    leaf = certify("leaf", key, "middle", MIDDLE_KEY)
    assert STORE.verify(leaf, [MIDDLE], NOW) == [leaf, MIDDLE, ROOT]


@pytest.mark.parametrize(
    "extension",
    [
        library.ExtendedKeyUsage([ExtendedKeyUsageOID.IPSEC_IKE]),
        library.ExtendedKeyUsage([ObjectIdentifier("1.3.6.1.5.5.8.2.2")]),
        library.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        library.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
        library.SubjectAlternativeName([library.RFC822Name("u@example.org")]),
        usage(digital_signature=True),
        usage(content_commitment=True),
        library.BasicConstraints(False, None),
    ],
)
def test_ordinary_ipsec_certificates(extension: library.ExtensionType) -> None:
    for critical in (False, True):
        STORE.verify(leaf_with(extension, critical=critical), [MIDDLE], NOW)


def test_purposes_that_are_not_ike() -> None:
    for oid in (ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.OCSP_SIGNING):
        refused(leaf_with(library.ExtendedKeyUsage([oid])), [MIDDLE], "extendedKeyUsage does not allow IKE")
    refused(leaf_with(usage(key_agreement=True)), [MIDDLE], "keyUsage does not allow signatures")


def test_validity_is_that_of_the_time_given() -> None:
    days = timedelta(days=1)
    for at in (NOW - 10 * days, NOW + 10 * days):
        STORE.verify(LEAF, [MIDDLE], at)
    refused(LEAF, [MIDDLE], r"'C=CA, O=Example, CN=leaf' .* has expired: it is 2026-06-12", at=NOW + 11 * days)
    refused(LEAF, [MIDDLE], "is not valid yet: it is 2026-05-21", at=NOW - 11 * days)


def test_each_certificate_of_the_chain_must_be_valid() -> None:
    old = certify("middle", MIDDLE_KEY, "root", ROOT_KEY, authority=True, end=timedelta(days=-1))
    refused(LEAF, [old], "CN=middle' .* has expired")
    root = certify("root", ROOT_KEY, "root", ROOT_KEY, authority=True, end=timedelta(days=-1))
    refused(LEAF, [MIDDLE], "CN=root' .* has expired", store=TrustStore([x509.der(root)]))


def test_missing_and_foreign_authorities() -> None:
    refused(LEAF, [], "CN=leaf' .* is issued by 'C=CA, O=Example, CN=middle', which is not trusted")
    alone = certify("leaf", LEAF_KEY, "leaf", LEAF_KEY)
    refused(alone, [], "which is not trusted")
    refused(LEAF, [MIDDLE], "there is no authority in cacerts", store=TrustStore([]))


def test_the_name_of_an_authority_is_not_its_key() -> None:
    """CVE-2004-0590."""
    forged = certify("leaf", LEAF_KEY, "root", LEAF_KEY)
    refused(forged, [], "its signature was not made by the key of that authority")
    own_root = certify("root", LEAF_KEY, "root", LEAF_KEY, authority=True)
    refused(forged, [own_root], "not trusted|not made by")
    refused(own_root, [], "not trusted|not made by")


def test_chains_that_loop_end() -> None:
    """CVE-2004-0590: A -> B -> A."""
    a = certify("A", MIDDLE_KEY, "B", LEAF_KEY, authority=True)
    b = certify("B", LEAF_KEY, "A", MIDDLE_KEY, authority=True)
    refused(certify("leaf", LEAF_KEY, "A", MIDDLE_KEY), [a, b], "CN=leaf' .* refused")


def test_only_authorities_issue() -> None:
    below = certify("below", ec_key(), "leaf", LEAF_KEY)
    refused(below, [LEAF, MIDDLE], "CN=leaf' .* is used as an authority: basicConstraints does not allow it")
    wordless = certify(
        "middle", MIDDLE_KEY, "root", ROOT_KEY, authority=True, extensions=[usage(digital_signature=True)]
    )
    refused(LEAF, [wordless], "keyUsage does not allow it to sign certificates")


def test_unknown_critical_extensions() -> None:
    odd = library.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    refused(leaf_with(odd, critical=True), [MIDDLE], "critical")
    STORE.verify(leaf_with(odd), [MIDDLE], NOW)


def test_name_constraints() -> None:
    def under(constraint: library.GeneralName, host: str) -> tuple[library.Certificate, library.Certificate]:
        middle = certify(
            "middle",
            MIDDLE_KEY,
            "root",
            ROOT_KEY,
            authority=True,
            extensions=[library.NameConstraints([constraint], None)],
            critical=True,
        )
        return leaf_with(library.SubjectAlternativeName([library.DNSName(host)])), middle

    leaf, middle = under(library.DNSName("example.org"), "east.example.org")
    STORE.verify(leaf, [middle], NOW)
    leaf, middle = under(library.DNSName("example.org"), "east.example.com")
    refused(leaf, [middle], "name constraints")
    leaf, middle = under(library.DirectoryName(name("x")), "east.example.org")
    refused(leaf, [middle], "name constraints of type DirectoryName cannot be checked")


def test_very_many_certificates() -> None:
    refused(LEAF, [MIDDLE] * (MAX_INTERMEDIATES + 1), "more than 32")


def test_what_the_standard_forbids_and_nobody_needs() -> None:
    hint = library.AuthorityKeyIdentifier.from_issuer_public_key(MIDDLE_KEY.public_key())
    refused(leaf_with(hint, critical=True), [MIDDLE], "criticality")
    refused(leaf_with(usage(digital_signature=True, key_cert_sign=True)), [MIDDLE], "basicConstraints does not")
    names = library.SubjectAlternativeName([library.DNSName("a.example")])
    nameless = certify("", LEAF_KEY, "middle", MIDDLE_KEY, extensions=[names])
    refused(nameless, [MIDDLE], "subject is empty, and its subjectAltName not critical")
    STORE.verify(certify("", LEAF_KEY, "middle", MIDDLE_KEY, extensions=[names], critical=True), [MIDDLE], NOW)


def test_an_intermediate_of_ours_is_no_root_when_its_own_authority_is_there() -> None:
    both = TrustStore([x509.der(MIDDLE), x509.der(ROOT), x509.der(ROOT)])
    assert both.anchors == (ROOT,) and both.intermediates == (MIDDLE,) and both.authorities == (MIDDLE, ROOT)
    assert both.verify(LEAF, [], NOW) == [LEAF, MIDDLE, ROOT]
    assert both.hashes() == x509.key_hash(ROOT)
    alone = TrustStore([x509.der(MIDDLE)])
    assert alone.verify(LEAF, [], NOW) == [LEAF, MIDDLE]
    # Another authority of that name makes no difference: names are not keys.
    namesake = certify("root", LEAF_KEY, "root", LEAF_KEY, authority=True)
    assert TrustStore([x509.der(MIDDLE), x509.der(namesake)]).anchors == (MIDDLE, namesake)


def test_the_depth_of_a_chain() -> None:
    assert STORE.verify(LEAF, [MIDDLE], NOW, 1)
    refused(LEAF, [MIDDLE], "refused", depth=0)


def test_a_request_for_one_authority() -> None:
    other = certify("other", LEAF_KEY, "other", LEAF_KEY, authority=True)
    store = TrustStore([x509.der(ROOT), x509.der(other)])
    assert store.hashes(other.subject.public_bytes()) == x509.key_hash(other)
    assert len(store.hashes(name("nobody").public_bytes())) == 40


def test_the_request_names_each_authority_once() -> None:
    again = certify("root", ROOT_KEY, "root", ROOT_KEY, authority=True)
    assert TrustStore([x509.der(ROOT), x509.der(again)]).hashes() == x509.key_hash(ROOT)


LIMBO = DATA / "x509-limbo" / "limbo-2023-12-02.json"
DIFFERENT = {
    # The web's rules, not IPsec's.
    "rfc5280::eku::ee-wrong-eku": "clientAuth serves IKE as well as serverAuth (RFC 4945 5.1.3.12)",
    "webpki::eku::ee-anyeku": "the CA/Browser Forum's rule",
    "webpki::eku::ee-critical-eku": "the CA/Browser Forum's rule",
    "webpki::eku::ee-without-eku": "IPsec certificates need none",
    "webpki::eku::root-has-eku": "the CA/Browser Forum's rule",
    "webpki::ee-basicconstraints-ca": "the CA/Browser Forum's rule",
    "webpki::aki::root-with-aki-missing-keyidentifier": "the CA/Browser Forum's rule",
    "webpki::aki::root-with-aki-all-fields": "the CA/Browser Forum's rule",
    "webpki::aki::root-with-aki-ski-mismatch": "the CA/Browser Forum's rule",
    "webpki::san::san-critical-with-nonempty-subject": "the CA/Browser Forum's rule",
    "webpki::san::leftmost-wildcard-san": "no wildcards in certificates (RFC 4945 5.1.3.5): fails, though it need not",
    # What small authorities leave out: hints for building chains, from which no trust follows.
    "rfc5280::aki::leaf-missing-aki": "a hint",
    "rfc5280::aki::intermediate-missing-aki": "a hint",
    "rfc5280::aki::cross-signed-root-missing-aki": "a hint",
    "rfc5280::ski::root-missing-ski": "a hint",
    "rfc5280::ski::intermediate-missing-ski": "a hint",
    # Marks that small authorities forget and that change nothing: the extension is obeyed either way.
    "rfc5280::nc::permitted-dns-match-noncritical": "should be critical; webpki:: has the same case as a success",
    "rfc5280::root-non-critical-basic-constraints": "should be critical; OpenSSL's own example is not",
    # Refused, though the case wants it accepted: the safe side.
    "pathlen::validation-ignores-pathlen-in-leaf": "its leaf may not sign, so cannot prove itself in IKE",
    "pathlen::self-issued-certs-pathlen": "the library counts self-issued certificates",
    "pathlen::max-chain-depth-1-self-issued": "the library counts self-issued certificates",
    "rfc5280::nc::permitted-dn-match": "constraints on names the library does not check refuse",
}
"""Cases that do not apply to IPsec, and why; every other one must come out as it says."""


def limbo() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(LIMBO.read_text())["testcases"]
    return cases


def test_the_table_of_differences_names_cases_that_exist() -> None:
    assert DIFFERENT.keys() <= {case["id"] for case in limbo()}


def payload(peer: dict[str, str]) -> tuple[int, bytes]:
    if peer["kind"] == "IP":
        address = ip_address(peer["value"])
        return (x509.ID_IPV4_ADDR if address.version == 4 else x509.ID_IPV6_ADDR), address.packed
    return x509.ID_FQDN, peer["value"].encode()


@pytest.mark.parametrize("case", limbo(), ids=lambda case: case["id"])
def test_x509_limbo(case: dict[str, Any]) -> None:
    text = case["validation_time"]
    at = datetime.fromisoformat(text.replace("Z", "+00:00")) if text else datetime(2023, 12, 2, tzinfo=UTC)
    depth = MAX_DEPTH if case["max_chain_depth"] is None else case["max_chain_depth"]
    try:
        store = TrustStore([cert.encode() for cert in case["trusted_certs"]])
        others = [x509.load(cert.encode()) for cert in case["untrusted_intermediates"]]
        leaf = x509.load(case["peer_certificate"].encode())
        store.verify(leaf, others, at, depth)
        if case["expected_peer_name"]:
            x509.require_identity(leaf, *payload(case["expected_peer_name"]), "the peer")
        accepted = True
    except CryptoError:
        accepted = False
    assert accepted == ((case["expected_result"] == "SUCCESS") != (case["id"] in DIFFERENT))
