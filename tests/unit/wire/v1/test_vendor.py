# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.vendor promises."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import MD5, Hash

from openswan.wire.v1 import vendor
from openswan.wire.v1.vendor import VendorId
from tests.unit.wire.checks import round_trip


@pytest.mark.parametrize("data", [b"", b"anything", bytes(65000)])
def test_any_octets_are_kept(data: bytes) -> None:
    assert round_trip(VendorId(data)) == data


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        (b"RFC 3947", vendor.NATT_RFC),
        (b"draft-ietf-ipsec-nat-t-ike-03", vendor.NATT_DRAFT_03),
        (b"draft-ietf-ipsec-nat-t-ike-02", vendor.NATT_DRAFT_02),
        (b"draft-ietf-ipsec-nat-t-ike-02\n", vendor.NATT_DRAFT_02_N),
        (b"FRAGMENTATION", vendor.FRAGMENTATION),
    ],
)
def test_ids_that_are_hashes(text: bytes, identifier: bytes) -> None:
    digest = Hash(MD5())
    digest.update(text)
    assert digest.finalize() == identifier
