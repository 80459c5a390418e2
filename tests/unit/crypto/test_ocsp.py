# SPDX-License-Identifier: GPL-2.0-or-later
"""What crypto.ocsp promises."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509 as library
from cryptography.x509 import ocsp as library_ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from openswan.base.errors import CryptoError
from openswan.crypto import ocsp
from tests.unit.crypto.keys import NOW, certify, ec_key, ed_key, rsa_key
from tests.unit.crypto.ocsps import HOUR, REVOKED, UNKNOWN, answer

ROOT_KEY, LEAF_KEY, OTHER_KEY = rsa_key(2048, 65537, 1), ec_key("secp256r1", 2), ec_key("secp384r1", 3)
ROOT = certify("root", ROOT_KEY, "root", ROOT_KEY, authority=True)
LEAF = certify("leaf", LEAF_KEY, "root", ROOT_KEY, serial=77)
SIGNING = library.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
DELEGATE = certify("responder", OTHER_KEY, "root", ROOT_KEY, extensions=[SIGNING])


def read(data: bytes, **more: Any) -> ocsp.Answer:
    return ocsp.read(data, more.pop("cert", LEAF), more.pop("issuer", ROOT), more.pop("at", NOW), **more)


def refused(data: bytes, reason: str, **more: Any) -> None:
    with pytest.raises(CryptoError, match=reason):
        read(data, **more)


@pytest.mark.parametrize("by_name", [False, True])
def test_good_and_revoked(by_name: bool) -> None:
    good = read(answer(LEAF, ROOT, ROOT_KEY, by_name=by_name))
    assert good.revoked is None and good.responder == "C=CA, O=Example, CN=root"
    assert good.is_current(NOW) and good.until == NOW + HOUR and not good.is_current(NOW + 2 * HOUR)
    assert read(answer(LEAF, ROOT, ROOT_KEY, REVOKED, by_name=by_name)).revoked == NOW - 2 * HOUR


def test_other_answers() -> None:
    refused(answer(LEAF, ROOT, ROOT_KEY, UNKNOWN), "does not know the certificate")
    other = certify("other", LEAF_KEY, "root", ROOT_KEY)
    refused(answer(other, ROOT, ROOT_KEY), "about another certificate")
    # The same serial number of another authority is another certificate.
    second = certify("root", OTHER_KEY, "root", OTHER_KEY, authority=True)
    twin = certify("leaf", LEAF_KEY, "root", OTHER_KEY, serial=77)
    data = answer(twin, second, ROOT_KEY, signer=ROOT)
    refused(data, "about another certificate")
    busy = library_ocsp.OCSPResponseBuilder.build_unsuccessful(library_ocsp.OCSPResponseStatus.TRY_LATER)
    from cryptography.hazmat.primitives.serialization import Encoding

    refused(busy.public_bytes(Encoding.DER), "TRY_LATER")


def test_who_may_sign() -> None:
    assert read(answer(LEAF, ROOT, OTHER_KEY, signer=DELEGATE)).responder == "C=CA, O=Example, CN=responder"
    refused(answer(LEAF, ROOT, OTHER_KEY, signer=DELEGATE, enclose=False), "signed by nobody")
    plain = certify("responder", OTHER_KEY, "root", ROOT_KEY)
    refused(answer(LEAF, ROOT, OTHER_KEY, signer=plain), "does not allow OCSP signing")
    foreign = certify("responder", OTHER_KEY, "root", OTHER_KEY, extensions=[SIGNING])
    refused(answer(LEAF, ROOT, OTHER_KEY, signer=foreign), "not certified by the authority")
    old = certify("responder", OTHER_KEY, "root", ROOT_KEY, extensions=[SIGNING], end=timedelta(days=-1))
    refused(answer(LEAF, ROOT, OTHER_KEY, signer=old), "not valid now")
    # Who is under trust for every authority needs no delegation.
    local = certify("local", OTHER_KEY, "local", OTHER_KEY)
    data = answer(LEAF, ROOT, OTHER_KEY, signer=local, enclose=False)
    refused(data, "signed by nobody")
    assert read(data, trusted=[local]).responder == "C=CA, O=Example, CN=local"


def test_kinds_of_keys() -> None:
    for key in (ec_key("secp521r1"), ed_key()):
        root = certify("r", key, "r", key, authority=True)
        leaf = certify("leaf", LEAF_KEY, "r", key)
        ocsp.request(leaf, root)
        assert ocsp.cert_id(leaf, root).serial == leaf.serial_number
    root_key = ec_key("secp521r1")
    root = certify("r", root_key, "r", root_key, authority=True)
    leaf = certify("leaf", LEAF_KEY, "r", root_key)
    assert read(answer(leaf, root, root_key), cert=leaf, issuer=root).revoked is None


def test_the_time_an_answer_counts() -> None:
    refused(answer(LEAF, ROOT, ROOT_KEY, until=-HOUR / 2), "was good until")
    refused(answer(LEAF, ROOT, ROOT_KEY, since=HOUR / 2), "from the future")
    refused(answer(LEAF, ROOT, ROOT_KEY, since=-48 * HOUR, until=None), "does not say how long")
    assert read(answer(LEAF, ROOT, ROOT_KEY, until=None), least=3 * HOUR).until == NOW + 3 * HOUR
    assert read(answer(LEAF, ROOT, ROOT_KEY, until=100 * HOUR), most=5 * HOUR).until == NOW + 5 * HOUR
    assert read(answer(LEAF, ROOT, ROOT_KEY, since=timedelta(minutes=4))).is_current(NOW)


def test_nonces() -> None:
    mine = b"n" * 32
    assert read(answer(LEAF, ROOT, ROOT_KEY, nonce=mine), nonce=mine)
    assert read(answer(LEAF, ROOT, ROOT_KEY), nonce=mine), "prepared answers have none"
    refused(answer(LEAF, ROOT, ROOT_KEY, nonce=b"m" * 32), "another question", nonce=mine)


def test_requests() -> None:
    body = ocsp.request(LEAF, ROOT, b"n" * 32)
    asked = library_ocsp.load_der_ocsp_request(body)
    named = ocsp.cert_id(LEAF, ROOT)
    assert (asked.issuer_name_hash, asked.issuer_key_hash, asked.serial_number) == tuple(named)
    assert asked.extensions.get_extension_for_class(library.OCSPNonce).value.nonce == b"n" * 32
    uri = ocsp.get_uri("http://x/ocsp/", ocsp.request(LEAF, ROOT))
    assert uri.startswith("http://x/ocsp/M") and "//" not in uri[7:] and "+" not in uri
    assert ocsp.get_uri("http://x/", bytes(300)) == ""


def test_where_a_certificate_can_be_asked_about() -> None:
    def access(*uris: str) -> library.Certificate:
        where = [
            library.AccessDescription(AuthorityInformationAccessOID.OCSP, library.UniformResourceIdentifier(uri))
            for uri in uris
        ]
        return certify("x", LEAF_KEY, "root", ROOT_KEY, extensions=[library.AuthorityInformationAccess(where)])

    assert ocsp.ocsp_uris(access("http://x/", "http://x/", "http://y/")) == ("http://x/", "http://y/")
    assert len(ocsp.ocsp_uris(access(*(f"http://{n}/" for n in range(9))))) == 4
    assert ocsp.ocsp_uris(LEAF) == ()


def test_broken_answers() -> None:
    data = answer(LEAF, ROOT, OTHER_KEY, signer=DELEGATE)
    for at in (*range(0, len(data), 3), len(data) - 1):
        refused(data[:at], ".")
    refused(data + b"\0" * 70000, "too long")
    for at in range(0, len(data), 5):
        changed = bytearray(data)
        changed[at] ^= 0x55
        try:
            read(bytes(changed))
        except CryptoError:
            continue
        # What is outside the signature may change: encoding of the enclosed certificates alone.
        assert at > len(data) // 3
