# SPDX-License-Identifier: GPL-2.0-or-later
"""How large a datagram reaches the peer: an INFORMATIONAL exchange whose first fragment has the size under test.

A request must be repeated until it is answered, so a probe that is lost would close the window of 1 for good. RFC 7383
2.5.2 is the way out: what is repeated may be cut into smaller fragments, as long as there are more of them. So each
repetition tests the next smaller size, and the last one is known to get through:

    size tested   fragments (total grows)                        answered within its wait: proven
    1500          | 1500 ............ | 16 |                     else ...
    1400          | 1400 .......... | 58 | 58 |                  else ...
    1280          | 1280 ........ | 79 | 79 | 79 |

Fragments under test are sent with DF (RFC 791; IPv6 needs none). The content is one status notification of private
use, which a peer that does not know it ignores (RFC 7296 3.10.1). Once another request waits it goes out at the safe
size (openswan.ike.v2.tasks.background says what silence means before and after).
"""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.errors import IpsecError
from openswan.base.interval import Duration, Instant
from openswan.ike.effects import PathProbed
from openswan.ike.events import ProbePath
from openswan.ike.retransmit import Outstanding
from openswan.ike.v2.core import Core
from openswan.ike.v2.tasks.background import Background
from openswan.wire.header import Header
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType

PADDING = NotifyType(40973)
"""Of private use (40960 to 65535): octets without meaning."""
NOTIFY_OCTETS = 8
"""Generic header and fixed part of a notification."""


class PathProbe(Background):
    """Our question; when the answer comes is the answer."""

    alone = True

    def __init__(self, request: ProbePath) -> None:
        super().__init__(request)
        self.sizes = request.sizes
        self.wait = request.wait
        self.step = 0
        self.content: Sequence[Payload] = ()
        self.total = 1
        """Fragments of the last transmission."""
        self.sent = 0
        """Octets of its largest one."""
        self.refused = 0
        """Smallest size that went unanswered for all of its wait."""

    def build(self, sa: Core, now: Instant) -> Sequence[Payload] | None:
        """Padding for one fragment of the largest size and as many further ones as there can be steps."""
        if not sa.fragments or sa.channel is None or not self.sizes:
            raise IpsecError("the peer does not take fragments, so its path cannot be probed")
        content = sa.channel.fragment_room(self.sizes[0]) + len(self.sizes)
        self.content = (Notify(PADDING, bytes(max(content - NOTIFY_OCTETS, 0))),)
        return self.content

    def cut(self, sa: Core, header: Header, payloads: Sequence[Payload]) -> tuple[bytes, ...]:
        """The fragments of this step."""
        channel = sa.channel
        if channel is None:
            raise IpsecError("this IKE SA has no keys yet")
        datagrams = channel.seal_cut(header, payloads, sa.rng, self.sizes[self.step], self.total + 1)
        self.total, self.sent = len(datagrams), max(map(len, datagrams))
        return datagrams

    @property
    def last(self) -> bool:
        """Is this the size that is known to get through?"""
        return self.step == len(self.sizes) - 1

    @property
    def whole(self) -> bool:  # type: ignore[override]
        """The safe size needs no test, and must arrive whatever has become of the path."""
        return not self.last

    @property
    def interval(self) -> Duration:  # type: ignore[override]
        """For the safe size the policy's."""
        return 0.0 if self.last else self.wait

    def repeat(self, sa: Core, now: Instant, timed_out: bool) -> None:
        """Send it at the next smaller size, or (another request waits) at the last, which begins all waiting anew."""
        outstanding, policy = sa.outstanding, sa.need_policy()
        if outstanding is None:
            return
        if timed_out:
            self.refused = self.sizes[self.step]
        self.step = self.step + 1 if timed_out else len(self.sizes) - 1
        datagrams = self.cut(sa, sa.header(self.exchange, outstanding.message_id, response=False), self.content)
        renewed = Outstanding.start(
            outstanding.message_id,
            datagrams,
            self.interval or policy.retransmit_interval,
            policy.retransmit_timeout,
            now,
        )
        renewed.repeats = outstanding.repeats + 1
        sa.outstanding = renewed
        sa.dispatch(datagrams, whole=self.whole)

    def hurry(self, sa: Core, now: Instant) -> None:
        """What matters more must not wait for guesses; from now on silence counts."""
        if not self.last or self.patient:
            self.patient, self.urgent = False, True
            self.repeat(sa, now, timed_out=False)

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """The last transmission's largest fragment arrived (an earlier one's at least, if the answer was late)."""
        sa.emit(PathProbed(self.token, self.sent, self.refused))
