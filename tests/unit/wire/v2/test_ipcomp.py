# SPDX-License-Identifier: GPL-2.0-or-later
"""What IPCOMP_SUPPORTED holds: there and back, truncated, and a CPI that names nothing."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.v2.ipcomp import IpcompOffer
from openswan.wire.v2.numbers import IpcompId


@pytest.mark.parametrize("cpi", [1, 256, 0xEFFF, 0xFFFF])
def test_there_and_back(cpi: int) -> None:
    offer = IpcompOffer(cpi, IpcompId.DEFLATE)
    assert offer.emit() == cpi.to_bytes(2, "big") + b"\2"
    assert IpcompOffer.parse(offer.emit()) == offer


def test_attributes_are_passed_over_and_unknown_transforms_kept() -> None:
    offer = IpcompOffer.parse(b"\x12\x34\xc8attributes")
    assert (offer.cpi, int(offer.transform)) == (0x1234, 200)


@pytest.mark.parametrize("data", [b"", b"\1", b"\1\2", b"\0\0\2"])
def test_nonsense(data: bytes) -> None:
    with pytest.raises(WireError):
        IpcompOffer.parse(data)
