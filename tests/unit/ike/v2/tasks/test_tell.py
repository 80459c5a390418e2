# SPDX-License-Identifier: GPL-2.0-or-later
"""Notifications that tell the peer what we cannot make sense of."""

from __future__ import annotations

from openswan.ike.events import Tell
from openswan.wire.v2.numbers import NotifyType
from tests.unit.ike.pair import Pair


def test_it_is_logged_and_changes_nothing() -> None:
    pair = Pair().up()
    pair.a.request(Tell(NotifyType.INVALID_SPI, b"\x12\x34\x56\x78"))
    pair.a.request(Tell(NotifyType.INVALID_SELECTORS, b""))
    pair.a.request(Tell(40000, b"a status nobody knows"))
    pair.run()
    logs = pair.b.logs()
    assert any("SPI 0x12345678, which it does not know" in line for line in logs)
    assert any("INVALID_SELECTORS" in line and "ignored" in line for line in logs)
    assert not any("40000" in line for line in logs)
    pair.agree()
    assert not pair.a.sa.busy


def test_of_any_length() -> None:
    pair = Pair().up()
    for octets in (0, 1, 4, 5, 300):
        pair.a.request(Tell(NotifyType.INVALID_SPI, bytes(octets)))
    pair.run()
    pair.agree()
