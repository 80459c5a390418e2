# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.notify promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.attribute import Attribute
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import Doi, NotifyType, ProtocolId
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives

COOKIES = b"initiatrresponde"


def test_the_octets_are_where_the_drawing_says() -> None:
    dpd = Notify.dpd(NotifyType.R_U_THERE, COOKIES, 7)
    assert round_trip(dpd) == bytes.fromhex("00000001 01108d28") + COOKIES + bytes.fromhex("00000007")
    assert round_trip(Notify(NotifyType.NO_PROPOSAL_CHOSEN)) == bytes.fromhex("00000001 0100000e")


def test_smallest_largest_and_cut() -> None:
    round_trip(Notify(NotifyType(65535), bytes(65000), ProtocolId(255), bytes(16), Doi(0xFFFFFFFF)))
    refuses_every_cut(Notify(NotifyType.INVALID_SPI, b"", ProtocolId.ESP, b"spi!"))
    assert not survives(Notify, bytes.fromhex("00000001 01110001") + bytes(17))


@pytest.mark.parametrize("kind", [NotifyType.R_U_THERE, NotifyType.R_U_THERE_ACK])
def test_sequence_numbers_of_dpd(kind: NotifyType) -> None:
    """CVE-2009-0790: what is no R_U_THERE is told apart here, whatever its cookies are."""
    assert Notify.dpd(kind, COOKIES, 0xFFFFFFFF).sequence() == 0xFFFFFFFF
    for octets in (0, 3, 5, 400):
        with pytest.raises(WireError):
            Notify(kind, bytes(octets)).sequence()


def test_lifetimes_of_the_responder() -> None:
    told = Notify(NotifyType.RESPONDER_LIFETIME, bytes.fromhex("80010001 00020004 00000e10"))
    assert told.attributes() == (Attribute(1, 1), Attribute(2, b"\0\0\x0e\x10"))
    with pytest.raises(WireError):
        Notify(NotifyType.RESPONDER_LIFETIME, bytes.fromhex("00020004 0000")).attributes()


def test_errors_and_statuses() -> None:
    assert Notify(NotifyType.NO_PROPOSAL_CHOSEN).is_error
    assert not Notify(NotifyType.INITIAL_CONTACT).is_error
