# SPDX-License-Identifier: GPL-2.0-or-later
"""Two questions that ask for no SA, by which it shows whether anybody speaks IKE at a host."""

from __future__ import annotations

from openswan.wire.header import HEADER_OCTETS, NO_SPI, Flags, Header, add_marker
from openswan.wire.v2.numbers import ECHO_REQUEST, ExchangeType


def questions(spi: bytes, exchange: int = ECHO_REQUEST, both: bool = True, marker: bool = False) -> tuple[bytes, ...]:
    """Each an IKE header alone: one of IKEv1 with that exchange, with `both` one of version 3 too, which nobody has.

    `spi` is 8 octets; `marker` puts that of NAT traversal in front (RFC 3948 2.2).
    """
    headers = [Header(spi, NO_SPI, ExchangeType(exchange), Flags.NONE, 0, length=HEADER_OCTETS, major=1)]
    if both:
        headers.append(Header(spi, NO_SPI, ExchangeType.IKE_SA_INIT, Flags.INITIATOR, major=3))
    return tuple(add_marker(one.emit()) if marker else one.emit() for one in headers)
