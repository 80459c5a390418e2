# SPDX-License-Identifier: GPL-2.0-or-later
"""Names below which there is nothing: where a name does not exist none below it does (RFC 8020).

Signed denials alone are kept. Without a signature a forger who hits one name would deny all that is below it, and a
server that takes a name with nothing of its own for none would hide what it has below.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from openswan.base.interval import Duration, Instant

MOST_VOIDS = 4096
NETS = {6: (1, 2, 3), 34: (16, 18, 20, 24)}
"""By the labels of an address's reverse name: how many to leave out for its /24, /16 and /8; /64, /56, /48 and /32."""


def above(name: str) -> Iterator[str]:
    """The names above one, nearest first."""
    while "." in name:
        name = name.partition(".")[2]
        yield name


class Voids:
    """By name: until when nothing is below it."""

    def __init__(self, most: int = MOST_VOIDS) -> None:
        self._most = most
        self._until: OrderedDict[str, Instant] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, name: str, until: Instant) -> None:
        """It does not exist."""
        self._until.pop(name, None)
        self._until[name] = until
        if len(self._until) > self._most:
            self._until.popitem(last=False)

    def covering(self, name: str, now: Instant) -> tuple[str, Duration] | None:
        """The name above that has nothing below it, and for how long; None: none is known."""
        if not self._until:
            return None
        for each in above(name):
            until = self._until.get(each, 0.0)
            if until > now:
                self._until.move_to_end(each)
                return each, until - now
        return None

    def clear(self) -> None:
        """Forget everything: the resolvers are others now."""
        self._until.clear()


def worth_asking(name: str) -> tuple[str, ...]:
    """Of an address that does not exist in the reverse tree: the names of the nets around it, the narrowest first."""
    labels = name.split(".")
    return tuple(".".join(labels[skip:]) for skip in NETS.get(len(labels), ()))
