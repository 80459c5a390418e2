# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.cert promises."""

from __future__ import annotations

import hashlib

import pytest

from openswan.base.errors import WireError
from openswan.wire.v2.cert import MOST_URL, Cert, CertReq, HashUrl
from openswan.wire.v2.numbers import CertEncoding
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(Cert(CertEncoding.X509_SIGNATURE, b"\x30\x00")) == bytes.fromhex("043000")
    round_trip(Cert(CertEncoding(99), bytes(65000)))


def test_a_certificate_needs_octets() -> None:
    refuses_every_cut(Cert(CertEncoding.X509_SIGNATURE, b"x"))


def test_a_request_lists_hashes() -> None:
    request = CertReq(CertEncoding.X509_SIGNATURE, b"a" * 20 + b"b" * 20)
    round_trip(request)
    assert request.hashes() == (b"a" * 20, b"b" * 20)
    assert CertReq(CertEncoding.X509_SIGNATURE).hashes() == ()
    assert CertReq(CertEncoding.CRL, b"x").hashes() == ()
    round_trip(CertReq(CertEncoding.X509_SIGNATURE, bytes(20 * 3000)))
    round_trip(CertReq(CertEncoding.CRL, b"x"))


@pytest.mark.parametrize("octets", [1, 19, 21, 39])
def test_half_a_hash(octets: int) -> None:
    assert not survives(CertReq, b"\x04" + bytes(octets))


def test_an_empty_request() -> None:
    assert not survives(CertReq, b"")
    assert survives(CertReq, b"\x04")


def test_hash_and_url() -> None:
    what = HashUrl.of("http://pki/certs/", b"a certificate")
    assert what.emit()[:20] == hashlib.sha1(b"a certificate").digest()
    assert what.emit()[20:].decode() == "http://pki/certs/" + hashlib.sha1(b"a certificate").hexdigest()
    assert HashUrl.parse(what.emit()) == what
    assert what.names(b"a certificate") and not what.names(b"another")
    longest = bytes(20) + b"h" * MOST_URL
    assert HashUrl.parse(longest).emit() == longest


@pytest.mark.parametrize(
    "url", [b"http://a b", b"http://a\n", b"http://\xc3\xa4", b"h" * (MOST_URL + 1), b"http://a\0"]
)
def test_what_is_no_url(url: bytes) -> None:
    with pytest.raises(WireError, match="are no URL"):
        HashUrl.parse(bytes(20) + url)


def test_hash_and_url_cut_short() -> None:
    for octets in range(21):
        with pytest.raises(WireError, match="one of them is missing"):
            HashUrl.parse(bytes(octets))
