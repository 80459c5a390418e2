# SPDX-License-Identifier: GPL-2.0-or-later
"""The EAP payload: forms, limits, cut short."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader
from openswan.wire.payload import emit_chain, parse_chain
from openswan.wire.v2.eap import Eap, EapCode, EapType

IDENTITY = Eap(EapCode.RESPONSE, 7, EapType.IDENTITY, b"joe")


def read(data: bytes) -> Eap:
    return Eap.parse(Reader(data))


def test_there_and_back() -> None:
    assert IDENTITY.emit().hex() == "02070008016a6f65"
    for packet in (
        IDENTITY,
        Eap(EapCode.REQUEST, 0, EapType.TLS, b"\x20"),
        Eap(EapCode.REQUEST, 255, EapType(99)),
        Eap(EapCode.SUCCESS, 3),
        Eap(EapCode.FAILURE, 3),
    ):
        assert read(packet.emit()) == packet
        assert parse_chain(*emit_chain([packet])) == [packet]
    largest = Eap(EapCode.REQUEST, 1, EapType.TLS, bytes(65530))
    assert read(largest.emit()) == largest


@pytest.mark.parametrize("cut", range(8))
def test_cut_short(cut: int) -> None:
    with pytest.raises(WireError):
        read(IDENTITY.emit()[:cut])


@pytest.mark.parametrize(
    "data", ["0107000401", "01070004", "0107000500", "0307000501", "0507000401", "0207000701aa", "00000004"]
)
def test_malformed(data: str) -> None:
    with pytest.raises(WireError):
        read(bytes.fromhex(data))
