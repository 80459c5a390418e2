# SPDX-License-Identifier: GPL-2.0-or-later
"""Aggressive Mode: three messages, identities in clear (RFC 2409 5.1, 5.4).

    initiator                                       responder
    HDR, SA, KE, Ni, IDii, [CERTREQ], VIDs    AI1 ->
                                                  <- AR1  HDR, SA, KE, Nr, IDir, [CERT], [CERTREQ], HASH_R or SIG_R,
                                                          VIDs, NAT-Ds
    HDR(*), [CERT], HASH_I or SIG_I, NAT-Ds   AI2 ->

A connection has to allow it by name: whoever asks gets a hash of the preshared key, and can guess at it at leisure. The
group is not negotiated, as the first message has a public value of it already. AI2 comes encrypted, or in clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from openswan.base.errors import IkeError
from openswan.base.interval import Instant
from openswan.crypto import dh
from openswan.ike.v1 import parts, phase1, proof
from openswan.ike.v1.core import Core
from openswan.ike.v1.methods import METHODS
from openswan.ike.v1.parts import ADDRESSES, NONCE_OCTETS, Shape, Step, one
from openswan.ike.v1.phase1 import Terms
from openswan.ike.v1.states import State
from openswan.wire.v1.auth import Hash, Sig
from openswan.wire.v1.body import Payload
from openswan.wire.v1.cert import Cert, CertReq
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.message import Content
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.numbers import NotifyType
from openswan.wire.v1.sa import Sa

EXPOSED = (
    "Aggressive Mode with a preshared key lets anybody who can send us a packet guess the key offline: use Main Mode,"
    " certificates or IKEv2"
)


def terms_of(terms: Terms) -> Terms:
    """Those of the first group alone."""
    group = terms.proposals[0].dh[:1]
    same = (replace(proposal, dh=group) for proposal in terms.proposals if group[0] in proposal.dh)
    return replace(terms, proposals=tuple(same))


def first(sa: Core) -> list[Payload]:
    """AI1: all that the initiator has, but its proof."""
    policy = sa.need_policy()
    terms = terms_of(policy.terms)
    sa.offered = phase1.offer(terms)
    sa.pair = dh.generate_ikev1(terms.proposals[0].dh[0].name, sa.rng)
    sa.nonce, sa.me = sa.rng.octets(NONCE_OCTETS), proof.identity_payload(policy)
    asks = any(METHODS[method].responder is Sig for method in terms.methods) and policy.peer_by_certificate
    requests = proof.wanted(sa, policy) if asks and policy.request_certs else []
    return [sa.offered, Ke(sa.pair.public), Nonce(sa.nonce), sa.me, *requests, *parts.extensions(policy)]


def take_ai1(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """Choose a connection by who the initiator says it is, and a proposal; derive keys, and prove ourselves."""
    him = one(content, Id)
    identity = proof.claimed(sa, him, "Aggressive")
    policy = sa.ask.aggressive_policy(sa.local, sa.remote, identity)
    if not policy.aggressive:
        raise IkeError(
            f'initial Aggressive Mode message for "{policy.name}", whose policy does not allow it (aggrmode=no)',
            NotifyType.NO_PROPOSAL_CHOSEN,
        )
    proof.require_identity(policy, identity)
    sa.log("responding to Aggressive Mode")
    answer = parts.choose(sa, policy, content)
    pair, nonce = dh.generate_ikev1(sa.need_chosen().dh.name, sa.rng), sa.rng.octets(NONCE_OCTETS)
    theirs = one(content, Ke).data
    shared = parts.shared_secret(pair, theirs)
    proof.heed_requests(sa, content)
    me = proof.identity_payload(policy)
    sa.keys = parts.derive(sa, (one(content, Nonce).data, nonce), shared, (theirs, pair.public))
    shown = proof.prove(sa, sa.keys, policy, me)
    sa.him, sa.peer_id = him, identity
    payloads: list[Payload] = [answer, Ke(pair.public), Nonce(nonce), me, *proof.requests(sa, policy), *shown]
    return [*payloads, *parts.answered_extensions(sa), *parts.addresses(sa)]


def take_ar1(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """The responder is who it has to be, and proves it: so do we."""
    policy, pair, me = sa.need_policy(), sa.pair, sa.me
    assert pair is not None and me is not None
    terms = terms_of(policy.terms)
    sa.chosen = phase1.accept(one(content, Sa), sa.need_offered(), terms)
    ANSWER.check(content, proof.their_class(sa))
    theirs = one(content, Ke).data
    shared = parts.shared_secret(pair, theirs)
    him = one(content, Id)
    identity = proof.claimed(sa, him, "Aggressive")
    proof.require_identity(policy, identity)
    keys = parts.derive(sa, (sa.nonce, one(content, Nonce).data), shared, (pair.public, theirs))
    chain = proof.check(sa, keys, policy, him, identity, content, now)
    parts.heed(sa, content)
    proof.heed_requests(sa, content)
    shown = proof.prove(sa, keys, policy, me)
    sa.keys, sa.pair, sa.peer_id, sa.peer_chain = keys, None, identity, chain
    parts.look_for_nat(sa, content)
    parts.float_ports(sa)
    return [*shown, *parts.addresses(sa), *parts.contact(sa)]


def take_ai2(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """Can the initiator prove what it said in its first message?"""
    policy, him, identity = sa.need_policy(), sa.him, sa.peer_id
    assert him is not None and identity is not None
    sa.peer_chain = proof.check(sa, sa.need_keys(), policy, him, identity, content, now)
    parts.look_for_nat(sa, content)
    return []


WHOLE = (Sa, Ke, Nonce, Id)
FREE = (Cert, CertReq, *ADDRESSES)
ANSWER = Shape(WHOLE, FREE, proof=True)
"""AR1, once its SA payload has shown which proof is wanted."""
STEPS: dict[State, Step] = {
    State.AGGR_R0: Step(Shape(WHOLE, (CertReq,)), take_ai1, State.AGGR_R1),
    State.AGGR_I1: Step(Shape(WHOLE, (*FREE, Hash, Sig)), take_ar1, State.AGGR_I2, seals=True),
    State.AGGR_R1: Step(Shape((), FREE, proof=True, encrypted=True, either=True), take_ai2, State.AGGR_R2),
}
"""By the state that waits for the message."""
