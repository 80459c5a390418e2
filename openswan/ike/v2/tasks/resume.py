# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_SESSION_RESUME in place of IKE_SA_INIT, and the tickets it needs (RFC 5723).

```
initiator                                          responder
HDR, [N(COOKIE)], Ni, N(TICKET_OPAQUE), N(NATD) x2  -->
                                   <--  HDR, Nr, N(NATD) x2
                                   <--  HDR, N(TICKET_NACK): then IKE_SA_INIT as ever
HDR, SK {IDi, AUTH, SAi2, TSi, TSr, N(TICKET_REQUEST)}  -->
                                   <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr, N(TICKET_LT_OPAQUE)}
```
The keys come of SK_d of the IKE SA that is resumed and of both nonces; AUTH is made with them and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.address import Endpoint
from openswan.base.errors import IkeError, WireError
from openswan.base.interval import Duration, Instant
from openswan.crypto.prf import Prf
from openswan.ike import rules
from openswan.ike.effects import Gone, IkeFailed, IkeGone, TicketReceived
from openswan.ike.policy import IkePolicy
from openswan.ike.resumption import LIFETIME, MOST_OCTETS, Session, Ticket
from openswan.ike.rules import Shape
from openswan.ike.v2.cookie import refusal
from openswan.ike.v2.core import Core
from openswan.ike.v2.tasks import natd
from openswan.ike.v2.tasks.init import InitTask
from openswan.ike.v2.tasks.opening import (
    NONCE_OCTETS,
    OpeningTask,
    begin,
    can_fragment,
    install_keys,
    learn_fragments,
    reply,
)
from openswan.policy.connection import Auth as Means
from openswan.policy.identity import Identity
from openswan.wire.header import NO_SPI
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType

PATIENCE: Duration = 5.0
"""Seconds after which an initiator that gets no answer begins as ever."""


class ResumeTask(OpeningTask):
    """The initiator's part; whatever goes wrong, IKE_SA_INIT follows."""

    exchange = ExchangeType.IKE_SESSION_RESUME
    patience = PATIENCE

    def __init__(self, policy: IkePolicy, ticket: Ticket) -> None:
        super().__init__(policy)
        self.ticket = ticket

    def matter(self, sa: Core) -> Sequence[Payload]:
        """Nonce and ticket."""
        return (Nonce(sa.nonce_i), Notify(NotifyType.TICKET_OPAQUE, self.ticket.opaque))

    def consider(self, sa: Core, answer: Message, data: bytes, now: Instant) -> bool:
        """Take a response. True: keys are derived; False: wait, or begin as ever."""
        cookie = answer.notify(NotifyType.COOKIE)
        if cookie is not None and answer.first(Nonce) is None:
            self.follow_cookie(sa, cookie.data, now)
            return False
        nonce = answer.first(Nonce)
        try:
            rules.check(Shape.RESUME_RESPONSE, answer.payloads, encrypted=False)
        except WireError:
            nonce = None
        if nonce is None or answer.header.spi_r == NO_SPI:
            sa.log("the peer does not resume the session: beginning anew")
            self.begin_anew(sa, now)
            return False
        sa.spi_r, sa.nonce_r, sa.init_r = answer.header.spi_r, nonce.data, data
        derive(sa, self.ticket.session)
        natd.detect(sa, self.policy, answer, sa.spi_r)
        learn_fragments(sa, self.policy, answer)
        natd.float_ports(sa, self.policy, answer.notify(NotifyType.NAT_DETECTION_SOURCE_IP) is not None)
        return True

    def begin_anew(self, sa: Core, now: Instant) -> None:
        """IKE_SA_INIT, as without a ticket."""
        sa.nonce_i = b""
        begin(sa, InitTask(self.policy), now)


def derive(sa: Core, session: Session) -> None:
    """SKEYSEED = prf(SK_d of the old SA, "Resumption" | Ni | Nr), and the seven keys as ever (RFC 5723 5.1)."""
    prf = Prf(session.chosen.prf.name)
    install_keys(sa, session.chosen, prf, prf(session.sk_d, b"Resumption" + sa.nonce_i + sa.nonce_r))
    sa.resumed = session


def respond(sa: Core, request: Message, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> None:
    """The responder's part: resume, or say that it cannot be done and keep nothing."""
    try:
        rules.check(Shape.RESUME_REQUEST, request.payloads, encrypted=False)
        nonce, shown = request.first(Nonce), request.notify(NotifyType.TICKET_OPAQUE)
        box = sa.ask.ticket_box()
        session = box.redeem(shown.data, now) if shown is not None and box is not None else None
        if nonce is None or shown is None or session is None:
            raise IkeError("a ticket that is not ours, too old, or used")
        policy = sa.ask.resumable(session, local, remote)
    except (IkeError, WireError) as why:
        sa.dispatch((refusal(request.header, Notify(NotifyType.TICKET_NACK)),), local, remote)
        sa.log(f"no session is resumed for {remote}: {why}")
        sa.emit(IkeFailed(str(why), int(NotifyType.TICKET_NACK)))
        sa.emit(IkeGone(Gone.REFUSED))
        sa.vanish()
        return
    sa.spi_i, sa.spi_r = request.header.spi_i, sa.new_spi()
    sa.policy, sa.ticket = policy, shown.data
    sa.nonce_i, sa.nonce_r = nonce.data, sa.rng.octets(NONCE_OCTETS)
    derive(sa, session)
    natd.detect(sa, policy, request, NO_SPI)
    learn_fragments(sa, policy, request)
    payloads: list[Payload] = [
        Nonce(sa.nonce_r),
        *natd.announce(sa, policy, sa.spi_r),
        *can_fragment(sa.peer_fragments),
        *natd.vendor(policy),
    ]
    reply(sa, ExchangeType.IKE_SESSION_RESUME, payloads, data, local, remote, now)


def ask(policy: IkePolicy) -> list[Payload]:
    """The initiator's wish for a ticket."""
    return [Notify(NotifyType.TICKET_REQUEST)] if policy.resumption else []


def grant(
    sa: Core, policy: IkePolicy, request: Message, peer: Identity, mine: Means, proved: Means, now: Instant
) -> list[Payload]:
    """The responder's answer to that wish, once both sides are established; a used ticket is spent."""
    box = sa.ask.ticket_box()
    if box is not None and sa.ticket:
        box.spend(sa.ticket, now)
        sa.ticket = b""
    if request.notify(NotifyType.TICKET_REQUEST) is None:
        return []
    if not policy.resumption or box is None or sa.my_id is None:
        return [Notify(NotifyType.TICKET_NACK)]
    _, keys, chosen = sa.need_keys()
    session = Session(policy.name, bytes(keys.d.data), chosen, sa.my_id, peer, mine, proved)
    opaque = box.issue(session, now)
    return [Notify(NotifyType.TICKET_LT_OPAQUE, int(LIFETIME).to_bytes(4, "big") + opaque)]


def keep(
    sa: Core, policy: IkePolicy, answer: Message, peer: Identity, mine: Means, proved: Means, now: Instant
) -> None:
    """The initiator's look for a ticket in the last IKE_AUTH response."""
    given = answer.notify(NotifyType.TICKET_LT_OPAQUE)
    if given is None or not policy.resumption or sa.my_id is None or not 4 < len(given.data) <= MOST_OCTETS:
        return
    _, keys, chosen = sa.need_keys()
    lifetime = min(float(int.from_bytes(given.data[:4], "big")), LIFETIME)
    session = Session(policy.name, bytes(keys.d.data), chosen, sa.my_id, peer, mine, proved)
    sa.emit(TicketReceived(Ticket(given.data[4:], now + lifetime, session)))
