# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.cert promises."""

from __future__ import annotations

import pytest

from openswan.wire.v2.cert import Cert, CertReq
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
