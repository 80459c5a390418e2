# SPDX-License-Identifier: GPL-2.0-or-later
"""Main Mode: a step for each message of either end (RFC 2409 5.1, 5.4).

    initiator                                     responder
    HDR, SA, VIDs                           MI1 ->
                                                <- MR1  HDR, SA, VIDs
    HDR, KE, Ni, NAT-Ds                     MI2 ->
                                                <- MR2  HDR, KE, Nr, NAT-Ds, [CERTREQ]
    HDR*, IDii, [CERT], [CERTREQ], HASH_I or SIG_I  MI3 ->
                                                <- MR3  HDR*, IDir, [CERT], HASH_R or SIG_R

A step gets a message of the right shape and gives the payloads of the next one. It changes the SA last, when nothing
can fail any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.x509 import Certificate

from openswan.base.errors import IkeError
from openswan.base.interval import Instant
from openswan.crypto import dh
from openswan.ike import certificates
from openswan.ike.effects import InitAnswered
from openswan.ike.v1 import parts, phase1, proof
from openswan.ike.v1.core import Core
from openswan.ike.v1.methods import METHODS
from openswan.ike.v1.parts import ADDRESSES, NONCE_OCTETS, Shape, Step, one
from openswan.ike.v1.policy import IdQuestion
from openswan.ike.v1.states import State
from openswan.wire.v1.body import Payload
from openswan.wire.v1.cert import Cert, CertReq
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.message import Content
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.numbers import NotifyType
from openswan.wire.v1.sa import Sa


def first(sa: Core) -> list[Payload]:
    """MI1: what the initiator begins with."""
    policy = sa.need_policy()
    sa.offered = phase1.offer(policy.terms)
    return [sa.offered, *parts.extensions(policy)]


def take_mi1(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """Choose a proposal."""
    policy = sa.ask.isakmp_policy(sa.local, sa.remote)
    sa.log("responding to Main Mode" + (f" from unknown peer {sa.remote.address}" if policy.unknown_peer else ""))
    return [parts.choose(sa, policy, content), *parts.answered_extensions(sa)]


def take_mr1(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """The responder has chosen: send a public value of that group."""
    sa.chosen = phase1.accept(one(content, Sa), sa.need_offered(), sa.need_policy().terms)
    parts.heed(sa, content)
    sa.pair, sa.nonce = dh.generate_ikev1(sa.chosen.dh.name, sa.rng), sa.rng.octets(NONCE_OCTETS)
    return [Ke(sa.pair.public), Nonce(sa.nonce), *parts.addresses(sa)]


def take_mi2(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """Derive keys of the initiator's public value and answer with ours."""
    chosen = sa.need_chosen()
    pair, nonce = dh.generate_ikev1(chosen.dh.name, sa.rng), sa.rng.octets(NONCE_OCTETS)
    theirs = one(content, Ke).data
    shared = parts.shared_secret(pair, theirs)
    sa.keys = parts.derive(sa, (one(content, Nonce).data, nonce), shared, (theirs, pair.public))
    proof.heed_requests(sa, content)
    parts.look_for_nat(sa, content)
    return [Ke(pair.public), Nonce(nonce), *parts.addresses(sa), *proof.requests(sa, sa.need_policy())]


def take_mr2(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """Derive keys, go on from the port a NAT wants, say who we are and prove it."""
    policy, pair = sa.need_policy(), sa.pair
    assert pair is not None
    theirs = one(content, Ke).data
    shared = parts.shared_secret(pair, theirs)
    keys = parts.derive(sa, (sa.nonce, one(content, Nonce).data), shared, (pair.public, theirs))
    proof.heed_requests(sa, content)
    me = proof.identity_payload(policy)
    shown = proof.prove(sa, keys, policy, me)
    sa.keys, sa.pair = keys, None
    parts.look_for_nat(sa, content)
    parts.float_ports(sa)
    sa.emit(InitAnswered())
    return [me, *proof.requests(sa, policy), *shown, *parts.contact(sa)]


def take_mi3(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """Who is the initiator, can it prove it, and which connection does that lead to; then the same of us."""
    keys, chosen, policy = sa.need_keys(), sa.need_chosen(), sa.need_policy()
    him = one(content, Id)
    identity = proof.claimed(sa, him, "Main")
    by_secret = METHODS[chosen.method].by_secret
    chain: tuple[Certificate, ...] = ()
    if by_secret:
        # Nobody gets to choose among connections who has not the key that their addresses led to.
        proof.check(sa, keys, policy, him, identity, content, now)
    issuers = certificates.issuers(proof.sent(content))
    refined = sa.ask.refine(IdQuestion(policy, sa.local, sa.remote, identity, chosen, issuers))
    if not proof.suits(refined, policy, chosen):
        raise IkeError(f"no suitable connection for peer '{identity}'", NotifyType.INVALID_ID_INFORMATION)
    if not by_secret:
        chain = proof.check(sa, keys, refined, him, identity, content, now)
    proof.heed_requests(sa, content)
    me = proof.identity_payload(refined)
    shown = proof.prove(sa, keys, refined, me)
    if refined.name != policy.name:
        sa.log(f'switched from "{policy.name}" to "{refined.name}"')
    sa.policy, sa.peer_id, sa.peer_chain = refined, identity, chain
    return [me, *shown]


def take_mr3(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """The responder is who it has to be, and proves it."""
    policy = sa.need_policy()
    him = one(content, Id)
    identity = proof.claimed(sa, him, "Main")
    proof.require_identity(policy, identity)
    chain = proof.check(sa, sa.need_keys(), policy, him, identity, content, now)
    sa.peer_id, sa.peer_chain = identity, chain
    return []


KEY_EXCHANGE = Shape((Ke, Nonce), (*ADDRESSES, CertReq))
PROOF = Shape((Id,), (Cert, CertReq), proof=True, encrypted=True)
STEPS: dict[State, Step] = {
    State.MAIN_R0: Step(Shape((Sa,)), take_mi1, State.MAIN_R1),
    State.MAIN_I1: Step(Shape((Sa,)), take_mr1, State.MAIN_I2),
    State.MAIN_R1: Step(KEY_EXCHANGE, take_mi2, State.MAIN_R2),
    State.MAIN_I2: Step(KEY_EXCHANGE, take_mr2, State.MAIN_I3, seals=True),
    State.MAIN_R2: Step(PROOF, take_mi3, State.MAIN_R3, seals=True),
    State.MAIN_I3: Step(PROOF, take_mr3, State.MAIN_I4),
}
"""By the state that waits for the message."""
