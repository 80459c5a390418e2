# SPDX-License-Identifier: GPL-2.0-or-later
"""Rekeying the IKE SA, both sides and at once (RFC 7296 1.3.2, 2.8.2, 2.18, 2.25.2).

The successor has its own SPIs, keys and message IDs; its initiator is whoever asked for the rekeying. While both ends
ask, both successors answer for the same children (one dict, shared), until the nonces decide who inherits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from openswan.base.errors import CryptoError, IkeError, WireError
from openswan.base.interval import Instant
from openswan.crypto import dh, keymat
from openswan.crypto.prf import Prf
from openswan.crypto.registry import Kind
from openswan.ike import rules
from openswan.ike.effects import IkeRekeyed, NewSuccessor
from openswan.ike.policy import ChosenIke
from openswan.ike.rules import Shape
from openswan.ike.v2.core import Core, error, first_error
from openswan.ike.v2.negotiate import Dh, accept, choose, group_transform, keeping_prf, number, offer
from openswan.ike.v2.states import ENDED, State
from openswan.ike.v2.task import Task
from openswan.ike.v2.tasks import followup
from openswan.ike.v2.tasks.child_create import NONCE_OCTETS, ChildCreate
from openswan.ike.v2.tasks.child_delete import ChildDelete
from openswan.ike.v2.tasks.crash import TellToken
from openswan.ike.v2.tasks.opening import install_keys
from openswan.policy.proposal import Proposal, Transform
from openswan.wire.header import NO_SPI, SPI_OCTETS
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.numbers import DhId, ExchangeType, NotifyType, ProtocolId
from openswan.wire.v2.sa import Sa

if TYPE_CHECKING:
    from openswan.ike.events import RekeyIke
    from openswan.ike.v2.sa import IkeSaV2


class IkeRekey(Task):
    """Our request for a successor; no other exchange begins on an IKE SA that is being replaced (RFC 7296 1.3.2)."""

    exchange = ExchangeType.CREATE_CHILD_SA
    alone = True

    def __init__(self, request: RekeyIke) -> None:
        super().__init__(request)
        self.group: Transform | None = None
        self.tried: set[Transform] = set()
        self.pair: dh.DhPair | None = None
        self.offered: tuple[Proposal, ...] = ()
        self.spi = b""
        self.nonce = b""

    def build(self, sa: Core, now: Instant) -> Sequence[Payload] | None:
        """The request, with a new SPI, nonce and key."""
        undecided = sa.heir is not None or sa.provisional
        if not sa.is_established or undecided or followup.pending(sa, now, ike=True):
            self.failed(sa, "the IKE SA is already being replaced")
            return None
        policy = sa.need_policy()
        _, _, chosen = sa.need_keys()
        self.offered = keeping_prf(policy.proposals, chosen.prf) or policy.proposals
        if self.group is None:
            groups = [g for proposal in self.offered for g in proposal.dh]
            self.group = chosen.dh if chosen.dh in groups else groups[0]
        self.tried.add(self.group)
        self.pair = dh.generate(self.group.name, sa.rng)
        self.spi, self.nonce = sa.new_spi(), sa.rng.octets(NONCE_OCTETS)
        return (
            offer(self.offered, ProtocolId.IKE, self.spi),
            Nonce(self.nonce),
            Ke(DhId(number(Kind.DH, self.group)), self.pair.public),
        )

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """A successor, a reason to try again, or a refusal; after a collision the nonces decide."""
        refused = first_error(answer)
        if refused is not None:
            self._refused(sa, refused.kind, refused.data, now)
            return
        rules.check(Shape.IKE_RESPONSE, answer.payloads, encrypted=True)
        chosen, nonces, make = self._agreed(sa, answer)

        def conclude(more: bytes, later: Instant) -> None:
            self._conclude(sa, make(more, later), nonces, later)

        if chosen.addke:
            sa.submit(followup.FollowUp(self, chosen.addke, answer, conclude), now, front=True)
        else:
            conclude(b"", now)

    def _conclude(self, sa: Core, successor: IkeSaV2, nonces: tuple[bytes, bytes], now: Instant) -> None:
        sa.emit(NewSuccessor(successor))
        if sa.heir is not None and min(nonces) < sa.heir_nonce:
            # Ours holds the lowest nonce: we close it, the peer's inherits and the peer deletes the old SA.
            successor.children = {}
            for effect in successor.discard(now):
                sa.emit(effect)
            inherit(sa, sa.heir, False, now, self.token)
            return
        if sa.heir is not None:
            # The peer will close its own; until then, or its deadline, it answers for nothing.
            sa.heir.children = {}
        inherit(sa, successor, True, now, self.token)
        sa.close(now)

    def unwanted(self, sa: Core, answer: Message, now: Instant) -> None:
        """The answer came when this SA was already to be closed: the successor it has made is closed too."""
        if first_error(answer) is None:
            rules.check(Shape.IKE_RESPONSE, answer.payloads, encrypted=True)
            chosen, _, make = self._agreed(sa, answer)
            if not chosen.addke:  # else there is none before the key exchanges that will not come
                successor = make(b"", now)
                successor.children = {}
                sa.emit(NewSuccessor(successor))
                for effect in successor.discard(now):
                    sa.emit(effect)
        self.failed(sa, "the IKE SA is being closed")

    def _refused(self, sa: Core, kind: NotifyType, data: bytes, now: Instant) -> None:
        if sa.heir is not None:
            inherit(sa, sa.heir, False, now, self.token)
            return
        if kind == NotifyType.TEMPORARY_FAILURE:
            sa.defer(self, now)
            return
        if kind == NotifyType.INVALID_KE_PAYLOAD and len(data) == 2:
            group = group_transform(int.from_bytes(data, "big"))
            offered = {g for proposal in self.offered for g in proposal.dh}
            if group is not None and group in offered and group not in self.tried:
                self.group = group
                sa.submit(self, now, front=True)
                return
        self.failed(sa, f"the peer refuses to rekey the IKE SA: {kind}", int(kind))

    def _agreed(
        self, sa: Core, answer: Message
    ) -> tuple[ChosenIke, tuple[bytes, bytes], Callable[[bytes, Instant], IkeSaV2]]:
        """The algorithms, both nonces, and what makes the successor once all key exchanges are done."""
        body, nonce, ke = answer.first(Sa), answer.first(Nonce), answer.first(Ke)
        if body is None or nonce is None or ke is None or self.pair is None:
            raise WireError("CREATE_CHILD_SA response without SA, nonce or KE")
        match = accept(body, self.offered, ProtocolId.IKE, Dh.REQUIRED)
        chosen = match.ike()
        if chosen.dh != self.group or ke.group != number(Kind.DH, chosen.dh):
            raise IkeError("the peer answers with another group", NotifyType.INVALID_KE_PAYLOAD)
        spi_r, shared = _ike_spi(match.wire.spi), self.pair.shared(ke.data)
        nonces = self.nonce, nonce.data

        def make(more: bytes, now: Instant) -> IkeSaV2:
            successor = sa.make_successor(True, now)
            successor.spi_i, successor.spi_r = self.spi, spi_r
            _derive(sa, successor, chosen, *nonces, shared, more)
            return successor

        return chosen, nonces, make


def respond(sa: Core, request: Message, now: Instant) -> tuple[Payload, ...]:
    """The answer to a request to rekey the IKE SA."""
    rules.check(Shape.IKE_REQUEST, request.payloads, encrypted=True)
    # A provisional SA is one of two until the answer to our own request decides which: nothing can follow it yet.
    if (
        not sa.is_established
        or sa.provisional
        or sa.heir is not None
        or any(isinstance(t, ChildCreate | ChildDelete) for t in sa.tasks)
    ):
        return (error(NotifyType.TEMPORARY_FAILURE),)
    body, nonce, ke = request.first(Sa), request.first(Nonce), request.first(Ke)
    if body is None or nonce is None or ke is None:
        raise WireError("CREATE_CHILD_SA request without SA, nonce or KE")
    _, _, current = sa.need_keys()
    acceptable = sa.need_policy().proposals
    acceptable = (*keeping_prf(acceptable, current.prf), *acceptable)
    match = choose(body, acceptable, ProtocolId.IKE, Dh.REQUIRED, int(ke.group))
    if match is None:
        raise IkeError("no acceptable IKE proposal", NotifyType.NO_PROPOSAL_CHOSEN)
    chosen, spi_i = match.ike(), _ike_spi(match.wire.spi)
    group = number(Kind.DH, chosen.dh)
    if ke.group != group:
        raise IkeError(f"wanting group {group}", NotifyType.INVALID_KE_PAYLOAD, group.to_bytes(2, "big"))
    pair = dh.generate(chosen.dh.name, sa.rng)
    try:
        shared = pair.shared(ke.data)
    except CryptoError as why:
        raise IkeError(str(why), NotifyType.INVALID_SYNTAX) from None
    if chosen.addke and isinstance(sa.task, IkeRekey):
        # Exchanges of both would cross each other for long: both try again, each at its own time (RFC 9370 2.2.4).
        return (error(NotifyType.TEMPORARY_FAILURE),)
    nonces, spi_r = (nonce.data, sa.rng.octets(NONCE_OCTETS)), sa.new_spi()

    def conclude(more: bytes, later: Instant) -> None:
        if more and (not sa.is_established or any(isinstance(t, ChildCreate | ChildDelete) for t in sa.tasks)):
            raise IkeError("other exchanges have begun meanwhile", NotifyType.TEMPORARY_FAILURE)
        successor = sa.make_successor(False, later)
        successor.spi_i, successor.spi_r = spi_i, spi_r
        _derive(sa, successor, chosen, *nonces, shared, more)
        sa.emit(NewSuccessor(successor))
        if isinstance(sa.task, IkeRekey):
            sa.heir, sa.heir_nonce = successor, min(nonces)
            # Should nobody inherit or close it: the peer may never learn that it exists.
            successor.deadline = later + 2 * sa.need_policy().retransmit_timeout
        else:
            inherit(sa, successor, False, later)

    payloads: list[Payload] = [Sa((replace(match.wire, spi=spi_r),)), Nonce(nonces[1]), Ke(DhId(group), pair.public)]
    if chosen.addke:
        waiting = followup.Pending(list(chosen.addke), conclude, now + followup.PATIENCE, ike=True)
        payloads += followup.begin(sa, waiting)
    else:
        conclude(b"", now)
    return tuple(payloads)


def inherit(old: Core, new: IkeSaV2, initiator: bool, now: Instant, token: int = 0) -> None:
    """Children and waiting requests pass to the successor; the old SA only waits for its Delete.

    A successor that the peer has closed meanwhile cannot inherit: all ends.
    """
    if new.state in ENDED:
        old.heir = None
        old.close(now)
        return
    new.children, old.children = old.children, {}
    new.provisional = False
    new.deadline = None
    new.queue.extend(old.queue)
    new.deferred.extend(old.deferred)
    old.queue.clear()
    old.deferred.clear()
    if isinstance(old.task, IkeRekey):
        old.flights.clear()
    old.heir = None
    old.move(State.REPLACED)
    old.deadline = now + 2 * old.need_policy().retransmit_timeout
    old.emit(IkeRekeyed(new, initiator, token))
    if initiator and old.peer_token:
        new.queue.append(TellToken())
    new.pump(now)
    for effect in new.drain():
        old.emit(effect)


def _ike_spi(spi: bytes) -> bytes:
    if len(spi) != SPI_OCTETS or spi == NO_SPI:
        raise IkeError("rekeyed IKE SA without an SPI of 8 octets", NotifyType.NO_PROPOSAL_CHOSEN)
    return spi


def _derive(old: Core, new: Core, chosen: ChosenIke, ni: bytes, nr: bytes, shared: bytes, more: bytes) -> None:
    """Keys from SK_d of the old SA; SKEYSEED with the old PRF, the rest with the new one (RFC 7296 2.18)."""
    prf_old, keys, _ = old.need_keys()
    new.nonce_i, new.nonce_r = ni, nr
    install_keys(new, chosen, Prf(chosen.prf.name), keymat.skeyseed_rekey(prf_old, keys.d, ni, nr, shared, more))
    new.move(State.I3 if new.is_initiator else State.R2)
