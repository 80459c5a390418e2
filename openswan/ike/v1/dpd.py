# SPDX-License-Identifier: GPL-2.0-or-later
"""Dead Peer Detection: R_U_THERE and its answer, with their sequence numbers (RFC 3706 5, 6).

A question is repeated under a number and a Message ID of its own each time: peers pass over a number they have seen.
Any of them may be answered. When to ask is for the owner to know.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openswan.base.errors import IkeError
from openswan.ike.events import Probe
from openswan.ike.retransmit import Outstanding
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import NotifyType

LARGEST_FIRST = 0x7FFFFFFF
"""The first number's high bit is zero: there is room to count (RFC 3706 6.2)."""
COUNT = 0x100000000


MOST_ASKED = 16
"""Questions that one answer may end."""


@dataclass(slots=True)
class Prober:
    """Both directions of one ISAKMP SA."""

    sequence: int | None = None
    """Our last number, None before the first."""
    asked: list[tuple[int, Probe]] = field(default_factory=list)
    """What has yet to be answered, each with the number it was first asked under."""
    clock: Outstanding | None = None
    heard: int | None = None
    """The peer's last number."""

    def next(self, random: int) -> int:
        """Our next number; the first one comes of 32 random bits."""
        self.sequence = random & LARGEST_FIRST if self.sequence is None else (self.sequence + 1) % COUNT
        return self.sequence

    def begin(self, probe: Probe, number: int, clock: Outstanding) -> None:
        """A question is out; the clock of an older one goes on."""
        self.asked = [*self.asked[1 - MOST_ASKED :], (number, probe)]
        self.clock = self.clock or clock

    def forget(self) -> None:
        """No question is out any more."""
        self.asked, self.clock = [], None

    def take(self, notify: Notify, cookies: bytes) -> Notify:
        """The answer to a peer's R_U_THERE; IkeError, WireError when it is not to be answered.

        The same number again is: the peer has not had our answer. What is truly old never comes so far, as its Message
        ID is known.
        """
        number = _number(notify, cookies)
        if self.heard is not None and number < self.heard:
            raise IkeError("DPD: received old or duplicate R_U_THERE")
        self.heard = number
        return Notify.dpd(NotifyType.R_U_THERE_ACK, cookies, number)

    def answered(self, notify: Notify, cookies: bytes) -> list[Probe]:
        """The questions that a peer's R_U_THERE_ACK answers; IkeError, WireError when it answers none."""
        number, last = _number(notify, cookies), self.sequence
        done = [probe for first, probe in self.asked if last is not None and _between(first, number, last)]
        if not done:
            raise IkeError(f"DPD: unexpected R_U_THERE_ACK packet with sequence number {number}")
        self.asked = [one for one in self.asked if one[1] not in done]
        if not self.asked:
            self.clock = None
        return done


def _between(first: int, number: int, last: int) -> bool:
    """Is it one of the numbers from the first to the last, which may have gone round?"""
    return (number - first) % COUNT <= (last - first) % COUNT


def _number(notify: Notify, cookies: bytes) -> int:
    """The sequence number; it has to be about this ISAKMP SA."""
    if notify.spi != cookies:
        raise IkeError(f"DPD: {notify.kind} names the cookies of another ISAKMP SA", NotifyType.INVALID_COOKIE)
    return notify.sequence()
