# SPDX-License-Identifier: GPL-2.0-or-later
"""What every IKEv2 payload body has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from openswan.wire.cursor import Reader
from openswan.wire.v2.numbers import PayloadType


class Payload(ABC):
    """A payload without its generic header: a frozen dataclass that reads and writes its own body."""

    __slots__ = ()
    TYPE: ClassVar[PayloadType]

    @property
    def type(self) -> PayloadType:
        """The number in the preceding Next Payload field."""
        return self.TYPE

    @classmethod
    @abstractmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a body that ends where the reader ends; WireError when it is not one."""

    @abstractmethod
    def emit(self) -> bytes:
        """The body as on the wire."""
