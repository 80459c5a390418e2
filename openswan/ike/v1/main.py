# SPDX-License-Identifier: GPL-2.0-or-later
"""Main Mode: a step for each message of either end (RFC 2409 5.1, 5.4), by preshared key or RSA signature.

    initiator                              responder
    HDR, SA, VIDs                    MI1 ->
                                         <- MR1  HDR, SA, VIDs
    HDR, KE, Ni, NAT-Ds              MI2 ->
                                         <- MR2  HDR, KE, Nr, NAT-Ds
    HDR*, IDii, HASH_I or SIG_I      MI3 ->
                                         <- MR3  HDR*, IDir, HASH_R or SIG_R

A step gets a message of the right shape and gives the payloads of the next one. It changes the SA last, when nothing
can fail any more.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from openswan.base.address import Endpoint
from openswan.base.errors import CryptoError, IkeError
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.base.numbers import IpProtocol
from openswan.crypto import dh, oakley, rsakey, sign
from openswan.crypto.oakley import Oakley, Public
from openswan.ike.v1 import natt, phase1, vendors
from openswan.ike.v1.core import Core, malformed
from openswan.ike.v1.effects import IsakmpEstablished
from openswan.ike.v1.keys import IsakmpKeys
from openswan.ike.v1.phase1 import ChosenIsakmp
from openswan.ike.v1.policy import IdQuestion, IsakmpPolicy
from openswan.ike.v1.states import State
from openswan.policy.identity import Identity, IdKind, matches
from openswan.wire.v1.auth import Hash, Sig
from openswan.wire.v1.body import Payload
from openswan.wire.v1.cert import Cert, CertReq
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.message import Content
from openswan.wire.v1.natd import NatD, NatDDraft
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import AuthMethod, IdType, NotifyType, ProtocolId
from openswan.wire.v1.sa import Sa
from openswan.wire.v1.vendor import VendorId

P = TypeVar("P", bound=Payload)

NONCE_OCTETS = 32
IDENTITIES = frozenset(
    {IdType.IPV4_ADDR, IdType.FQDN, IdType.USER_FQDN, IdType.IPV6_ADDR, IdType.DER_ASN1_DN, IdType.KEY_ID}
)
"""Kinds an end may say it is; a subnet or a range is nobody."""
PORTS = ((0, 0), (IpProtocol.UDP, 500), (IpProtocol.UDP, 4500), (IpProtocol.UDP, 0))
"""Protocol and port of a phase 1 identity (RFC 2407 4.6.2, RFC 3947 4)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a message holds: each of `once` exactly once, any of `free`, VID and notifications anywhere."""

    once: tuple[type[Payload], ...]
    free: tuple[type[Payload], ...] = ()
    proof: bool = False
    """And one HASH or SIG, whichever the agreed method wants."""
    encrypted: bool = False

    def check(self, content: Content, proof: type[Payload] | None) -> None:
        """IkeError (PAYLOAD_MALFORMED, INVALID_PAYLOAD_TYPE) when it holds something else."""
        once = (*self.once, proof) if self.proof and proof else self.once
        for cls in once:
            count = len(content.all(cls))
            if count != 1:
                raise malformed(f"message with {count} {cls.TYPE} payloads where one is wanted")
        anywhere: tuple[type[Payload], ...] = (VendorId, Notify)
        allowed = {cls.TYPE for cls in (*once, *self.free, *anywhere)}
        for one in content.payloads:
            if one.type not in allowed:
                why = f"message ignored because it contains an unexpected payload type ({one.type})"
                raise malformed(f"{why} at the outermost level", NotifyType.INVALID_PAYLOAD_TYPE)


Run: TypeAlias = Callable[[Core, Content, Instant], Sequence[Payload]]


@dataclass(frozen=True, slots=True)
class Step:
    """What is done with the message a state waits for."""

    shape: Shape
    run: Run
    target: State
    seals: bool = False
    """What is sent for it is encrypted."""


# --- the steps


def first(sa: Core) -> list[Payload]:
    """MI1: what the initiator begins with."""
    policy = sa.need_policy()
    sa.offered = phase1.offer(policy.terms)
    said = vendors.announced(nat_traversal=policy.nat_traversal, dpd=policy.dpd, fragmentation=policy.fragmentation)
    return [sa.offered, *said]


def take_mi1(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """Choose a proposal."""
    policy = sa.ask.isakmp_policy(sa.local, sa.remote)
    sa.log("responding to Main Mode")
    offered = _one(content, Sa)
    outcome = phase1.choose(offered, policy.terms)
    for line in outcome.refused:
        sa.log(line, Rc.LOG_SERIOUS)
    if outcome.chosen is None or outcome.answer is None:
        raise IkeError("no acceptable Oakley Transform", NotifyType.NO_PROPOSAL_CHOSEN)
    sa.policy, sa.offered, sa.chosen = policy, offered, outcome.chosen
    sa.cookie_r = sa.cookie()
    _heed(sa, content)
    said = vendors.announced(
        nat_traversal=sa.method is not None, dpd=policy.dpd, fragmentation=sa.cuts, method=sa.method
    )
    return [outcome.answer, *said]


def take_mr1(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """The responder has chosen: send a public value of that group."""
    sa.chosen = phase1.accept(_one(content, Sa), sa.need_offered(), sa.need_policy().terms)
    _heed(sa, content)
    sa.pair, sa.nonce = dh.generate_ikev1(sa.chosen.dh.name, sa.rng), sa.rng.octets(NONCE_OCTETS)
    return [Ke(sa.pair.public), Nonce(sa.nonce), *_addresses(sa)]


def take_mi2(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """Derive keys of the initiator's public value and answer with ours."""
    chosen = sa.need_chosen()
    pair, nonce = dh.generate_ikev1(chosen.dh.name, sa.rng), sa.rng.octets(NONCE_OCTETS)
    theirs = _one(content, Ke).data
    shared = _shared(pair, theirs)
    sa.keys = _derive(sa, (_one(content, Nonce).data, nonce), shared, (theirs, pair.public))
    _look_for_nat(sa, content)
    return [Ke(pair.public), Nonce(nonce), *_addresses(sa)]


def take_mr2(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """Derive keys, go on from the port a NAT wants, say who we are and prove it."""
    policy, pair = sa.need_policy(), sa.pair
    assert pair is not None
    theirs = _one(content, Ke).data
    shared = _shared(pair, theirs)
    keys = _derive(sa, (sa.nonce, _one(content, Nonce).data), shared, (pair.public, theirs))
    me = identity_payload(policy)
    proof = _prove(sa, keys, policy, me)
    sa.keys, sa.pair = keys, None
    _look_for_nat(sa, content)
    if sa.nat is not None and sa.nat.any:
        sa.local = Endpoint(sa.local.address, policy.local_natt_port)
        sa.remote = Endpoint(sa.remote.address, policy.remote_natt_port)
    return [me, proof, *([_contact(sa)] if policy.initial_contact else [])]


def take_mi3(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """Who is the initiator, can it prove it, and which connection does that lead to; then the same of us."""
    keys, chosen, policy = sa.need_keys(), sa.need_chosen(), sa.need_policy()
    him = _one(content, Id)
    identity = _identity(sa, him)
    if chosen.method == AuthMethod.PRE_SHARED_KEY:
        # Nobody gets to choose among connections who has not the key that their addresses led to.
        _check(sa, keys, policy, him, identity, content)
    refined = sa.ask.refine(IdQuestion(policy, sa.local, sa.remote, identity, chosen))
    if not _suits(refined, policy, chosen):
        raise IkeError(f"no suitable connection for peer '{identity}'", NotifyType.INVALID_ID_INFORMATION)
    if chosen.method != AuthMethod.PRE_SHARED_KEY:
        _check(sa, keys, refined, him, identity, content)
    me = identity_payload(refined)
    proof = _prove(sa, keys, refined, me)
    if refined.name != policy.name:
        sa.log(f'switched from "{policy.name}" to "{refined.name}"')
    sa.policy, sa.peer_id = refined, identity
    return [me, proof]


def take_mr3(sa: Core, content: Content, now: Instant) -> Sequence[Payload]:
    """The responder is who it has to be, and proves it."""
    policy = sa.need_policy()
    him = _one(content, Id)
    identity = _identity(sa, him)
    if not matches(policy.peer_id, identity):
        raise IkeError(
            f"we require peer to have ID '{policy.peer_id}', but peer declares '{identity}'",
            NotifyType.INVALID_ID_INFORMATION,
        )
    _check(sa, sa.need_keys(), policy, him, identity, content)
    sa.peer_id = identity
    return []


ADDRESSES = (NatD, NatDDraft)
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


def established(sa: Core, content: Content, now: Instant) -> None:
    """Tell what has come into being."""
    policy, chosen, peer = sa.need_policy(), sa.need_chosen(), sa.peer_id
    assert peer is not None
    contact = any(one.kind == NotifyType.INITIAL_CONTACT for one in content.all(Notify))
    sa.established, sa.deadline, sa.outstanding = now, None, None
    sa.emit(IsakmpEstablished(policy, peer, chosen, sa.is_initiator, contact))


def proof_class(sa: Core) -> type[Payload] | None:
    """HASH or SIG, once a method is agreed."""
    if sa.chosen is None:
        return None
    return Hash if sa.chosen.method == AuthMethod.PRE_SHARED_KEY else Sig


# --- their parts


def _one(content: Content, cls: type[P]) -> P:
    """The payload of that class, which the message's shape has shown to be there."""
    found = content.first(cls)
    assert found is not None
    return found


def _heed(sa: Core, content: Content) -> None:
    """Note which extensions the peer knows."""
    said = content.all(VendorId)
    for line in vendors.lines(said):
        sa.log(line, Rc.LOG_SERIOUS)
    sa.announced = vendors.heeded(said)
    if sa.need_policy().nat_traversal:
        sa.method = natt.agreed(sa.announced)
    if sa.method is not None:
        sa.log(f"enabling possible NAT-traversal with method {sa.method.name}")


def _addresses(sa: Core) -> list[NatD]:
    if sa.method is None:
        return []
    return natt.hashes(Oakley(sa.need_chosen().hash_name), sa.method, sa.cookies, sa.local, sa.remote)


def _look_for_nat(sa: Core, content: Content) -> None:
    if sa.method is None:
        return
    hashing = Oakley(sa.need_chosen().hash_name)
    sa.nat = natt.detect(hashing, sa.method, content, sa.cookies, sa.local, sa.remote)
    if sa.nat is not None:
        sa.log(f"NAT-Traversal: Result using {sa.method.name}: {sa.nat}", Rc.LOG_SERIOUS)


def _shared(pair: dh.DhPair, theirs: bytes) -> bytes:
    try:
        return pair.shared(theirs)
    except CryptoError as why:
        raise IkeError(str(why), NotifyType.INVALID_KEY_INFORMATION) from None


def _derive(sa: Core, nonces: tuple[bytes, bytes], shared: bytes, public: tuple[bytes, bytes]) -> IsakmpKeys:
    """The keys; nonces and public values initiator first."""
    chosen = sa.need_chosen()
    hashing = Oakley(chosen.hash_name)
    if chosen.method == AuthMethod.PRE_SHARED_KEY:
        secret = sa.need_policy().psk
        if not secret:
            raise IkeError("no preshared key is known for this peer's addresses", NotifyType.AUTHENTICATION_FAILED)
        skeyid = oakley.skeyid_psk(hashing, secret, *nonces)
    else:
        skeyid = oakley.skeyid_signature(hashing, *nonces, shared)
    keys = oakley.derive(hashing, skeyid, shared, sa.cookie_i, sa.cookie_r)
    return IsakmpKeys(chosen, keys, Public(sa.cookie_i, sa.cookie_r, *public))


def identity_payload(policy: IsakmpPolicy) -> Id:
    """Who we say we are."""
    return Id(IdType(int(policy.my_id.kind)), policy.my_id.body)


def _contact(sa: Core) -> Notify:
    """INITIAL_CONTACT, which is believed because the message is encrypted (RFC 2407 4.6.3.3)."""
    return Notify(NotifyType.INITIAL_CONTACT, protocol=ProtocolId.ISAKMP, spi=sa.cookie_i + sa.cookie_r)


def _identity(sa: Core, him: Id) -> Identity:
    """Who the peer says it is; IkeError (INVALID_ID_INFORMATION) when nobody can be that."""
    if him.kind not in IDENTITIES:
        raise IkeError(
            f"Unacceptable identity type ({him.kind}) in Phase 1 ID Payload", NotifyType.INVALID_ID_INFORMATION
        )
    if (him.protocol, him.port) not in PORTS:
        raise IkeError(
            f"protocol/port in Phase 1 ID Payload must be 0/0 or 17/500 but are {him.protocol}/{him.port}",
            NotifyType.INVALID_ID_INFORMATION,
        )
    identity = Identity(IdKind(int(him.kind)), him.body)
    sa.log(f"Main mode peer ID is ID_{him.kind}: '{identity}'")
    return identity


def _suits(refined: IsakmpPolicy, before: IsakmpPolicy, chosen: ChosenIsakmp) -> bool:
    """Does what was agreed under one policy hold under another?"""
    terms = refined.terms
    agreed = any(chosen.encr in p.encr and chosen.hash in p.integ and chosen.dh in p.dh for p in terms.proposals)
    if not agreed or chosen.method not in terms.methods:
        return False
    return chosen.method != AuthMethod.PRE_SHARED_KEY or hmac.compare_digest(refined.psk, before.psk)


def _hash(sa: Core, keys: IsakmpKeys, who: Id, initiator: bool) -> bytes:
    """HASH_I or HASH_R."""
    over = oakley.hash_i if initiator else oakley.hash_r
    return over(keys.oakley, keys.skeyid.id, keys.public, sa.need_offered().emit(), who.emit())


def _prove(sa: Core, keys: IsakmpKeys, policy: IsakmpPolicy, me: Id) -> Payload:
    digest = _hash(sa, keys, me, sa.is_initiator)
    if sa.need_chosen().method == AuthMethod.PRE_SHARED_KEY:
        return Hash(digest)
    if policy.private_key is None:
        raise IkeError(f"unable to locate my private key for RSA Signature of '{policy.my_id}'", 0)
    try:
        return Sig(sign.sign_ikev1(policy.private_key, digest))
    except CryptoError as why:
        raise IkeError(str(why), 0) from None


def _check(sa: Core, keys: IsakmpKeys, policy: IsakmpPolicy, him: Id, identity: Identity, content: Content) -> None:
    """IkeError (INVALID_HASH_INFORMATION, INVALID_KEY_INFORMATION) when the peer has not proved what it says."""
    digest = _hash(sa, keys, him, not sa.is_initiator)
    if sa.need_chosen().method == AuthMethod.PRE_SHARED_KEY:
        if not hmac.compare_digest(_one(content, Hash).data, digest):
            raise IkeError("received Hash Payload does not match computed value", NotifyType.INVALID_HASH_INFORMATION)
        return
    signature = _one(content, Sig).data
    if not policy.peer_keys:
        raise IkeError(f"no RSA public key known for '{identity}'", NotifyType.INVALID_KEY_INFORMATION)
    for raw in policy.peer_keys:
        try:
            sign.verify_ikev1(rsakey.decode_public(raw), digest, signature)
        except CryptoError:
            continue
        return
    count = len(policy.peer_keys)
    raise IkeError(
        f"Signature check (on {identity}) failed: tried {count} keys but none worked.",
        NotifyType.INVALID_KEY_INFORMATION,
    )
