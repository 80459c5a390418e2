# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_AUTH as its initiator sees it: identities, proofs and the first child (RFC 7296 1.2, 2.21.2).

```
initiator                                          responder
HDR, SK {IDi, [CERT], [N(INITIAL_CONTACT)], [CERTREQ], [IDr], AUTH, [CP], [N], SAi2, TSi, TSr}  -->
                                                   <--  HDR, SK {IDr, [CERT], AUTH, [CP], SAr2, TSi, TSr}
                                                   <--  HDR, SK {IDr, [CERT], AUTH, N(TS_UNACCEPTABLE ...)}
                                                   <--  HDR, SK {N(AUTHENTICATION_FAILED)}
```
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from openswan.base.errors import CryptoError, IkeError, IpsecError, WireError
from openswan.base.interval import Instant
from openswan.ike import rules
from openswan.ike.effects import IkeEstablished, RequestFailed, SpiOffered
from openswan.ike.events import CreateChild
from openswan.ike.later import Later
from openswan.ike.policy import IkePolicy
from openswan.ike.resumption import Session
from openswan.ike.rules import Shape
from openswan.ike.v2 import options
from openswan.ike.v2.core import Core, first_error
from openswan.ike.v2.narrow import to_wire
from openswan.ike.v2.negotiate import Dh, offer, with_groups
from openswan.ike.v2.states import State
from openswan.ike.v2.task import Task
from openswan.ike.v2.tasks import (
    auth,
    cert,
    child_delete,
    config,
    crash,
    eap_auth,
    ike_delete,
    means,
    mobike,
    ppk,
    redirect,
    resume,
)
from openswan.ike.v2.tasks.child_create import (
    ChildCreate,
    Terms,
    accepted,
    answered_selectors,
    establish,
    named,
    new_spi,
)
from openswan.policy.connection import EAP, Childless
from openswan.policy.connection import Auth as Means
from openswan.policy.identity import FROM_CERT, NOBODY, Identity, IdKind
from openswan.wire.message import Message
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.body import Payload
from openswan.wire.v2.eap import Eap, EapCode
from openswan.wire.v2.ident import IdI, IdR
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType
from openswan.wire.v2.sa import Sa
from openswan.wire.v2.ts import TsI, TsR

REFUSED = NotifyType.AUTHENTICATION_FAILED
UNPROVEN = "secrets, identities or certificates of the two ends do not agree; the peer's log says which"


class AuthTask(Task):
    """The initiator's part, with the first child of the list."""

    exchange = ExchangeType.IKE_AUTH
    alone = True

    def __init__(self, policy: IkePolicy, first: CreateChild) -> None:
        super().__init__(first)
        self.policy = policy
        self.child = first.policy
        self.offered = with_groups(first.policy.proposals, Dh.NEVER, policy.proposals[0].dh[0])
        self.spi = 0
        self.cpi = 0
        self.mine, self.theirs = named(first.policy)
        self.childless = False
        """The first child is made afterwards (RFC 6023)."""
        self.rounds: eap_auth.ClientRounds | None = None
        """EAP under way."""

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """The request; IkeError when we have nothing to prove ourselves with."""
        policy = self.policy
        if sa.resumed is not None:
            return self._resume(sa, sa.resumed)
        sa.my_id = auth.my_identity(sa, policy)
        me = auth.id_payload(IdI, sa.my_id)
        mine = means.my_means(policy, sa.peer_methods)
        payloads: list[Payload] = [me, *cert.to_send(sa, policy, mine)]
        payloads += contact(sa, policy)
        payloads += cert.requests(policy)
        if sa.peer_methods:
            payloads += means.announce(policy.peer_auth)
        if policy.peer_id is not None and policy.peer_name is None and _is_definite(policy.peer_id):
            payloads.append(auth.id_payload(IdR, policy.peer_id))
        if policy.childless is Childless.FORCE and not sa.childless:
            raise IkeError("the peer makes no IKE SA without a child, which childless=force wants", REFUSED)
        self.childless = sa.childless and policy.childless in (Childless.PREFER, Childless.FORCE)
        child = [] if self.childless else self._child(sa)
        if mine & EAP:
            self.rounds = eap_auth.ClientRounds(sa, policy, me, now)
            payloads += eap_auth.eap_only(policy)
        else:
            payloads += ppk.prove(sa, policy, partial(auth.make, sa, policy, me))
        return [*payloads, *config.request(sa, policy), *resume.ask(policy), *child, *manners(sa, policy)]

    def _resume(self, sa: Core, session: Session) -> Sequence[Payload]:
        """The request of a resumed session: who we were, proved by the keys (RFC 5723 4.3.3)."""
        sa.my_id = session.my_id
        me = auth.id_payload(IdI, sa.my_id)
        proof = auth.resuming(sa, me)
        wishes = [*config.request(sa, self.policy), *resume.ask(self.policy)]
        return [me, proof, *contact(sa, self.policy), *wishes, *self._child(sa), *manners(sa, self.policy)]

    def _child(self, sa: Core) -> list[Payload]:
        """What asks for the first child."""
        self.child = config.translated(sa, self.policy, self.child)
        self.mine, self.theirs = named(self.child)
        protocol = self.child.protocol
        options.passes_nat(sa, protocol)
        self.spi = new_spi(sa)
        extras, self.cpi = options.ask(sa, self.child)
        sa.emit(SpiOffered(protocol, self.spi, sa.local))
        return [
            *extras,
            offer(self.offered, protocol, self.spi.to_bytes(4, "big")),
            TsI(to_wire(self.mine)),
            TsR(to_wire(self.theirs)),
        ]

    def failed(self, sa: Core, reason: str, notify: int = 0) -> None:
        """Only the child can fail by itself; when the IKE SA fails, IkeFailed says so for both."""
        self.withdraw(sa)

    def withdraw(self, sa: Core) -> None:
        """Wait no longer for packets under the SPI we offered."""
        if self.spi:
            sa.emit(SpiOffered(self.child.protocol, self.spi, sa.local, withdrawn=True))
            self.spi = 0

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """Established or over. Nothing but the peer's own proof establishes."""
        later = False
        try:
            self._answered(sa, answer, now)
        except Later:
            later = True
            raise
        finally:
            if not later and self.spi not in sa.children and sa.task is not self:
                self.withdraw(sa)

    def _answered(self, sa: Core, answer: Message, now: Instant) -> None:
        refused = first_error(answer)
        if self.rounds is not None:
            self._next_round(sa, self.rounds, answer, refused, now)
            return
        proof, him = answer.first(Auth), answer.first(IdR)
        if proof is None or him is None:
            if refused is None:
                rules.check(Shape.AUTH_RESPONSE, answer.payloads, encrypted=True)
            kind = refused.kind if refused is not None else NotifyType.INVALID_SYNTAX
            hint = f" ({UNPROVEN})" if kind == REFUSED else ""
            sa.fail(f"the peer refuses IKE_AUTH: {kind}{hint}", int(kind))
            sa.vanish()
            return
        try:
            rules.check(Shape.AUTH_RESPONSE, answer.payloads, encrypted=True)
            if sa.resumed is not None:
                auth.check_resuming(sa, sa.resumed, proof, him)
                identity, proved = sa.resumed.peer_id, sa.resumed.proved
            else:
                identity = auth.claimed(sa, proof, him)
                auth.require_identity(self.policy, identity)
                ppk.accepted(sa, self.policy, answer)
                proved = auth.check(sa, self.policy, proof, him, identity, answer, now)
                identity = auth.proven(identity, proved)
        except (IkeError, CryptoError, WireError) as why:
            # The peer believes in an SA: it is told, in an exchange of its own (RFC 7296 2.21.2).
            sa.fail(str(why), int(REFUSED))
            ike_delete.close(sa, now, REFUSED)
            return
        self._established(sa, identity, proved, answer, now)

    def _established(self, sa: Core, identity: Identity, proved: Means, answer: Message, now: Instant) -> None:
        sa.peer_id = identity
        mine = established(sa, self.policy, identity, proved, False, now)
        resume.keep(sa, self.policy, answer, identity, mine, proved, now)
        config.learn(sa, self.policy, answer)
        mobike.learn(sa, self.policy, answer)
        crash.learn(sa, answer)
        mobike.catch_up(sa, now)
        redirect.heard(sa, answer)
        if self.childless:
            sa.create_others(now, done=0)
            return
        self._first_child(sa, answer, first_error(answer), now)
        sa.create_others(now)

    def _next_round(
        self, sa: Core, rounds: eap_auth.ClientRounds, answer: Message, refused: Notify | None, now: Instant
    ) -> None:
        """One more round of EAP, or its end."""
        try:
            following = rounds.take(sa, answer, now)
        except IpsecError as why:
            # Unless the responder has ended it, it is told that we do (RFC 7296 2.21.2).
            packet = answer.first(Eap)
            told = refused is not None or (packet is not None and packet.code == EapCode.FAILURE)
            sa.fail(str(why), int(refused.kind if refused is not None else REFUSED))
            if told:
                sa.vanish()
            else:
                ike_delete.close(sa, now, REFUSED)
            return
        if following is not None:
            sa.transmit(self, following, now)
        elif rounds.identity is not None:
            self._established(sa, rounds.identity, rounds.proved, answer, now)

    def _first_child(self, sa: Core, answer: Message, refused: Notify | None, now: Instant) -> None:
        if self.request is None:
            return
        body = answer.first(Sa)
        if body is None:
            kind = refused.kind if refused is not None else NotifyType(0)
            if kind == NotifyType.SINGLE_PAIR_REQUIRED and isinstance(self.request, CreateChild):
                again = ChildCreate(self.request, self.child)
                if again.ask_for_one_pair():
                    sa.submit(again, now)
                    return
            reason = f"the peer refuses the child SA: {kind}" if refused is not None else "the peer made no child SA"
            sa.emit(RequestFailed(self.request, reason, int(kind)))
            return
        try:
            chosen, spi_out = accepted(body, self.offered, Dh.NEVER)
            extras = options.accept(sa, self.child, answer, self.cpi)
            mine, theirs, extras = answered_selectors(sa, answer, self.child, self.mine, self.theirs, extras)
        except IpsecError as why:
            sa.log(f"closing the child SA just made: {why}")
            sa.emit(RequestFailed(self.request, str(why), getattr(why, "notify", None) or 0))
            child_delete.delete_unwanted(sa, self.child.protocol, self.spi, now)
            return
        terms = Terms(
            self.child,
            chosen,
            self.spi,
            spi_out,
            mine,
            theirs,
            sa.nonce_i,
            sa.nonce_r,
            token=self.token,
            extras=extras,
        )
        establish(sa, terms, now)


def manners(sa: Core, policy: IkePolicy) -> list[Payload]:
    """What either side says of itself for later."""
    return [*mobike.announce(sa, policy), *crash.announce(sa)]


def _is_definite(identity: Identity) -> bool:
    """Is it one identity and no pattern, so that it can be asked for?"""
    if identity == FROM_CERT or identity.kind is IdKind.NULL:
        return False
    return b"*" not in identity.body or identity.kind not in (IdKind.FQDN, IdKind.USER_FQDN, IdKind.DER_ASN1_DN)


def contact(sa: Core, policy: IkePolicy) -> list[Notify]:
    """INITIAL_CONTACT (RFC 7296 2.4), unless the peer has come up with one of its own since this was begun."""
    alone = policy.initial_contact and not sa.ask.knows_another(sa.local.address, sa.remote.address)
    return [Notify(NotifyType.INITIAL_CONTACT)] if alone and sa.my_id != NOBODY else []


def established(
    sa: Core, policy: IkePolicy, peer: Identity, proved: Means, initial_contact: bool, now: Instant
) -> Means:
    """Both sides are who they say; how we proved ourselves."""
    _, _, chosen = sa.need_keys()
    sa.move(State.I3 if sa.is_initiator else State.R2)
    sa.established = now
    sa.deadline = None
    sa.anonymous = proved is Means.NULL
    # Nobody can ask that somebody else's SAs go (RFC 7619 2.3).
    initial_contact = initial_contact and not sa.anonymous
    sa.emit(IkeEstablished(policy, peer, chosen, sa.is_initiator, initial_contact))
    choose = means.my_means if sa.is_initiator else means.responder_means
    mine = sa.resumed.mine if sa.resumed is not None else choose(policy, sa.peer_methods)
    sa.log(
        f"{sa.state.label}: {sa.state.story} {{auth=IKEv2 oursig={mine.name} theirsig={proved.name} {chosen}}}",
        sa.state.code,
    )
    return mine
