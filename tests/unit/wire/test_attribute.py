# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.attribute promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.attribute import Attribute
from openswan.wire.cursor import Reader


@pytest.mark.parametrize(
    ("attribute", "octets"),
    [
        (Attribute(14, 256), "800e 0100"),
        (Attribute(14, b""), "000e 0000"),
        (Attribute(0x7FFF, b"\1\2\3"), "7fff 0003 010203"),
        (Attribute(1, bytes(65535)), "0001 ffff" + "00" * 65535),
    ],
)
def test_both_forms(attribute: Attribute, octets: str) -> None:
    data = bytes.fromhex(octets)
    assert attribute.emit() == data
    assert Attribute.parse(Reader(data)) == attribute


@pytest.mark.parametrize("octets", ["", "80", "800e", "800e01", "000e", "000e00", "000e0001", "000effff00"])
def test_cut_short(octets: str) -> None:
    with pytest.raises(WireError):
        Attribute.parse(Reader(bytes.fromhex(octets)))
