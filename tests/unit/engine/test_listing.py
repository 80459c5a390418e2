# SPDX-License-Identifier: GPL-2.0-or-later
"""The lists of keys, certificates and revocation, line by line."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509 as library

from openswan.base.entropy import SeededRng
from openswan.config.secrets import Secret, SecretKind, SecretStore
from openswan.crypto import ocsp, x509
from openswan.engine.brain import Brain
from openswan.engine.conn import Conn
from openswan.engine.events import CertificatesRead
from openswan.engine.listing import Listing, date, expiry
from openswan.engine.settings import Settings
from openswan.wire.whack import LISTS
from tests.sim.pair import tunnel
from tests.unit.crypto.keys import NOW, certify, ec_key, revoke, rsa_key
from tests.unit.crypto.ocsps import answer

ROOT_KEY, LEAF_KEY = rsa_key(2048, 65537, 1), ec_key("secp256r1", 2)
ROOT = certify("root", ROOT_KEY, "root", ROOT_KEY, authority=True, serial=0x1234)
SKI = library.SubjectKeyIdentifier.from_public_key(LEAF_KEY.public_key())
LEAF = certify("leaf", LEAF_KEY, "root", ROOT_KEY, serial=255, extensions=[SKI])


@pytest.fixture
def brain() -> Brain:
    brain = Brain(SeededRng(1), Settings(), lambda now: NOW + timedelta(seconds=now))
    policy = tunnel()[0]
    left = replace(policy.left, cert=x509.der(LEAF), cert_name="gw.pem", id=None)
    brain.core.conns.add(Conn(replace(policy, left=left)))
    brain.keyring.secrets = SecretStore((Secret(SecretKind.PRIVATE_KEY, (), "ipsec.secrets:1", key=LEAF_KEY),))
    brain.keyring.anchors = (x509.der(ROOT),)
    responder = certify("responder", LEAF_KEY, "responder", LEAF_KEY)
    lists = (revoke("root", ROOT_KEY, [1, 2]),)
    brain.revocation.read(CertificatesRead((x509.der(ROOT),), lists, (), 0, (("r.pem", x509.der(responder)),)))
    said = ocsp.read(answer(LEAF, ROOT, ROOT_KEY), LEAF, ROOT, NOW)
    brain.revocation.known.answers[ocsp.cert_id(LEAF, ROOT)] = said
    return brain


def lines(brain: Brain, verb: str) -> list[str]:
    return list(Listing(brain).lines(verb))


def test_end_certificates(brain: Brain) -> None:
    found = lines(brain, "listcerts")
    assert found[:3] == ["", "List of X.509 End Certificates:", ""]
    assert found[3] == "Jun 01 12:00:00 UTC 2026, count: 1"
    assert found[4:7] == [
        "       subject: 'C=CA, O=Example, CN=leaf'",
        "       issuer:  'C=CA, O=Example, CN=root'",
        "       serial:   00:ff",
    ]
    assert re.fullmatch(r"       pubkey:    256 ECDSA Key [0-9A-F]{9}, has private key", found[7])
    assert found[8:10] == [
        "       validity: not before May 22 12:00:00 UTC 2026 ok",
        "                 not after  Jun 11 12:00:00 UTC 2026 warning (expires in 10 days)",
    ]
    assert found[10] == f"       subjkey:  {SKI.digest.hex(':')}"


def test_authorities_and_responders(brain: Brain) -> None:
    found = lines(brain, "listcacerts")
    assert found[1] == "List of X.509 CA Certificates:" and "       serial:   12:34" in found
    assert any(re.fullmatch(r"       pubkey:   2048 RSA Key \S{9}", line) for line in found)
    found = lines(brain, "listocspcerts")
    assert found[1] == "List of X.509 OCSP Certificates:"
    assert "       subject: 'C=CA, O=Example, CN=responder'" in found


def test_lists_and_answers(brain: Brain) -> None:
    found = lines(brain, "listcrls")
    assert found[1:5] == [
        "List of X.509 CRLs:",
        "",
        "Jun 01 12:00:00 UTC 2026, revoked certs: 2",
        "       issuer:  'C=CA, O=Example, CN=root'",
    ]
    assert found[5:] == [
        "       updates:  this May 31 12:00:00 UTC 2026",
        "                 next Jun 06 12:00:00 UTC 2026 warning (expires in 5 days)",
    ]
    found = lines(brain, "listocsp")
    assert found[1] == "List of OCSP responses:"
    assert "       serial:   00:ff, good" in found


def test_public_keys(brain: Brain) -> None:
    found = lines(brain, "listpubkeys")
    assert found[1] == "List of Public Keys:"
    pattern = (
        r"Jun 01 12:00:00 UTC 2026,  256 ECDSA Key [0-9A-F]{9} \(has private key\), until Jun 11 .* ok \(exp.*10 days\)"
    )
    assert re.fullmatch(pattern, found[3])
    assert found[4:6] == [
        "       ID_DER_ASN1_DN 'C=CA, O=Example, CN=leaf'",
        "       Issuer 'C=CA, O=Example, CN=root'",
    ]


def test_only_keys_that_end_soon(brain: Brain) -> None:
    assert lines(brain, "checkpubkeys") == []
    brain.revocation.clock = lambda now: NOW + timedelta(days=4)
    found = lines(brain, "checkpubkeys")
    assert len(found) == 3 and found[0].endswith("warning (expires in 6 days)")
    brain.revocation.clock = lambda now: NOW + timedelta(days=40)
    assert lines(brain, "checkpubkeys")[0].endswith("fatal (expired)")


def test_secrets_are_not_told(brain: Brain) -> None:
    assert lines(brain, "listpsks")[3:] == ["    ipsec.secrets:1: PRIVATE_KEY %any"]


def test_every_list(brain: Brain) -> None:
    assert {*Listing(brain).lists, "listall"} == set(LISTS)
    for verb in ("listaacerts", "listacerts", "listgroups"):
        assert len(lines(brain, verb)) == 3
    everything = lines(brain, "listall")
    for verb in LISTS[:-1]:
        if verb not in ("checkpubkeys", "listaacerts", "listacerts", "listgroups"):
            assert lines(brain, verb)[1] in everything


def test_dates() -> None:
    day = timedelta(days=1)
    assert date(NOW) == "Jun 01 12:00:00 UTC 2026"
    assert expiry(NOW + 90 * day, NOW, 30 * day) == "ok (expires in 90 days)"
    assert expiry(NOW + 3 * day, NOW, 30 * day) == "warning (expires in 3 days)"
    assert expiry(NOW + day / 24, NOW, 30 * day) == "warning (expires in 60 minutes)"
    assert expiry(NOW - day, NOW, 30 * day) == "fatal (expired)"
    assert expiry(NOW - day, NOW, 30 * day, False) == "warning (expired)"
