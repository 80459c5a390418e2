# SPDX-License-Identifier: GPL-2.0-or-later
"""Which ISAKMP SA an IKEv1 message belongs to, and how strangers are met (RFC 2408 2.5.3, 5.2).

IKEv1 has no cookie that costs a stranger anything: a first message costs a half-open ISAKMP SA, of which there are so
many and no more, and of those whose initiator has not shown that it is where it seems to be the oldest gives way. All
else gets at most one answer, at most so many a second, never larger than what it answers; an Informational gets none.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from openswan.base.address import Endpoint
from openswan.base.errors import WireError
from openswan.engine import versions
from openswan.engine.conn import Conn
from openswan.engine.effects import SendDatagram
from openswan.engine.statedb import IkeState, source_of
from openswan.ike.v1.states import State
from openswan.wire.v1.header import NO_COOKIE, Header
from openswan.wire.v1.message import Message
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType, ProtocolId

if TYPE_CHECKING:
    from openswan.engine.brain import Brain
    from openswan.engine.demux import Demux

UNKNOWN = {
    ExchangeType.MAIN: "phase 1 message is part of an unknown exchange",
    ExchangeType.QUICK: "Quick Mode message is for a non-existent (expired?) ISAKMP SA",
    ExchangeType.INFORMATIONAL: "Informational Exchange is for an unknown (expired?) SA",
}
UNPROVEN = (State.MAIN_R1, State.AGGR_R1)
"""Where an initiator stands that has not returned our cookie."""
EXCHANGE_AT = 18
"""Where a header has its exchange type."""
FIRST = (ExchangeType.MAIN, ExchangeType.AGGRESSIVE)
"""Exchanges that begin an ISAKMP SA."""


class DemuxV1:
    """From IKEv1 datagrams to ISAKMP SAs."""

    def __init__(self, brain: Brain, demux: Demux) -> None:
        self.brain = brain
        self.core = brain.core
        self.demux = demux

    def datagram(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """One message whose header says major version 1."""
        if self.core.settings.ikev1 == "drop":
            return
        if self.core.settings.ikev1 == "reject":
            self._answer(local, remote, data, NotifyType.INVALID_MAJOR_VERSION)
            return
        try:
            header = Header.parse(data)
        except WireError as why:
            self.demux.complain(remote, str(why))
            if why.notify:
                self._answer(local, remote, data, NotifyType(why.notify))
            return
        known = self._known(header) or self.core.states.by_init.get((remote, hashlib.sha256(data).digest()))
        if known is not None:
            self.brain.ikes.receive(known, data, local, remote)
        elif header.cookie_r == NO_COOKIE:
            self._stranger(header, local, remote, data)
        elif not self._speaks_no_other(header, data):
            self.demux.complain(remote, UNKNOWN.get(header.exchange, f"unknown exchange {header.exchange}"))
            self._answer(local, remote, data, NotifyType.INVALID_COOKIE)

    def _known(self, header: Header) -> IkeState | None:
        """The ISAKMP SA with these cookies; whose is which shows in the initiator's alone."""
        for cookie in (header.cookie_i, header.cookie_r):
            ike = self.core.states.by_spi.get(cookie)
            if ike is not None and ike.version == 1 and ike.machine.spi_i == header.cookie_i:
                return ike
        return None

    def _speaks_no_other(self, header: Header, data: bytes) -> bool:
        """Is it an old peer's answer to an IKEv2 request of ours? Anybody may have sent it: it is a hint."""
        ike = self.core.states.by_spi.get(header.cookie_i)
        if ike is None or ike.version != 2 or ike.conn is None or ike.established is not None:
            return False
        try:
            note = Message.parse(data).content.first(Notify)
        except WireError:
            return False
        if note is None or note.kind != NotifyType.INVALID_MAJOR_VERSION:
            return False
        if self.demux.lines.take(self.core.now):
            versions.seems(self.core, ike)
        return True

    def _stranger(self, header: Header, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """A first message: is there a connection for these addresses, and room?"""
        core, states = self.core, self.core.states
        if not core.listening or core.stopping or core.reading:
            return  # it will ask again
        if header.exchange not in FIRST or header.is_encrypted or header.message_id:
            self.demux.complain(remote, f"first message of exchange {header.exchange}: not supported")
            self._answer(local, remote, data, NotifyType.INVALID_EXCHANGE_TYPE)
            return
        if not self._is_known(local, remote, header.exchange):
            self._unauthorized(header.exchange, local, remote, data)
            return
        if states.half_open.get(source_of(remote.address), 0) >= core.settings.half_open_per_peer or not self._room():
            self.demux.complain(remote, "too many half-open ISAKMP SAs, first message ignored")
            return
        self.demux.admit(self.brain.ikes.answer(1, local, remote), local, remote, data, proven=False)

    def _room(self) -> bool:
        """May there be one more? If need be the oldest goes that has not returned our cookie."""
        states, settings = self.core.states, self.core.settings
        if states.half_open_v1 < settings.half_open_v1 and states.half_open_total < settings.half_open_limit:
            return True
        unproven = (ike for ike in states.by_init.values() if ike.version == 1 and ike.machine.state in UNPROVEN)
        oldest = next(unproven, None)
        if oldest is None:
            return False
        self.brain.ikes.abandon(oldest)
        return True

    def _unauthorized(self, exchange: ExchangeType, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """No IKEv1 connection for these addresses: what forbids it, or what it would take, is said."""
        where = f"{local.address}:{local.port}"
        mode = exchange.name.capitalize()
        shunt = self._forbidding(local, remote)
        why = f'"{shunt.name}" forbids connection' if shunt else "no connection has been authorized"
        text = f"initial {mode} Mode message received on {where} but {why}"
        if self.demux.complain(remote, text):
            if shunt:
                self.core.advise(text, remote.address)
            else:
                self._say_what_it_takes(exchange, local, remote)
        self._answer(local, remote, data, NotifyType.NO_PROPOSAL_CHOSEN)

    def _forbidding(self, local: Endpoint, remote: Endpoint) -> Conn | None:
        """The shunt, or line of a policy group, by which nothing is negotiated between these two hosts."""
        shunts = self.core.conns.shunts
        for pair in ((local.address, remote.address), (local.address, None)):
            if pair in shunts:
                return next(iter(shunts[pair].values()))
        line = self.brain.groups.decides(local.address, remote.address)
        return line if line is not None and line.never else None

    def _say_what_it_takes(self, exchange: ExchangeType, local: Endpoint, remote: Endpoint) -> None:
        other = versions.of_version(self.core, 2, local.address, remote.address)
        said = "ikev2=no" if exchange == ExchangeType.MAIN else "ikev2=no and aggrmode=yes"
        remedy = f'say {said} in "{other.name}"' if other else f"a conn between the two with {said} lets it in"
        self.core.log(f"if {remote.address} speaks IKEv1 alone: {remedy}", False, "remedy")

    def _is_known(self, local: Endpoint, remote: Endpoint, exchange: ExchangeType = ExchangeType.MAIN) -> bool:
        """Is there an IKEv1 connection for these addresses, which allows Aggressive Mode if it is that?"""
        wanted = exchange == ExchangeType.AGGRESSIVE
        conns = self.brain.isakmp.candidates(local.address, remote.address)
        return any(conn.policy.aggressive or not wanted for conn in conns)

    def _answer(self, local: Endpoint, remote: Endpoint, data: bytes, kind: NotifyType) -> None:
        """A notification in clear, if one may be sent: those IKEv1 has nothing to do with hear nothing of us."""
        if data[EXCHANGE_AT] == ExchangeType.INFORMATIONAL or not self.core.listening:
            return
        if not self.core.settings.ikev1 and not self._is_known(local, remote):
            return
        cookies = data[:8], data[8:16]
        message_id = max(1, int.from_bytes(self.core.rng.octets(4), "big"))
        note = Notify(kind, protocol=ProtocolId.ISAKMP, spi=b"".join(cookies))
        answer = Message.clear(Header(*cookies, ExchangeType.INFORMATIONAL, message_id=message_id), [note]).emit()
        if len(answer) <= len(data) and self.demux.answers.take(self.core.now):
            self.core.emit(SendDatagram(local, remote, answer))
