# SPDX-License-Identifier: GPL-2.0-or-later
"""Rekeying a child SA, both sides and at once (RFC 7296 1.3.3, 2.8, 2.8.1, 2.25.1).

When both ends rekey the same child, each answers as usual; once an end knows all four nonces, the SA of the exchange
with the lowest one is closed by whoever asked for it, and the other asker deletes the old SA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from openswan.base.address import Endpoint
from openswan.base.errors import WireError
from openswan.base.interval import Instant
from openswan.ike.effects import Gone
from openswan.ike.events import CreateChild, RekeyChild
from openswan.ike.v2.child import Child, by_spi_out
from openswan.ike.v2.core import Core, error
from openswan.ike.v2.negotiate import Dh
from openswan.ike.v2.tasks import child_delete, followup
from openswan.ike.v2.tasks.child_answer import agree_to, finish_answer
from openswan.ike.v2.tasks.child_create import NONCE_OCTETS, ChildCreate, Terms, establish
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, ProtocolId


class ChildRekey(ChildCreate):
    """Our request to replace a child."""

    soon = 0

    def __init__(self, request: RekeyChild, old: Child) -> None:
        super().__init__(request, request.policy or old.policy)
        self.old = old.spi_in
        # An SA that takes over carries what the old one carried (RFC 7296 2.9.2).
        self.mine, self.theirs = old.mine, old.theirs
        self.rival: Child | None = None
        """What the peer's own rekeying of the same child has made meanwhile."""
        self.rival_nonce = b""
        """The lower nonce of that exchange."""

    def build(self, sa: Core, now: Instant) -> Sequence[Payload] | None:
        """The request, unless the child has gone, is going, or has been replaced by the peer meanwhile."""
        old = sa.children.get(self.old)
        busy = rekeying(sa, self.old) or followup.pending(sa, now, replaces=self.old)
        if old is None or old.deleting or old.replaced_by or busy:
            self.failed(sa, "the child SA is gone or already replaced")
            return None
        return super().build(sa, now)

    def preface(self, sa: Core) -> Sequence[Payload]:
        """Which child is meant: by the SPI we receive on."""
        return (Notify(NotifyType.REKEY_SA, b"", self.policy.protocol, self.old.to_bytes(4, "big")),)

    def noticed(self, rival: Child, lowest: bytes) -> None:
        """The peer rekeys the same child at the same time."""
        self.rival, self.rival_nonce = rival, lowest

    def refused(self, sa: Core, kind: NotifyType, data: bytes, now: Instant) -> None:
        """After a collision a refusal means that the peer's exchange has won."""
        old = sa.children.get(self.old)
        if self.rival is not None or (old is not None and old.replaced_by):
            self.failed(sa, f"rekeyed by the peer instead ({kind})", int(kind))
            return
        if kind == NotifyType.CHILD_SA_NOT_FOUND:
            if old is not None:
                # The peer has lost it: so do we, and begin anew (RFC 7296 2.25).
                child_delete.finish(sa, old, Gone.UNKNOWN_TO_PEER)
                sa.submit(ChildCreate(CreateChild(self.policy, self.token), self.policy), now)
            else:
                self.failed(sa, "the child SA is gone", int(kind))
            return
        super().refused(sa, kind, data, now)

    def terms(self, sa: Core, answer: Message) -> Terms:
        """As for any child, with what it replaces and whether it lost to the peer's."""
        return self.settled(sa, super().terms(sa, answer))

    def settled(self, sa: Core, terms: Terms) -> Terms:
        """What it replaces, if that is still there, and whether it has lost to the peer's."""
        lost = self.rival is not None and min(terms.ni, terms.nr) < self.rival_nonce
        return replace(terms, replaces=self.old if self.old in sa.children else 0, redundant=lost)

    def conclude(self, sa: Core, terms: Terms, now: Instant) -> None:
        """With the new child there, close the old one, or, after a lost collision, the new one."""
        super().conclude(sa, terms, now)
        new = sa.children.get(self.spi)
        if new is None:
            return
        if new.redundant:
            child_delete.close_child(sa, new, Gone.REDUNDANT, now)
            self.failed(sa, "rekeyed by the peer at the same time")
            return
        if self.rival is not None:
            self.rival.redundant = True
        old = sa.children.get(self.old)
        if old is not None:
            old.replaced_by = new.spi_in
            child_delete.close_child(sa, old, Gone.REPLACED, now)


def rekeying(sa: Core, spi_in: int) -> list[ChildRekey]:
    """Our unanswered request to replace that child, if there is one."""
    return [task for task in sa.tasks if isinstance(task, ChildRekey) and task.old == spi_in]


def find(sa: Core, notify: Notify) -> Child | None:
    """The child a REKEY_SA names by the SPI the peer receives on, which is the one we send with."""
    if notify.protocol not in (ProtocolId.ESP, ProtocolId.AH) or len(notify.spi) != 4:
        return None
    return by_spi_out(sa.children.values(), notify.protocol, int.from_bytes(notify.spi, "big"))


def respond(
    sa: Core, notify: Notify, request: Message, local: Endpoint, remote: Endpoint, now: Instant
) -> tuple[Payload, ...]:
    """The answer to a request to rekey a child."""
    old = find(sa, notify)
    if old is None and any(isinstance(task, ChildCreate) for task in sa.tasks):
        # It may be what our own unanswered request has made: the answer tells, and may come later than this.
        return (error(NotifyType.TEMPORARY_FAILURE),)
    if old is None:
        return (Notify(NotifyType.CHILD_SA_NOT_FOUND, b"", notify.protocol, notify.spi),)
    if old.deleting:
        return (error(NotifyType.TEMPORARY_FAILURE),)
    nonce = request.first(Nonce)
    if nonce is None:
        raise WireError("CREATE_CHILD_SA request without nonce")
    nr = sa.rng.octets(NONCE_OCTETS)
    answer = agree_to(sa, request, Dh.WELCOME, nonce.data, nr, local, remote, replaces=old)
    if answer.terms.chosen.addke and rekeying(sa, old.spi_in):
        # Exchanges of both would cross each other for long: both try again, each at its own time (RFC 9370 2.2.4).
        return (error(NotifyType.TEMPORARY_FAILURE),)
    lowest = min(nonce.data, nr)

    def conclude(more: bytes, later: Instant) -> None:
        gone = old.deleting or old.spi_in not in sa.children
        new = establish(sa, replace(answer.terms, more=more, replaces=0 if gone else old.spi_in), later)
        for own in rekeying(sa, old.spi_in):
            own.noticed(new, lowest)
        old.replaced_by = new.spi_in

    return finish_answer(sa, answer, conclude, now)
