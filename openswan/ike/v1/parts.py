# SPDX-License-Identifier: GPL-2.0-or-later
"""What the messages of Main and Aggressive Mode have in common: their shape, keys, NATs, vendor IDs (RFC 2409 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from openswan.base.address import Endpoint
from openswan.base.errors import CryptoError, IkeError
from openswan.base.interval import Instant
from openswan.base.log import Rc
from openswan.crypto import dh, oakley
from openswan.crypto.oakley import Oakley, Public
from openswan.ike.v1 import natt, phase1, vendors
from openswan.ike.v1.core import Core, malformed
from openswan.ike.v1.keys import IsakmpKeys
from openswan.ike.v1.methods import METHODS
from openswan.ike.v1.policy import IsakmpPolicy
from openswan.ike.v1.states import State
from openswan.policy.modecfg import ConfigRole
from openswan.wire.v1 import vendor
from openswan.wire.v1.body import Payload
from openswan.wire.v1.message import Content
from openswan.wire.v1.natd import NatD, NatDDraft
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import NotifyType, ProtocolId
from openswan.wire.v1.sa import Sa
from openswan.wire.v1.vendor import VendorId

P = TypeVar("P", bound=Payload)

NONCE_OCTETS = 32
ADDRESSES = (NatD, NatDDraft)
NOWHERE = 0
"""A port nobody sends from: a hash of it looks like a NAT's doing."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a message holds: each of `once` exactly once, any of `free`, VID and notifications anywhere."""

    once: tuple[type[Payload], ...]
    free: tuple[type[Payload], ...] = ()
    proof: bool = False
    """And one HASH or SIG, whichever the agreed method wants."""
    encrypted: bool = False
    """It comes encrypted;"""
    either: bool = False
    """or, as it may in Aggressive Mode, in clear."""

    def check(self, content: Content, proof: type[Payload] | None) -> None:
        """IkeError (PAYLOAD_MALFORMED, INVALID_PAYLOAD_TYPE) when it holds something else."""
        once = (*self.once, proof) if self.proof and proof else self.once
        for cls in once:
            count = len(content.all(cls))
            if count != 1:
                raise malformed(f"message with {count} {cls.TYPE} payloads where one is wanted")
        anywhere: tuple[type[Payload], ...] = (VendorId, Notify)
        allowed = {cls.TYPE for cls in (*once, *self.free, *anywhere)}
        for other in content.payloads:
            if other.type not in allowed:
                why = f"message ignored because it contains an unexpected payload type ({other.type})"
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


def one(content: Content, cls: type[P]) -> P:
    """The payload of that class, which the message's shape has shown to be there."""
    found = content.first(cls)
    assert found is not None
    return found


def heed(sa: Core, content: Content) -> None:
    """Note which extensions the peer knows."""
    said = content.all(VendorId)
    for line in vendors.lines(said):
        sa.log(line, Rc.LOG_SERIOUS)
    sa.announced = vendors.heeded(said)
    if sa.need_policy().nat_traversal:
        sa.method = natt.agreed(sa.announced)
    if sa.method is not None:
        sa.log(f"enabling possible NAT-traversal with method {sa.method.name}")


def addresses(sa: Core) -> list[NatD]:
    """What we say of both ends' addresses, if the peer understands it."""
    if sa.method is None:
        return []
    me = Endpoint(sa.local.address, NOWHERE) if sa.need_policy().force_nat else sa.local
    return natt.hashes(Oakley(sa.need_chosen().hash_name), sa.method, sa.cookies, me, sa.remote)


def look_for_nat(sa: Core, content: Content) -> None:
    """Compare what the peer says of both ends' addresses with what we see."""
    if sa.method is None:
        return
    hashing = Oakley(sa.need_chosen().hash_name)
    sa.nat = natt.detect(hashing, sa.method, content, sa.cookies, sa.local, sa.remote)
    if sa.nat is not None and sa.need_policy().force_nat:
        sa.nat = natt.Found(True, sa.nat.there)
    if sa.nat is not None:
        sa.log(f"NAT-Traversal: Result using {sa.method.name}: {sa.nat}", Rc.LOG_SERIOUS)


def shared_secret(pair: dh.DhPair, theirs: bytes) -> bytes:
    """g^xy; IkeError (INVALID_KEY_INFORMATION) when the peer's public value is none of that group."""
    try:
        return pair.shared(theirs)
    except CryptoError as why:
        raise IkeError(str(why), NotifyType.INVALID_KEY_INFORMATION) from None


def derive(sa: Core, nonces: tuple[bytes, bytes], shared: bytes, public: tuple[bytes, bytes]) -> IsakmpKeys:
    """The keys; nonces and public values initiator first."""
    chosen = sa.need_chosen()
    hashing = Oakley(chosen.hash_name)
    if METHODS[chosen.method].by_secret:
        secret = sa.need_policy().psk
        if not secret:
            raise IkeError("no preshared key is known for this peer's addresses", NotifyType.AUTHENTICATION_FAILED)
        skeyid = oakley.skeyid_psk(hashing, secret, *nonces)
    else:
        skeyid = oakley.skeyid_signature(hashing, *nonces, shared)
    keys = oakley.derive(hashing, skeyid, shared, sa.cookie_i, sa.cookie_r)
    return IsakmpKeys(chosen, keys, Public(sa.cookie_i, sa.cookie_r, *public), sa.watch)


def contact(sa: Core) -> list[Notify]:
    """INITIAL_CONTACT, which is believed because the message is encrypted (RFC 2407 4.6.3.3).

    The peer may have come up with one of its own since ours was begun: what was true then would be a lie by now.
    """
    if not sa.need_policy().initial_contact or sa.ask.knows_another(sa.local, sa.remote):
        return []
    return [Notify(NotifyType.INITIAL_CONTACT, protocol=ProtocolId.ISAKMP, spi=sa.cookie_i + sa.cookie_r)]


def extensions(policy: IsakmpPolicy) -> list[VendorId]:
    """What an initiator announces."""
    return vendors.announced(
        nat_traversal=policy.nat_traversal,
        dpd=policy.dpd,
        fragmentation=policy.fragmentation,
        own=True,
        xauth=_asks(policy),
        unity=policy.unity,
    )


def _asks(policy: IsakmpPolicy) -> bool:
    """Is XAUTH to follow?"""
    methods = (METHODS[one] for one in policy.terms.methods)
    return any(one.asks_initiator or one.asks_responder for one in methods)


def answered_extensions(sa: Core) -> list[VendorId]:
    """What a responder announces, as far as the initiator knows it too."""
    return vendors.announced(
        nat_traversal=sa.method is not None,
        dpd=sa.need_policy().dpd,
        fragmentation=sa.cuts,
        own=vendor.OWN in sa.announced,
        xauth=vendor.XAUTH in sa.announced and _asks(sa.need_policy()),
        unity=vendor.UNITY in sa.announced and sa.need_policy().config is not ConfigRole.NONE,
        method=sa.method,
    )


def choose(sa: Core, policy: IsakmpPolicy, content: Content) -> Sa:
    """Take one of the initiator's proposals, heed its vendor IDs; IkeError (NO_PROPOSAL_CHOSEN) when none will do."""
    offered = one(content, Sa)
    outcome = phase1.choose(offered, policy.terms)
    for line in outcome.refused:
        sa.log(line, Rc.LOG_SERIOUS)
    if outcome.chosen is None or outcome.answer is None:
        raise IkeError("no acceptable Oakley Transform", NotifyType.NO_PROPOSAL_CHOSEN)
    sa.policy, sa.offered, sa.chosen = policy, offered, outcome.chosen
    sa.cookie_r = sa.cookie()
    heed(sa, content)
    return outcome.answer


def float_ports(sa: Core) -> None:
    """As initiator: go on from the port a NAT wants, unless we have begun there (RFC 3947 4)."""
    policy = sa.need_policy()
    if sa.encapsulate and sa.local.port != policy.local_natt_port:
        sa.local = Endpoint(sa.local.address, policy.local_natt_port)
        sa.remote = Endpoint(sa.remote.address, policy.remote_natt_port)
