# SPDX-License-Identifier: GPL-2.0-or-later
"""A payload of a type nobody here knows: kept as it came (RFC 7296 2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.wire.cursor import Reader
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import PayloadType


@dataclass(frozen=True, slots=True)
class Unknown(Payload):
    """Skipped by everyone; never has the critical bit, which would have refused the message."""

    TYPE: ClassVar[PayloadType] = PayloadType.NONE
    number: PayloadType
    data: bytes

    @property
    def type(self) -> PayloadType:
        """The number it came with."""
        return self.number

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Take the whole body; the payload chain fills in the number."""
        return cls(PayloadType.NONE, reader.rest())

    def emit(self) -> bytes:
        """The body as it came."""
        return self.data
