# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_AUTH, both sides: identities, proofs and the first child (RFC 7296 1.2, 2.21.2).

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

from openswan.base.address import Endpoint
from openswan.base.errors import CryptoError, IkeError, IpsecError, WireError
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.ike import rules
from openswan.ike.effects import IkeEstablished, RequestFailed, SpiOffered
from openswan.ike.events import CreateChild
from openswan.ike.policy import AuthQuestion, IkePolicy
from openswan.ike.rules import Shape
from openswan.ike.v2 import options
from openswan.ike.v2.core import LINGER, Core, Task, first_error
from openswan.ike.v2.narrow import to_wire
from openswan.ike.v2.negotiate import Dh, offer, with_groups
from openswan.ike.v2.protect import Opened
from openswan.ike.v2.states import State
from openswan.ike.v2.tasks import auth, cert, child_delete, config, ike_delete
from openswan.ike.v2.tasks.child_create import (
    ChildCreate,
    Terms,
    accepted,
    agree_to,
    answered_selectors,
    establish,
    named,
    new_spi,
)
from openswan.policy.connection import Auth as Means
from openswan.policy.identity import FROM_CERT, Identity, IdKind, matches
from openswan.wire.message import Message
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.body import Payload
from openswan.wire.v2.cert import Cert
from openswan.wire.v2.cp import Cp
from openswan.wire.v2.ident import IdI, IdR
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType
from openswan.wire.v2.sa import Sa
from openswan.wire.v2.ts import TsI, TsR

REFUSED = NotifyType.AUTHENTICATION_FAILED


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

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """The request; IkeError when we have nothing to prove ourselves with."""
        policy = self.policy
        sa.my_id = cert.my_identity(policy)
        me = auth.id_payload(IdI, sa.my_id)
        payloads: list[Payload] = [me, *cert.to_send(sa, policy, auth.my_means(policy))]
        if policy.initial_contact:
            payloads.append(Notify(NotifyType.INITIAL_CONTACT))
        payloads += cert.requests(policy)
        if policy.peer_id is not None and _is_definite(policy.peer_id):
            payloads.append(auth.id_payload(IdR, policy.peer_id))
        protocol = self.child.protocol
        options.passes_nat(sa, protocol)
        self.spi = new_spi(sa)
        extras, self.cpi = options.ask(sa, self.child)
        sa.emit(SpiOffered(protocol, self.spi, sa.local))
        payloads += [
            auth.make(sa, policy, me),
            *config.request(policy),
            *extras,
            offer(self.offered, protocol, self.spi.to_bytes(4, "big")),
            TsI(to_wire(self.mine)),
            TsR(to_wire(self.theirs)),
        ]
        return payloads

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
        try:
            self._answered(sa, answer, now)
        finally:
            if self.spi not in sa.children:
                self.withdraw(sa)

    def _answered(self, sa: Core, answer: Message, now: Instant) -> None:
        refused = first_error(answer)
        proof, him = answer.first(Auth), answer.first(IdR)
        if proof is None or him is None:
            if refused is None:
                rules.check(Shape.AUTH_RESPONSE, answer.payloads, encrypted=True)
            kind = refused.kind if refused is not None else NotifyType.INVALID_SYNTAX
            sa.fail(f"the peer refuses IKE_AUTH: {kind}", int(kind))
            sa.vanish()
            return
        try:
            rules.check(Shape.AUTH_RESPONSE, answer.payloads, encrypted=True)
            identity = Identity(IdKind(int(him.kind)), him.body)
            sa.log(f"IKEv2 mode peer ID is {him.kind}: '{identity}'")
            if not matches(self.policy.peer_id, identity):
                raise IkeError(f"we require peer to have ID '{self.policy.peer_id}', but peer declares '{identity}'")
            means = auth.check(sa, self.policy, proof, him, identity, answer, now)
        except (IkeError, CryptoError, WireError) as why:
            # The peer believes in an SA: it is told, in an exchange of its own (RFC 7296 2.21.2).
            sa.fail(str(why), int(REFUSED))
            ike_delete.close(sa, now, REFUSED)
            return
        sa.peer_id = identity
        established(sa, self.policy, identity, means, False, now)
        config.learn(sa, self.policy, answer)
        self._first_child(sa, answer, refused, now)
        sa.create_others(now)

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


def _is_definite(identity: Identity) -> bool:
    """Is it one identity and no pattern, so that it can be asked for?"""
    if identity == FROM_CERT or identity.kind is IdKind.NULL:
        return False
    return b"*" not in identity.body or identity.kind not in (IdKind.FQDN, IdKind.USER_FQDN, IdKind.DER_ASN1_DN)


def established(sa: Core, policy: IkePolicy, peer: Identity, means: Means, initial_contact: bool, now: Instant) -> None:
    """Both sides are who they say."""
    _, _, chosen = sa.need_keys()
    sa.move(State.I3 if sa.is_initiator else State.R2)
    sa.established = now
    sa.deadline = None
    sa.emit(IkeEstablished(policy, peer, chosen, sa.is_initiator, initial_contact))
    sa.log(
        f"{sa.state.label}: {sa.state.story} {{auth=IKEv2 oursig={auth.my_means(policy).name} "
        f"theirsig={means.name} {chosen}}}",
        sa.state.code,
    )


def respond(sa: Core, request: Message, opened: Opened, local: Endpoint, remote: Endpoint, now: Instant) -> None:
    """The responder's part."""
    name = ""
    try:
        rules.check(Shape.AUTH_REQUEST, request.payloads, encrypted=True)
        proof, him, wanted = request.first(Auth), request.first(IdI), request.first(IdR)
        if proof is None or him is None:
            raise WireError("IKE_AUTH request without identity or proof")
        identity = Identity(IdKind(int(him.kind)), him.body)
        sa.log(f"IKEv2 mode peer ID is {him.kind}: '{identity}'")
        policy = _ask(sa, request, proof, identity, wanted)
        name = policy.name
        means = auth.check(sa, policy, proof, him, identity, request, now)
        sa.my_id = cert.my_identity(policy)
        me = auth.id_payload(IdR, sa.my_id)
        ours = auth.make(sa, policy, me)
        certs = cert.to_send(sa, policy, auth.my_means(policy))
    except (IkeError, CryptoError, WireError) as why:
        refuse(sa, request, opened, why, local, remote, now, name)
        return
    sa.policy, sa.peer_id = policy, identity
    contact = request.notify(NotifyType.INITIAL_CONTACT) is not None
    established(sa, policy, identity, means, contact, now)
    payloads: list[Payload] = [me, *certs, ours]
    try:
        payloads += config.grant(sa, policy, request)
        answer = agree_to(sa, request, Dh.NEVER, sa.nonce_i, sa.nonce_r, local, remote, shared_nonce=True)
        establish(sa, answer.terms, now)
        payloads += answer.payloads
    except (IkeError, CryptoError, WireError) as why:
        # The IKE SA stands without its child (RFC 7296 2.21.2).
        kind = NotifyType((0 if isinstance(why, CryptoError) else why.notify) or NotifyType.NO_PROPOSAL_CHOSEN)
        sa.log(f"no child SA with the IKE SA: {why}; sending {kind}", Rc.NOTIFICATION + int(kind))
        payloads.append(Notify(kind))
    sa.reply(request.header, opened, payloads, local, remote)


def _ask(sa: Core, request: Message, proof: Auth, identity: Identity, wanted: IdR | None) -> IkePolicy:
    """The policy for this claim; it must allow the algorithms that are in use already."""
    _, _, chosen = sa.need_keys()
    mine = Identity(IdKind(int(wanted.kind)), wanted.body) if wanted is not None else None
    question = AuthQuestion(
        sa.local,
        sa.remote,
        identity,
        mine,
        auth.means_of(proof),
        request.first(Cert) is not None,
        chosen,
        request.first(Cp) is not None,
    )
    policy = sa.ask.authenticate(question)
    if not any(chosen.encr in p.encr and chosen.prf in p.prf and chosen.dh in p.dh for p in policy.proposals):
        raise IkeError(f"connection {policy.name} does not allow {chosen}", REFUSED)
    if not matches(policy.peer_id, identity):
        raise IkeError(f"we require peer to have ID '{policy.peer_id}', but peer declares '{identity}'", REFUSED)
    cert.learn_requests(sa, request)
    return policy


def refuse(
    sa: Core,
    request: Message,
    opened: Opened,
    why: IkeError | CryptoError | WireError,
    local: Endpoint,
    remote: Endpoint,
    now: Instant,
    connection: str = "",
) -> None:
    """Tell the initiator, protected, that it is over, and answer repetitions for a while; `connection` if known."""
    kind = NotifyType((0 if isinstance(why, CryptoError) else why.notify) or REFUSED)
    data = b"" if isinstance(why, CryptoError) else why.data
    sa.fail(f'"{connection}": {why}' if connection else str(why), int(kind))
    sa.reply(request.header, opened, (Notify(kind, data),), local, remote)
    sa.move(State.LINGER)
    sa.deadline = now + LINGER
