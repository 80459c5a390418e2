# SPDX-License-Identifier: GPL-2.0-or-later
"""What the exchanges that open an IKE SA have in common, IKE_SA_INIT and IKE_SESSION_RESUME (RFC 7296 1.2, RFC 5723).

```
initiator                                          responder
HDR(A,0), [N(COOKIE)], what the exchange is about, N(NATD) x2, [N(FRAGMENTATION)], ..., [V]  -->
                                   <--  HDR(A,0), N(COOKIE): once more, with it (RFC 7296 2.6)
                                   <--  HDR(A,B), what the exchange is about, N(NATD) x2, ...
```
Both are in clear, so their answers need not be believed; both end with keys derived and the responder half open.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from openswan.base.address import Endpoint
from openswan.base.errors import IkeError
from openswan.base.interval import Instant
from openswan.crypto import keymat
from openswan.crypto.prf import Prf
from openswan.ike.policy import ChosenIke, IkePolicy
from openswan.ike.v2.core import HALF_OPEN, Core
from openswan.ike.v2.protect import Channel
from openswan.ike.v2.states import State
from openswan.ike.v2.task import Task
from openswan.ike.v2.tasks import natd
from openswan.ike.v2.values import Ignored
from openswan.wire.header import NO_SPI
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType

NONCE_OCTETS = 32
MAX_COOKIES = 5
"""How many cookies an initiator follows before it just waits."""
MAX_COOKIE_OCTETS = 64


class OpeningTask(Task):
    """The initiator's part."""

    alone = True

    def __init__(self, policy: IkePolicy) -> None:
        super().__init__()
        self.policy = policy
        self.cookie = b""
        self.cookies = 0

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """The request, with the cookie if there is one; the nonce is drawn once."""
        sa.nonce_i = sa.nonce_i or sa.rng.octets(NONCE_OCTETS)
        cookie = [Notify(NotifyType.COOKIE, self.cookie)] if self.cookie else []
        payloads = (
            *cookie,
            *self.matter(sa),
            *natd.announce(sa, self.policy, NO_SPI),
            *can_fragment(self.policy.fragmentation),
            *self.manners(),
            *natd.vendor(self.policy),
        )
        sa.init_i = Message(sa.header(self.exchange, 0, response=False), payloads).emit()
        return payloads

    @abstractmethod
    def matter(self, sa: Core) -> Sequence[Payload]:
        """What the exchange is about."""

    def manners(self) -> Sequence[Payload]:
        """What we can do besides."""
        return ()

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """Not used: a response in clear need not be believed; `consider` takes it."""
        raise IkeError(f"{self.exchange} responses are considered, not answered")

    @abstractmethod
    def consider(self, sa: Core, answer: Message, data: bytes, now: Instant) -> bool:
        """Take a response. True: keys are derived; False: keep waiting (perhaps for the answer to a new request)."""

    def follow_cookie(self, sa: Core, cookie: bytes, now: Instant) -> None:
        """The responder wants its cookie back, unless it has said so too often."""
        if not 1 <= len(cookie) <= MAX_COOKIE_OCTETS or cookie == self.cookie or self.cookies >= MAX_COOKIES:
            sa.counters[Ignored.BAD_ANSWER] += 1
            return
        self.cookies += 1
        self.cookie = cookie
        self.again(sa, now)

    def again(self, sa: Core, now: Instant) -> None:
        """The same exchange once more, its patience unchanged (RFC 7296 2.6, 2.7)."""
        give_up = sa.outstanding.give_up if sa.outstanding else now
        begin(sa, self, now)
        if sa.outstanding is not None:
            sa.outstanding.give_up = give_up
            sa.outstanding.next = min(sa.outstanding.next, give_up)


def begin(sa: Core, task: OpeningTask, now: Instant) -> None:
    """Send a first request in place of the one that is unanswered."""
    sa.send_window.restart()
    sa.flights.clear()
    sa.move(State.I1)
    sa.transmit(task, task.build(sa, now), now)


def can_fragment(whether: bool) -> tuple[Notify, ...]:
    """That IKE messages may come in fragments (RFC 7383 2.3)."""
    return (Notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),) if whether else ()


def learn_fragments(sa: Core, policy: IkePolicy, message: Message) -> None:
    """Whether they may go to the peer in fragments."""
    sa.peer_fragments = policy.fragmentation and message.notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) is not None


def install_keys(sa: Core, chosen: ChosenIke, prf: Prf, seed: bytes) -> None:
    """Derive the seven keys from SKEYSEED and set up protection (RFC 7296 2.14)."""
    integ = chosen.integ.name if chosen.integ else ""
    sa.chosen, sa.prf = chosen, prf
    sa.keys = keymat.ike_keys(
        prf, seed, sa.nonce_i, sa.nonce_r, sa.spi_i, sa.spi_r, chosen.encr.name, chosen.encr.key_bits, integ
    )
    sa.channel = Channel(sa.keys, chosen, sa.is_initiator)


def reply(
    sa: Core,
    exchange: ExchangeType,
    payloads: Sequence[Payload],
    data: bytes,
    local: Endpoint,
    remote: Endpoint,
    now: Instant,
) -> None:
    """The responder's answer to the request `data`, kept for its repetitions; from now on the IKE SA is half open."""
    answer = Message(sa.header(exchange, 0, response=True), tuple(payloads)).emit()
    sa.init_i, sa.init_r = data, answer
    sa.receive_window.accept(0)
    sa.replies.remember(0, data, (answer,))
    sa.deadline = now + HALF_OPEN
    sa.move(State.R1)
    sa.dispatch((answer,), local, remote)
