# SPDX-License-Identifier: GPL-2.0-or-later
"""What every IKEv1 payload body has in common, and those that are nothing but octets.

Reserved fields must be zero, as RFC 2408 5.3 demands; so a body that parses comes out of emit() exactly as it came in,
and the hashes of RFC 2409 can be taken over emit().
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Self

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader
from openswan.wire.v1.numbers import NotifyType, PayloadType


class Payload(ABC):
    """A payload without its generic header: a frozen dataclass that reads and writes its own body."""

    __slots__ = ()
    TYPE: ClassVar[PayloadType]
    MALFORMED: ClassVar[NotifyType] = NotifyType.PAYLOAD_MALFORMED
    """What a peer is told whose payload does not parse."""

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


@dataclass(frozen=True, slots=True)
class Opaque(Payload):
    """A body of LEAST to MOST octets that only another layer understands."""

    LEAST: ClassVar[int] = 1
    MOST: ClassVar[int] = 65535
    data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Take the whole body; WireError when it has not LEAST to MOST octets."""
        octets = reader.remaining
        if not cls.LEAST <= octets <= cls.MOST:
            raise WireError(f"body of {octets} octets, {cls.LEAST} to {cls.MOST} are allowed")
        return cls(reader.rest())

    def emit(self) -> bytes:
        """The octets."""
        return self.data


def reserved(reader: Reader, octets: int) -> None:
    """Read a reserved field of so many octets; WireError unless it is zero (RFC 2408 5.3)."""
    at = reader.position
    if any(reader.octets(octets)):
        raise WireError(f"reserved field at offset {at} is not zero")


@contextmanager
def told(where: str, otherwise: NotifyType) -> Iterator[None]:
    """WireErrors of this block say where they arose and carry a notification of IKEv1: theirs, or `otherwise`."""
    try:
        yield
    except WireError as why:
        notify = why.notify if why.notify is None or isinstance(why.notify, NotifyType) else otherwise
        raise WireError(f"{where}: {why}", notify, why.data) from None
