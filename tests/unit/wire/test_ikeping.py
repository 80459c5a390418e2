# SPDX-License-Identifier: GPL-2.0-or-later
"""The questions of an IKE ping."""

from openswan.base.numbers import NON_ESP_MARKER
from openswan.wire.header import Header
from openswan.wire.ikeping import questions
from openswan.wire.v2.numbers import ECHO_REQUEST

SPI = bytes(range(8))


def test_one_of_each_version() -> None:
    old, new = (Header.parse(one) for one in questions(SPI))
    assert (old.major, int(old.exchange), old.spi_i) == (1, ECHO_REQUEST, SPI)
    assert new.major == 3


def test_one_alone_behind_the_marker() -> None:
    [only] = questions(SPI, 7, both=False, marker=True)
    assert only.startswith(NON_ESP_MARKER) and int(Header.parse(only[4:]).exchange) == 7
