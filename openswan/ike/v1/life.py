# SPDX-License-Identifier: GPL-2.0-or-later
"""Lifetimes as attributes: pairs of a type and a duration, in both phases (RFC 2407 4.5, RFC 2409 appendix A).

A duration may come in the short form or as octets of any number; numbers that are larger than 32 bits mean "for ever".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openswan.base.errors import IkeError
from openswan.wire.attribute import Attribute
from openswan.wire.v1.numbers import LifeType, NotifyType

FOR_EVER = 0xFFFFFFFF
"""The largest duration there is: 136 years."""
SHORT_MOST = 0xFFFF


@dataclass(frozen=True, slots=True)
class Life:
    """How long an SA may be used, at most; 0: not said."""

    seconds: int = 0
    kilobytes: int = 0

    def within(self, other: Life) -> Life:
        """The shorter of both, of each kind."""
        return Life(_shorter(self.seconds, other.seconds), _shorter(self.kilobytes, other.kilobytes))


UNSAID = Life()


def number(attribute: Attribute) -> int:
    """The value of an attribute of either form, cut to FOR_EVER."""
    if isinstance(attribute.value, int):
        return attribute.value
    return min(int.from_bytes(attribute.value, "big"), FOR_EVER)


def read(attributes: Iterable[Attribute], kind: int, duration: int) -> Life:
    """The life that attributes of these two numbers say, whatever else stands among them.

    IkeError (ATTRIBUTES_NOT_SUPPORTED) when a type is unknown, stands twice or has no duration right behind it, when a
    duration has no type before it, or is zero or empty.
    """
    found: dict[LifeType, int] = {}
    open_type: LifeType | None = None
    for attribute in attributes:
        if open_type is not None and attribute.type != duration:
            raise _refused(f"a life type of {open_type} without a duration")
        if attribute.type == kind:
            open_type = LifeType(number(attribute))
            if open_type not in (LifeType.SECONDS, LifeType.KILOBYTES) or open_type in found:
                raise _refused(f"a life type of {open_type}, unknown or for the second time")
        elif attribute.type == duration:
            if open_type is None:
                raise _refused("a life duration without a type before it")
            if not number(attribute):
                raise _refused("a life duration of zero")
            found[open_type], open_type = number(attribute), None
    if open_type is not None:
        raise _refused(f"a life type of {open_type} without a duration")
    return Life(found.get(LifeType.SECONDS, 0), found.get(LifeType.KILOBYTES, 0))


def emit(life: Life, kind: int, duration: int) -> tuple[Attribute, ...]:
    """The attributes that say it: the short form where it will do, else four octets."""
    out: list[Attribute] = []
    for what, value in ((LifeType.SECONDS, life.seconds), (LifeType.KILOBYTES, life.kilobytes)):
        if value:
            long = min(value, FOR_EVER)
            out += (Attribute(kind, int(what)), Attribute(duration, _form(long)))
    return tuple(out)


def _form(value: int) -> int | bytes:
    return value if value <= SHORT_MOST else value.to_bytes(4, "big")


def _shorter(one: int, other: int) -> int:
    return min(one, other) if one and other else one or other


def _refused(why: str) -> IkeError:
    return IkeError(why, NotifyType.ATTRIBUTES_NOT_SUPPORTED)
