# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.cert promises."""

from __future__ import annotations

from openswan.wire.v1.cert import Cert, CertReq
from openswan.wire.v1.numbers import CertEncoding
from tests.unit.wire.checks import refuses_every_cut, round_trip


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(Cert(CertEncoding.X509_SIGNATURE, b"der")) == b"\4der"
    assert round_trip(CertReq(CertEncoding.X509_SIGNATURE, b"name")) == b"\4name"


def test_smallest_largest_and_cut() -> None:
    round_trip(Cert(CertEncoding(255), bytes(65000)))
    round_trip(CertReq(CertEncoding.CRL))
    refuses_every_cut(Cert(CertEncoding.CRL, b"x"))
    refuses_every_cut(CertReq(CertEncoding.CRL))
