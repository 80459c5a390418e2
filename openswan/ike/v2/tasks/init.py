# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_SA_INIT, both sides (RFC 7296 1.2, 2.6, 2.7, 2.14).

```
initiator                                          responder
HDR(A,0), [N(COOKIE)], SAi1, KEi, Ni, N(NATD) x2  -->
                                   <--  HDR(A,0), N(COOKIE) or N(INVALID_KE_PAYLOAD): once more, with what it asks
                                   <--  HDR(A,B), SAr1, KEr, Nr, N(NATD) x2, [CERTREQ]
```
Nothing here is authenticated, so a refusal does not end the attempt at once: for a short while a better answer may
still come (RFC 7296 2.21.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from openswan.base.address import Endpoint
from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.crypto import dh, keymat, sign
from openswan.crypto.prf import Prf
from openswan.crypto.registry import Kind
from openswan.ike import rules
from openswan.ike.effects import Gone, Hinted, IkeFailed, IkeGone, InitAnswered
from openswan.ike.policy import ChosenIke, IkePolicy
from openswan.ike.rules import Shape
from openswan.ike.v2.cookie import refusal
from openswan.ike.v2.core import Core, first_error
from openswan.ike.v2.negotiate import Dh, Match, accept, choose, group_transform, number, offer
from openswan.ike.v2.tasks import cert, extensions, means, natd, redirect
from openswan.ike.v2.tasks.opening import NONCE_OCTETS, OpeningTask, can_fragment, install_keys, learn_fragments, reply
from openswan.ike.v2.values import Ignored
from openswan.wire.header import NO_SPI, Header
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import DhId, ExchangeType, NotifyType, ProtocolId
from openswan.wire.v2.sa import Sa

REFUSED_WAIT: Duration = 1.5
"""How long a better answer may come after an unauthenticated refusal."""


class InitTask(OpeningTask):
    """The initiator's part."""

    exchange = ExchangeType.IKE_SA_INIT

    def __init__(self, policy: IkePolicy) -> None:
        super().__init__(policy)
        self.patience = policy.init_timeout
        self.interval = self.patience if policy.init_once else 0.0
        self.group = policy.proposals[0].dh[0]
        self.tried = {self.group}
        self.pair: dh.DhPair | None = None
        self.refusal: tuple[str, int] | None = None
        """What the peer refused with, should nothing better come."""

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """The request; while the group stays the same, the key pair is drawn once."""
        self._draw(sa)
        return super().build(sa, now)

    def _draw(self, sa: Core) -> dh.DhPair:
        if self.pair is None:
            self.pair = dh.generate(self.group.name, sa.rng)
        return self.pair

    def matter(self, sa: Core) -> Sequence[Payload]:
        """Proposals, key and nonce."""
        key = Ke(DhId(number(Kind.DH, self.group)), self._draw(sa).public)
        return (offer(self.policy.proposals, ProtocolId.IKE), key, Nonce(sa.nonce_i))

    def manners(self) -> Sequence[Payload]:
        """Which hashes signatures may have, and extensions."""
        return (Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, sign.hash_ids()), *extensions.request(self.policy))

    def consider(self, sa: Core, answer: Message, data: bytes, now: Instant) -> bool:
        """Take a response. True: keys are derived; False: keep waiting (perhaps for the answer to a new request)."""
        cookie = answer.notify(NotifyType.COOKIE)
        if cookie is not None and answer.first(Sa) is None:
            sa.emit(InitAnswered())
            self.follow_cookie(sa, cookie.data, now)
            return False
        if answer.first(Sa) is None and redirect.considered(sa, self.policy, answer):
            return False
        group = answer.notify(NotifyType.INVALID_KE_PAYLOAD)
        if group is not None:
            return self._follow_group(sa, group.data, now)
        refused = first_error(answer)
        if refused is not None:
            text = f"{sa.state.label}: the peer refuses with {refused.kind}"
            self._refused(sa, text, int(refused.kind), now)
            return False
        try:
            self._finish(sa, answer, data)
        except (WireError, CryptoError, IkeError) as why:
            self._refused(sa, f"unusable answer to IKE_SA_INIT: {why}", getattr(why, "notify", None) or 0, now)
            sa.counters[Ignored.BAD_ANSWER] += 1
            return False
        return True

    def _follow_group(self, sa: Core, data: bytes, now: Instant) -> bool:
        group = group_transform(int.from_bytes(data, "big")) if len(data) == 2 else None
        offered = {g for proposal in self.policy.proposals for g in proposal.dh}
        if group is None or group not in offered or group in self.tried:
            self._refused(
                sa,
                f"rejecting INVALID_KE_PAYLOAD, DH group={int.from_bytes(data[:2], 'big')}",
                NotifyType.INVALID_KE_PAYLOAD,
                now,
            )
            return False
        self.tried.add(group)
        sa.emit(InitAnswered())
        self.group, self.pair = group, None
        sa.log(f"the peer wants group {group.name}: starting again with it")
        self.again(sa, now)
        return False

    def _refused(self, sa: Core, text: str, notify: int, now: Instant) -> None:
        """Nobody signed this: note it and wait a little for a better answer."""
        if self.refusal is None and sa.outstanding is not None:
            self.refusal = text, notify
            sa.emit(Hinted(text))
            sa.outstanding.give_up = min(sa.outstanding.give_up, now + REFUSED_WAIT)
            sa.outstanding.next = min(sa.outstanding.next, sa.outstanding.give_up)

    def _finish(self, sa: Core, answer: Message, data: bytes) -> None:
        rules.check(Shape.INIT_RESPONSE, answer.payloads, encrypted=False)
        body, ke, nonce = answer.first(Sa), answer.first(Ke), answer.first(Nonce)
        if body is None or ke is None or nonce is None or self.pair is None or answer.header.spi_r == NO_SPI:
            raise WireError("IKE_SA_INIT response without SPI or keys")
        chosen = accept(body, self.policy.proposals, ProtocolId.IKE, Dh.REQUIRED).ike()
        if chosen.dh != self.group or ke.group != number(Kind.DH, self.group):
            raise IkeError("the peer chose another group than the one whose key it sent")
        extensions.learn(sa, (self.policy,), answer)
        extensions.require(sa, chosen.addke)
        shared = self.pair.shared(ke.data)
        sa.spi_r = answer.header.spi_r
        sa.nonce_r, sa.init_r = nonce.data, data
        derive(sa, chosen, shared)
        natd.detect(sa, self.policy, answer, sa.spi_r)
        learn(sa, self.policy, answer)
        natd.float_ports(sa, self.policy, answer.notify(NotifyType.NAT_DETECTION_SOURCE_IP) is not None)
        sa.emit(InitAnswered())


def derive(sa: Core, chosen: ChosenIke, shared: bytes) -> None:
    """SKEYSEED and the seven keys of a new IKE SA (RFC 7296 2.14)."""
    prf = Prf(chosen.prf.name)
    install_keys(sa, chosen, prf, keymat.skeyseed(prf, sa.nonce_i, sa.nonce_r, shared))


def learn(sa: Core, policy: IkePolicy, message: Message) -> None:
    """What the peer's IKE_SA_INIT message says it can do."""
    learn_fragments(sa, policy, message)
    hashes = message.notify(NotifyType.SIGNATURE_HASH_ALGORITHMS)
    sa.peer_hashes = sign.hash_names(hashes.data) if hashes else ()
    cert.learn_requests(sa, message)
    means.learn(sa, message)


def respond(sa: Core, request: Message, data: bytes, local: Endpoint, remote: Endpoint, now: Instant) -> None:
    """The responder's part: answer a first request, or refuse it and keep nothing."""
    try:
        policy, match = _choose(sa, request)
        ke, nonce = request.first(Ke), request.first(Nonce)
        if ke is None or nonce is None:
            raise WireError("IKE_SA_INIT request without KE or nonce")
        chosen = match.ike()
        group = number(Kind.DH, chosen.dh)
        if ke.group != group:
            raise IkeError(
                f"invalid DH group={int(ke.group)}, wanting {group}",
                NotifyType.INVALID_KE_PAYLOAD,
                group.to_bytes(2, "big"),
            )
        candidates = sa.ask.ike_candidates(local, remote)
        extensions.learn(sa, candidates, request)
        extensions.require(sa, chosen.addke)
        pair = dh.generate(chosen.dh.name, sa.rng)
        shared = pair.shared(ke.data)
    except (IkeError, CryptoError, WireError) as why:
        refuse(sa, request.header, why, local, remote)
        return
    sa.spi_i, sa.spi_r = request.header.spi_i, sa.new_spi()
    sa.policy = policy
    sa.nonce_i, sa.nonce_r = nonce.data, sa.rng.octets(NONCE_OCTETS)
    derive(sa, chosen, shared)
    natd.detect(sa, policy, request, NO_SPI)
    learn(sa, policy, request)
    payloads: list[Payload] = [
        Sa((match.wire,)),
        Ke(DhId(group), pair.public),
        Nonce(sa.nonce_r),
        *natd.announce(sa, policy, sa.spi_r),
        *cert.requests(policy),
        *can_fragment(sa.peer_fragments),
        Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, sign.hash_ids()),
        *extensions.answer(sa, candidates),
        *means.announce(reduce(or_, (one.peer_auth for one in candidates), policy.peer_auth)),
        *natd.vendor(policy),
    ]
    reply(sa, ExchangeType.IKE_SA_INIT, payloads, data, local, remote, now)


def _choose(sa: Core, request: Message) -> tuple[IkePolicy, Match]:
    """The first policy of these addresses that agrees with a proposal."""
    rules.check(Shape.INIT_REQUEST, request.payloads, encrypted=False)
    body, ke = request.first(Sa), request.first(Ke)
    if body is None or ke is None:
        raise WireError("IKE_SA_INIT request without SA or KE")
    for policy in sa.ask.ike_candidates(sa.local, sa.remote):
        match = choose(body, policy.proposals, ProtocolId.IKE, Dh.REQUIRED, int(ke.group))
        if match is not None:
            return policy, match
    raise IkeError("no acceptable IKE proposal", NotifyType.NO_PROPOSAL_CHOSEN)


def refuse(
    sa: Core, request: Header, why: IkeError | CryptoError | WireError, local: Endpoint, remote: Endpoint
) -> None:
    """Answer a first request with a refusal if one is due, and end without a trace."""
    notify = NotifyType.INVALID_SYNTAX if isinstance(why, CryptoError) else NotifyType(why.notify or 0)
    data = b"" if isinstance(why, CryptoError) else why.data
    if notify:
        sa.dispatch((refusal(request, Notify(notify, data)),), local, remote)
    code = Rc.NOTIFICATION + notify if notify else Rc.LOG_SERIOUS
    sa.log(f"rejecting I1 from {remote}: {why}", code)
    sa.emit(IkeFailed(str(why), int(notify)))
    sa.emit(IkeGone(Gone.REFUSED))
    sa.vanish()
