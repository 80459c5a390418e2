# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE_AUTH as its responder sees it: who that is, by which connection, and the first child (RFC 7296 1.2, 2.21.2).

IDi, AUTH  -> the connection of that identity -> the proof -> ours -> children, addresses, tickets
IDi alone  -> EAP: ours first, then round by round (see `eap_auth`)
a ticket   -> the session of before (RFC 5723)
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from openswan.base.address import Endpoint
from openswan.base.errors import CryptoError, IkeError, IpsecError, WireError
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.ike import rules
from openswan.ike.eap.method import EapError
from openswan.ike.policy import AuthQuestion, IkePolicy
from openswan.ike.resumption import Session
from openswan.ike.rules import Shape
from openswan.ike.v2.core import LINGER, Core
from openswan.ike.v2.negotiate import Dh
from openswan.ike.v2.protect import Opened
from openswan.ike.v2.states import State
from openswan.ike.v2.tasks import (
    auth,
    cert,
    config,
    crash,
    delegation,
    eap_auth,
    means,
    mobike,
    ppk,
    redirect,
    resume,
)
from openswan.ike.v2.tasks.child_answer import agree_to
from openswan.ike.v2.tasks.child_create import establish
from openswan.ike.v2.tasks.ike_auth import established, manners
from openswan.policy.connection import EAP, SIGNATURES, Childless
from openswan.policy.connection import Auth as Means
from openswan.policy.identity import NOBODY, Identity, IdKind
from openswan.wire.header import Header
from openswan.wire.message import Message
from openswan.wire.v2.auth import Auth
from openswan.wire.v2.body import Payload
from openswan.wire.v2.cert import Cert
from openswan.wire.v2.cp import Cp
from openswan.wire.v2.delete import Delete
from openswan.wire.v2.ident import IdI, IdR
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, PayloadType, ProtocolId
from openswan.wire.v2.sa import Sa

REFUSED = NotifyType.AUTHENTICATION_FAILED


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a request came in, so that it can be answered."""

    header: Header
    opened: Opened
    local: Endpoint
    remote: Endpoint

    def reply(self, sa: Core, payloads: Sequence[Payload]) -> None:
        """Answer it."""
        sa.reply(self.header, self.opened, payloads, self.local, self.remote)


@contextmanager
def _naming(policy: IkePolicy) -> Iterator[None]:
    """An error inside is about that connection."""
    try:
        yield
    except IpsecError as why:
        why.connection = policy.name  # type: ignore[attr-defined]
        raise


def respond(sa: Core, request: Message, opened: Opened, local: Endpoint, remote: Endpoint, now: Instant) -> None:
    """The responder's part: one request with everything, or the rounds of EAP."""
    where = Arrival(request.header, opened, local, remote)
    try:
        if sa.rounds is None:
            _check_exchanges(sa, request)
        if sa.rounds is not None:
            _next_round(sa, sa.rounds, request, where, now)
        elif request.first(Auth) is None and request.first(IdI) is not None and sa.resumed is None:
            _first_round(sa, request, where, now)
        else:
            _respond(sa, request, where, now)
    except (IkeError, CryptoError, WireError, EapError) as why:
        name = sa.policy.name if sa.rounds is not None and sa.policy is not None else ""
        refuse(sa, request, opened, why, local, remote, now, getattr(why, "connection", name))


def _check_exchanges(sa: Core, request: Message) -> None:
    """Has all been done that was to be done before IKE_AUTH (RFC 9370 2.2.2)?"""
    _, _, chosen = sa.need_keys()
    if sa.resumed is None and sa.intermediates < len(chosen.addke):
        missing = chosen.addke[sa.intermediates].name
        raise WireError(f"IKE_AUTH before the key exchange of {missing}", NotifyType.INVALID_SYNTAX)
    sa.auth_id = request.header.message_id


def _without(sa: Core, request: Message) -> Container[PayloadType]:
    """What a request need not have: all that asks for a child, when it asks for none and may do so (RFC 6023)."""
    return rules.CHILD if sa.childless and request.first(Sa) is None else frozenset()


def _respond(sa: Core, request: Message, where: Arrival, now: Instant) -> None:
    rules.check(Shape.AUTH_REQUEST, request.payloads, encrypted=True, without=_without(sa, request))
    proof, him = request.first(Auth), request.first(IdI)
    if proof is None or him is None:
        raise WireError("IKE_AUTH request without identity or proof")
    if sa.resumed is not None:
        _resumed(sa, sa.resumed, request, proof, him, where, now)
        return
    identity = auth.claimed(sa, proof, him)
    policy = _ask(sa, request, means.means_of(proof), identity)
    with _naming(policy):
        proof, tail = ppk.judge(sa, policy, request, proof)
        proved = auth.check(sa, policy, proof, him, identity, request, now)
        identity = auth.proven(identity, proved)
        if identity != NOBODY:
            delegation.learn(sa, policy, request)
        sa.my_id = auth.my_identity(sa, policy)
        me = auth.id_payload(IdR, sa.my_id)
        payloads = [me, *cert.to_send(sa, policy, means.responder_means(policy, sa.peer_methods))]
        payloads += [auth.make(sa, policy, me), *tail]
    _conclude(sa, policy, request, identity, proved, payloads, where, now)


def _resumed(sa: Core, session: Session, request: Message, proof: Auth, him: IdI, where: Arrival, now: Instant) -> None:
    """The peer of before is back (RFC 5723 4.3.3)."""
    policy = sa.need_policy()
    with _naming(policy):
        auth.check_resuming(sa, session, proof, him)
        sa.my_id = session.my_id
        me = auth.id_payload(IdR, sa.my_id)
        payloads: list[Payload] = [me, auth.resuming(sa, me)]
    sa.log(f"session with '{session.peer_id}' resumed")
    _conclude(sa, policy, request, session.peer_id, session.proved, payloads, where, now)


def _first_round(sa: Core, request: Message, where: Arrival, now: Instant) -> None:
    """The initiator wants EAP: we prove ourselves, and ask who it is."""
    rules.check(Shape.EAP_FIRST_REQUEST, request.payloads, encrypted=True, without=_without(sa, request))
    him = request.first(IdI)
    if him is None:
        raise WireError("IKE_AUTH request without identity")
    policy = _ask(sa, request, EAP, auth.claimed_by(sa, him))
    with _naming(policy):
        alone = eap_auth.need_not_sign(policy, request)
        sa.my_id = cert.my_identity(policy) if alone else auth.my_identity(sa, policy)
        if sa.my_id == NOBODY:
            # RFC 7619 2: a responder that proves nothing must not be told passwords.
            raise IkeError("null authentication of ours and EAP of the peer do not go together", REFUSED)
        me = auth.id_payload(IdR, sa.my_id)
        payloads: list[Payload] = [me]
        if not alone:
            payloads += cert.to_send(sa, policy, means.responder_means(policy, sa.peer_methods))
            payloads.append(auth.make(sa, policy, me))
        sa.rounds = eap_auth.ServerRounds(sa, policy, request, him, me, now)
        sa.policy = policy
        payloads.append(sa.rounds.begin())
    where.reply(sa, payloads)


def _next_round(sa: Core, rounds: eap_auth.ServerRounds, request: Message, where: Arrival, now: Instant) -> None:
    """The initiator's answer to EAP, or after that its last AUTH."""
    if not rounds.over:
        payloads = rounds.take(sa, request)
        if not rounds.failure:
            where.reply(sa, payloads)
            return
        # EAP-Failure goes alone: the initiator knows by it that all is over (RFC 7296 2.16).
        sa.fail(f'"{rounds.policy.name}": EAP failed: {rounds.failure}', int(REFUSED))
        where.reply(sa, payloads)
        linger(sa, now)
        return
    identity, payloads = rounds.finish(sa, request, now)
    sa.rounds = None
    _conclude(sa, rounds.policy, rounds.request, identity, rounds.proved, payloads, where, now)


def _conclude(
    sa: Core,
    policy: IkePolicy,
    request: Message,
    identity: Identity,
    proved: Means,
    payloads: list[Payload],
    where: Arrival,
    now: Instant,
) -> None:
    """Both sides are who they say: the first child, which `request` asks for, and the answer."""
    sa.policy, sa.peer_id = policy, identity
    contact = request.notify(NotifyType.INITIAL_CONTACT) is not None
    mine = established(sa, policy, identity, proved, contact, now)
    payloads += resume.grant(sa, policy, request, identity, mine, proved, now)
    mobike.learn(sa, policy, request)
    crash.learn(sa, request)
    payloads += manners(sa, policy)
    if elsewhere := redirect.send_away(sa, policy, now):
        where.reply(sa, [*payloads, *elsewhere])
        return
    try:
        payloads += config.grant(sa, policy, request)
        if request.first(Sa) is None:
            where.reply(sa, payloads)
            return
        answer = agree_to(sa, request, Dh.NEVER, sa.nonce_i, sa.nonce_r, where.local, where.remote, shared_nonce=True)
        establish(sa, answer.terms, now)
        payloads += answer.payloads
    except (IkeError, CryptoError, WireError) as why:
        # The IKE SA stands without its child (RFC 7296 2.21.2).
        kind = NotifyType((0 if isinstance(why, CryptoError) else why.notify) or NotifyType.NO_PROPOSAL_CHOSEN)
        sa.log(f"no child SA with the IKE SA: {why}; sending {kind}", Rc.NOTIFICATION + int(kind))
        payloads.append(Notify(kind))
    where.reply(sa, payloads)


def _ask(sa: Core, request: Message, method: Means, identity: Identity) -> IkePolicy:
    """The policy for this claim; it must allow the algorithms that are in use already."""
    _, _, chosen = sa.need_keys()
    wanted = request.first(IdR)
    mine = Identity(IdKind(int(wanted.kind)), wanted.body) if wanted is not None else None
    certified, asks = request.first(Cert) is not None, request.first(Cp) is not None
    names = cert.issuers(sa, request) if method & SIGNATURES else ()
    question = AuthQuestion(sa.local, sa.remote, identity, mine, method, certified, chosen, asks, names)
    policy = sa.ask.authenticate(question)
    if policy.childless is Childless.NEVER and request.first(Sa) is None:
        raise WireError(f"IKE_AUTH request without a child, which connection {policy.name} does not allow")
    if not chosen.allowed_by(policy.proposals):
        raise IkeError(f"connection {policy.name} does not allow {chosen}", REFUSED)
    auth.require_identity(policy, identity)
    cert.learn_requests(sa, request)
    means.learn(sa, request)
    return policy


def refuse(
    sa: Core,
    request: Message,
    opened: Opened,
    why: IkeError | CryptoError | WireError | EapError,
    local: Endpoint,
    remote: Endpoint,
    now: Instant,
    connection: str = "",
) -> None:
    """Tell the initiator, protected, that it is over, and answer repetitions for a while; `connection` if known."""
    kind = NotifyType(getattr(why, "notify", None) or REFUSED)
    data: bytes = getattr(why, "data", b"")
    sa.fail(f'"{connection}": {why}' if connection else str(why), int(kind))
    sa.reply(request.header, opened, (Notify(kind, data),), local, remote)
    linger(sa, now)


def given_up(sa: Core, request: Message, now: Instant) -> None:
    """An INFORMATIONAL request in the middle of EAP: does the initiator end it (RFC 7296 2.21.2)?"""
    ended = request.notify(REFUSED) is not None or any(d.protocol == ProtocolId.IKE for d in request.all(Delete))
    if ended:
        name = f'"{sa.policy.name}": ' if sa.policy is not None else ""
        why = sa.rounds.trouble if sa.rounds is not None else ""
        sa.fail(f"{name}the initiator gives up in the middle of EAP{': ' + why if why else ''}", int(REFUSED))
        linger(sa, now)


def linger(sa: Core, now: Instant) -> None:
    """All is said; repetitions are answered for a while."""
    sa.rounds = None
    sa.move(State.LINGER)
    sa.deadline = now + LINGER
