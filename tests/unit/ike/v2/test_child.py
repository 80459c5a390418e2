# SPDX-License-Identifier: GPL-2.0-or-later
"""Finding a child by the SPI the peer names it with."""

from __future__ import annotations

from openswan.ike.v2.child import by_spi_out
from openswan.wire.v2.numbers import ProtocolId
from tests.unit.ike.pair import Pair


def test_by_spi_out() -> None:
    pair = Pair().up()
    (child,) = pair.a.sa.children.values()
    assert by_spi_out(pair.a.sa.children.values(), ProtocolId.ESP, child.spi_out) is child
    assert by_spi_out(pair.a.sa.children.values(), ProtocolId.ESP, child.spi_in) is None
    assert by_spi_out(pair.a.sa.children.values(), ProtocolId.AH, child.spi_out) is None
    assert by_spi_out((), ProtocolId.ESP, child.spi_out) is None
