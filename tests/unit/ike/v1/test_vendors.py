# SPDX-License-Identifier: GPL-2.0-or-later
"""Vendor IDs in both directions."""

from __future__ import annotations

from openswan.ike.v1 import natt, vendors
from openswan.wire.v1 import vendor
from openswan.wire.v1.vendor import VendorId


def test_what_we_announce() -> None:
    every = vendors.announced(nat_traversal=True, dpd=True)
    assert [one.data for one in every] == [
        vendor.DPD, vendor.NATT_RFC, vendor.NATT_DRAFT_03, vendor.NATT_DRAFT_02_N, vendor.NATT_DRAFT_02,
    ]  # fmt: skip
    answer = vendors.announced(nat_traversal=True, dpd=False, method=natt.METHODS[1])
    assert answer == [VendorId(vendor.NATT_DRAFT_03)]
    assert vendors.announced(nat_traversal=False, dpd=False) == []
    more = vendors.announced(nat_traversal=False, dpd=False, own=True, xauth=True, unity=True)
    assert [one.data for one in more] == [vendor.OWN, vendor.XAUTH, vendor.UNITY]


def test_lines() -> None:
    said = [VendorId(one) for one in (vendor.NATT_RFC, vendor.UNITY, b"\1\2", b"\xff" * 1000, b"")]
    assert vendors.lines(said) == [
        "received Vendor ID payload [RFC 3947 (NAT-Traversal)]",
        "received Vendor ID payload [Cisco-Unity]",
        "ignoring unknown Vendor ID payload [0102]",
        f"ignoring unknown Vendor ID payload [{'ff' * 24}...]",
        "ignoring unknown Vendor ID payload []",
    ]
    assert len(vendors.lines([VendorId(bytes([one])) for one in range(60)])) == vendors.MOST_LINES


def test_a_peer_that_takes_pieces_says_so_in_several_ways() -> None:
    for more in (b"", b"\x80\0\0\0", b"\xc0\0\0\0"):
        said = [VendorId(vendor.FRAGMENTATION + more)]
        assert vendors.heeded(said * 2) == {vendor.FRAGMENTATION}
        assert vendors.lines(said * 2) == ["received Vendor ID payload [FRAGMENTATION]"]
    assert not vendors.heeded([VendorId(vendor.FRAGMENTATION + bytes(5))])
    ours = vendors.announced(nat_traversal=False, dpd=False, fragmentation=True)
    assert vendors.heeded(ours) == {vendor.FRAGMENTATION}
