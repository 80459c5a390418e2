# SPDX-License-Identifier: GPL-2.0-or-later
"""Closing child SAs, both sides (RFC 7296 1.4.1, 2.25.1).

Each end names its own inbound SPIs. When both close the same child at once, neither answer names it.
"""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.interval import Instant
from openswan.ike.effects import ChildGone, Gone
from openswan.ike.events import DeleteChild
from openswan.ike.v2.child import Child, by_spi_out
from openswan.ike.v2.core import Core
from openswan.ike.v2.task import Task
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.delete import Delete
from openswan.wire.v2.numbers import ExchangeType, ProtocolId


class ChildDelete(Task):
    """Our Delete for one child."""

    def __init__(self, request: DeleteChild, reason: Gone = Gone.LOCAL) -> None:
        super().__init__(request)
        self.spi_in = request.spi_in
        self.reason = reason

    def build(self, sa: Core, now: Instant) -> Sequence[Payload] | None:
        """The Delete, unless the child has gone meanwhile."""
        child = sa.children.get(self.spi_in)
        if child is None or any(isinstance(task, ChildDelete) and task.spi_in == self.spi_in for task in sa.tasks):
            return None
        child.deleting = True
        return (Delete(child.protocol, (self.spi_in.to_bytes(4, "big"),)),)

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """Whatever the answer says, the child has ended."""
        child = sa.children.get(self.spi_in)
        if child is not None:
            finish(sa, child, self.reason, self.token)

    def failed(self, sa: Core, reason: str, notify: int = 0) -> None:
        """Only the end of the IKE SA keeps a Delete from being answered, and that ends the child too."""


class UnwantedDelete(Task):
    """Our Delete for a child the peer made and we never accepted."""

    def __init__(self, protocol: ProtocolId, spi_in: int) -> None:
        super().__init__()
        self.protocol = protocol
        self.spi_in = spi_in

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        """The Delete."""
        return (Delete(self.protocol, (self.spi_in.to_bytes(4, "big"),)),)

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        """Nothing of it was ever here."""


def delete_unwanted(sa: Core, protocol: ProtocolId, spi_in: int, now: Instant) -> None:
    """Have the peer drop a child that we refuse to accept."""
    sa.submit(UnwantedDelete(protocol, spi_in), now, front=True)


def close_child(sa: Core, child: Child, reason: Gone, now: Instant) -> None:
    """Delete a child for a reason of the protocol's own."""
    child.deleting = True
    sa.submit(ChildDelete(DeleteChild(child.spi_in), reason), now)


def finish(sa: Core, child: Child, reason: Gone, token: int = 0) -> None:
    """Forget a child and tell."""
    del sa.children[child.spi_in]
    sa.emit(ChildGone(child.spi_in, child.spi_out, reason, child.replaced_by, token))


def respond(sa: Core, deletes: Sequence[Delete]) -> tuple[Payload, ...]:
    """Close what the peer names, once; the answer names our halves, but none that we are deleting ourselves."""
    ours: dict[ProtocolId, list[bytes]] = {}
    for payload in deletes:
        if payload.protocol not in (ProtocolId.ESP, ProtocolId.AH):
            continue
        for spi in payload.spis:
            child = by_spi_out(sa.children.values(), payload.protocol, int.from_bytes(spi, "big"))
            if child is None and any(task.exchange == ExchangeType.CREATE_CHILD_SA for task in sa.tasks):
                sa.closed_early.add((payload.protocol, int.from_bytes(spi, "big")))
            if child is None:
                name = f"PROTO_IPSEC_{payload.protocol} SA(0x{spi.hex()})"
                sa.log(f"ignoring Delete SA payload: {name} not found (maybe expired)")
                continue
            if not child.deleting:
                ours.setdefault(payload.protocol, []).append(child.spi_in.to_bytes(4, "big"))
            finish(sa, child, _reason(child))
    return tuple(Delete(protocol, tuple(spis)) for protocol, spis in ours.items())


def _reason(child: Child) -> Gone:
    if child.redundant:
        return Gone.REDUNDANT
    return Gone.REPLACED if child.replaced_by else Gone.PEER
