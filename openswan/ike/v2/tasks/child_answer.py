# SPDX-License-Identifier: GPL-2.0-or-later
"""Agreeing to a child SA that the peer asks for, in IKE_AUTH and in CREATE_CHILD_SA (RFC 7296 1.3.1, 2.9, 2.23.1).

selectors -> whose child, in which mode -> algorithms -> key exchange -> SPI, options, the answer
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from openswan.base.address import Address, Endpoint
from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Instant
from openswan.crypto import dh
from openswan.crypto.registry import Kind
from openswan.ike.policy import ChildPolicy, ChildQuestion, ChosenChild
from openswan.ike.v2 import options
from openswan.ike.v2.child import Child
from openswan.ike.v2.core import Core, error
from openswan.ike.v2.narrow import agree, from_wire, to_wire
from openswan.ike.v2.negotiate import Dh, Match, choose, number, with_groups
from openswan.ike.v2.tasks import followup
from openswan.ike.v2.tasks.child_create import NONCE_OCTETS, Terms, establish, new_spi, peer_spi, without_group
from openswan.policy.selector import Selector
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.numbers import DhId, NotifyType
from openswan.wire.v2.sa import Sa
from openswan.wire.v2.ts import TsI, TsR


@dataclass(frozen=True, slots=True)
class Answer:
    """A responder's agreement: the child and the payloads that say so."""

    terms: Terms
    payloads: tuple[Payload, ...]


def agree_to(
    sa: Core,
    request: Message,
    means: Dh,
    ni: bytes,
    nr: bytes,
    local: Endpoint,
    remote: Endpoint,
    replaces: Child | None = None,
    shared_nonce: bool = False,
) -> Answer:
    """The responder's side of a child; IkeError says what to refuse with. `replaces`: rekeying, its policy stays.

    `shared_nonce`: inside IKE_AUTH, where nonces are those of IKE_SA_INIT and none is sent.
    """
    body, tsi, tsr, ke = request.first(Sa), request.first(TsI), request.first(TsR), request.first(Ke)
    if body is None or tsi is None or tsr is None:
        raise WireError("request for a child SA without SA or traffic selectors")
    flow = _flow(sa, request, from_wire(tsr), from_wire(tsi), local, remote, replaces)
    policy, mine, theirs = flow.policy, flow.mine, flow.theirs
    options.passes_nat(sa, policy.protocol)
    match = _match(sa, body, policy, means, int(ke.group) if ke else 0)
    chosen, spi_out = match.child(), peer_spi(match.wire.spi)
    shared, exchange = b"", _exchange(sa, chosen, ke)
    spi_in = new_spi(sa)
    extras, payloads = options.answer(sa, policy, request, flow.transport)
    if means is not Dh.NEVER:
        without_group(sa, policy, chosen)
    payloads.append(Sa((replace(match.wire, spi=spi_in.to_bytes(4, "big")),)))
    if not shared_nonce:
        payloads.append(Nonce(nr))
    if exchange is not None:
        shared, public = exchange
        payloads.append(public)
    payloads += [TsI(to_wire(theirs)), TsR(to_wire(mine))]
    terms = Terms(
        policy,
        chosen,
        spi_in,
        spi_out,
        mine,
        theirs,
        ni,
        nr,
        shared,
        initiator=False,
        replaces=replaces.spi_in if replaces else 0,
        extras=replace(extras, original=flow.original),
    )
    return Answer(terms, tuple(payloads))


@dataclass(frozen=True, slots=True)
class _Flow:
    """Whose child a request is about, what it will cover, and in which mode."""

    policy: ChildPolicy
    mine: tuple[Selector, ...]
    theirs: tuple[Selector, ...]
    transport: bool
    original: tuple[Address, Address] | None = None


def _flow(
    sa: Core,
    request: Message,
    mine: tuple[Selector, ...],
    theirs: tuple[Selector, ...],
    local: Endpoint,
    remote: Endpoint,
    replaces: Child | None,
) -> _Flow:
    """Mode and selectors of the responder's answer.

    Transport mode is first looked for with the addresses as we see them, then a tunnel with those in the message
    (RFC 7296 2.23.1).
    """
    asked = request.notify(NotifyType.USE_TRANSPORT_MODE) is not None
    found: _Flow | None = None
    if asked:
        found = _transport(sa, mine, theirs, local, remote, replaces)
    if found is None:
        policy = replaces.policy if replaces else _policy(sa, mine, theirs, local, remote)
        if policy.transport:
            raise IkeError(
                f'type=transport in "{policy.name}", but the peer wants a tunnel', NotifyType.NO_PROPOSAL_CHOSEN
            )
        if asked:
            sa.log(f'type=tunnel in "{policy.name}": the peer\'s request for transport mode is not followed')
        found = _Flow(policy, mine, theirs, transport=False)
    policy = found.policy
    limits = (replaces.mine, replaces.theirs) if replaces else (policy.mine, policy.theirs)
    return replace(
        found,
        mine=agree(found.mine, limits[0], policy.narrowing),
        theirs=agree(found.theirs, limits[1], policy.narrowing),
    )


def _transport(
    sa: Core,
    mine: tuple[Selector, ...],
    theirs: tuple[Selector, ...],
    local: Endpoint,
    remote: Endpoint,
    replaces: Child | None,
) -> _Flow | None:
    """The flow if it may have transport mode; None: try for a tunnel."""
    try:
        mine, theirs, original = options.as_we_see(sa, mine, theirs, local.address, remote.address)
        policy = replaces.policy if replaces else _policy(sa, mine, theirs, local, remote, transport=True)
    except IkeError:
        return None
    if not policy.transport:
        return None
    options.between_hosts(mine, theirs, local.address, remote.address)
    return _Flow(policy, mine, theirs, True, original)


def _policy(
    sa: Core,
    mine: tuple[Selector, ...],
    theirs: tuple[Selector, ...],
    local: Endpoint,
    remote: Endpoint,
    transport: bool = False,
) -> ChildPolicy:
    if sa.peer_id is None:
        raise IkeError("the peer is not authenticated", NotifyType.AUTHENTICATION_FAILED)
    given = sa.granted.addresses if sa.granted is not None else ()
    policy, peer, anonymous = sa.need_policy(), sa.peer_id, sa.anonymous
    return sa.ask.child(ChildQuestion(policy, peer, local, remote, mine, theirs, transport, given, anonymous))


def _match(sa: Core, body: Sa, policy: ChildPolicy, means: Dh, ke_group: int) -> Match:
    """Our choice among what is offered; IkeError (NO_PROPOSAL_CHOSEN) says why there is none."""
    _, _, ike = sa.need_keys()
    protocol = policy.protocol
    ways = [(with_groups(policy.proposals, means, ike.dh), means)]
    if means is not Dh.NEVER:
        ways = [(policy.proposals, Dh.WELCOME)]
        if policy.pfs:
            ways.insert(0, (with_groups(policy.proposals, Dh.REQUIRED, ike.dh), Dh.REQUIRED))
        if policy.pfs and not policy.pfs_optional:
            ways.pop()
    for proposals, way in ways:
        match = choose(body, proposals, protocol, way, ke_group)
        if match is not None:
            return match
    if not any(p.protocol == protocol for p in body.proposals):
        raise IkeError(
            f'the peer offers no {protocol}, which "{policy.name}" wants (phase2=)', NotifyType.NO_PROPOSAL_CHOSEN
        )
    if ways[0][1] is Dh.REQUIRED and choose(body, policy.proposals, protocol, Dh.WELCOME, ke_group):
        raise IkeError(
            f'we require PFS (pfs=yes in "{policy.name}") but the peer\'s proposals have no group of ours',
            NotifyType.NO_PROPOSAL_CHOSEN,
        )
    raise IkeError(f"no acceptable {protocol} proposal", NotifyType.NO_PROPOSAL_CHOSEN)


def _exchange(sa: Core, chosen: ChosenChild, ke: Ke | None) -> tuple[bytes, Ke] | None:
    """The responder's half of a fresh key exchange: the secret and our KE payload."""
    if chosen.dh is None:
        return None
    group = number(Kind.DH, chosen.dh)
    if ke is None or ke.group != group:
        raise IkeError(f"wanting group {group}", NotifyType.INVALID_KE_PAYLOAD, group.to_bytes(2, "big"))
    pair = dh.generate(chosen.dh.name, sa.rng)
    try:
        return pair.shared(ke.data), Ke(DhId(group), pair.public)
    except CryptoError as why:
        raise IkeError(str(why), NotifyType.INVALID_SYNTAX) from None


def respond(sa: Core, request: Message, local: Endpoint, remote: Endpoint, now: Instant) -> tuple[Payload, ...]:
    """The answer to a request for a new child."""
    if len(sa.children) >= sa.need_policy().max_children:
        return (error(NotifyType.NO_ADDITIONAL_SAS),)
    nonce = request.first(Nonce)
    if nonce is None:
        raise WireError("CREATE_CHILD_SA request without nonce")
    answer = agree_to(sa, request, Dh.WELCOME, nonce.data, sa.rng.octets(NONCE_OCTETS), local, remote)

    def conclude(more: bytes, later: Instant) -> None:
        establish(sa, replace(answer.terms, more=more), later)

    return finish_answer(sa, answer, conclude, now)


def finish_answer(sa: Core, answer: Answer, conclude: followup.Conclude, now: Instant) -> tuple[Payload, ...]:
    """The payloads of an agreement, which is concluded now or after its additional key exchanges (RFC 9370 2.2.4)."""
    methods = answer.terms.chosen.addke
    if not methods:
        conclude(b"", now)
        return answer.payloads
    waiting = followup.Pending(list(methods), conclude, now + followup.PATIENCE, answer.terms.replaces)
    return (*answer.payloads, *followup.begin(sa, waiting))
