# SPDX-License-Identifier: GPL-2.0-or-later
"""Which IKE SA a datagram belongs to, and how strangers are met: nothing they send makes anything grow without bound.

A first message costs a half-open IKE SA; their number is bounded in all and per source, and beyond a threshold, or
when many come in a second, the initiator has to bring a cookie first (RFC 7296 2.6): a message without costs a digest
then and leaves nothing. Only who shows a cookie counts against his address then, so that a flood in its name locks
nobody out. Everything else a stranger sends gets at most one stateless
answer, at most so many a second (RFC 7296 2.21.4, 1.5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

from openswan.base.address import Address, Endpoint
from openswan.base.errors import WireError
from openswan.engine import versions
from openswan.engine.demuxv1 import DemuxV1
from openswan.engine.effects import SendDatagram
from openswan.engine.statedb import IkeState, source_of
from openswan.ike.v2.cookie import CookieJar, refusal
from openswan.ike.v2.tasks.crash import token
from openswan.wire.header import HEADER_OCTETS, NO_SPI, Flags, Header
from openswan.wire.message import Message
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ECHO_REPLY, ECHO_REQUEST, ExchangeType, NotifyType, PayloadType

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

STATELESS_RATE = 20.0
"""Stateless answers, and log lines about strangers, a second."""
STATELESS_BURST = 40.0


class Bucket:
    """A token bucket: so many a second, so many at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self.level, self.since = burst, 0.0

    def has(self, now: float) -> bool:
        """Could one more pass?"""
        if now > self.since:
            self.level = min(self.burst, self.level + (now - self.since) * self.rate)
        self.since = now
        return self.level >= 1.0

    def take(self, now: float) -> bool:
        """May one more pass?"""
        if not self.has(now):
            return False
        self.level -= 1.0
        return True


def _urgency(message: tuple[Endpoint, bytes]) -> int:
    """What of several messages comes first: 0 of an IKE SA, 1 a first one that begins with a cookie, 2 another."""
    data = message[1]
    if len(data) < HEADER_OCTETS or data[8:16] != NO_SPI or data[18] != ExchangeType.IKE_SA_INIT:
        return 0
    return 1 if data[16] == PayloadType.NOTIFY else 2


def digest(data: bytes) -> bytes:
    """What names a first message: all of it counts (RFC 7296 2.1)."""
    return hashlib.sha256(data).digest()


VERSION_AT = 17
"""Where a header has its version."""
ALONE = HEADER_OCTETS.to_bytes(4, "big")
"""The length field of a message that is a header alone."""
FIRST = (ExchangeType.IKE_SA_INIT, ExchangeType.IKE_SESSION_RESUME)
"""Exchanges that begin an IKE SA."""


class Demux:
    """From datagrams to IKE SAs."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.jar = CookieJar(brain.core.rng, 0.0)
        self.answers = Bucket(STATELESS_RATE, STATELESS_BURST)
        settings = brain.core.settings
        rate = inf if settings.never_busy else settings.cookie_rate
        self.strangers = Bucket(rate, 2 * rate)
        self.lines = Bucket(STATELESS_RATE, STATELESS_BURST) if settings.log_limit else Bucket(inf, inf)
        self.v1 = DemuxV1(brain, self)

    def datagrams(self, local: Endpoint, messages: Sequence[tuple[Endpoint, bytes]]) -> None:
        """Several that had arrived: those of IKE SAs we have first, then strangers that seem to bring a cookie."""
        for remote, data in sorted(messages, key=_urgency) if len(messages) > 1 else messages:
            self.datagram(local, remote, data)

    def datagram(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """One IKE message, non-ESP marker already off."""
        if len(data) >= HEADER_OCTETS and data[VERSION_AT] >> 4 == 1:
            if not self._echo(local, remote, data):
                self.v1.datagram(local, remote, data)
            return
        try:
            header = Header.parse(data)
            header.require_v2()
        except WireError as why:
            self.complain(remote, str(why))
            if why.notify == NotifyType.INVALID_MAJOR_VERSION:
                self._refuse_version(local, remote, data)
            return
        states = self.core.states
        fresh = header.exchange in FIRST and header.from_initiator and not header.is_response
        if fresh and header.spi_r == NO_SPI:
            known = states.by_init.get((remote, digest(data)))
            if known is not None:
                self.brain.ikes.receive(known, data, local, remote)
            else:
                self._stranger(local, remote, data)
            return
        ours = header.spi_r if header.from_initiator else header.spi_i
        ike = states.by_spi.get(ours)
        if ike is not None and ike.version == 2:
            self.brain.ikes.receive(ike, data, local, remote)
        elif ike is not None and ike.conn is not None and ike.initiator and ike.machine.spi_r == NO_SPI:
            self._speaks_no_other(ike, data)
        else:
            self._unknown(header, local, remote, data)

    @property
    def busy(self) -> bool:
        """Is there so much to do that strangers have to show a cookie?"""
        settings = self.core.settings
        return settings.force_busy or (
            not settings.never_busy and self.core.states.unproven >= settings.cookie_threshold
        )

    def _stranger(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """A first message: check for room, ask for a cookie, then let a machine look at it."""
        core, settings = self.core, self.core.settings
        states = core.states
        if not core.listening or core.stopping or core.reading:
            return  # it will ask again
        calm = self.strangers.take(core.now)
        proven = False
        if self.brain.redirects.stranger(local, remote, data, self.busy or not calm):
            return
        if self.busy or not calm:
            # Not rate limited: the answer is smaller than the question and honest initiators depend on it.
            answer = self.jar.meet(data, remote, core.now)
            if answer is not None:
                if answer:
                    core.emit(SendDatagram(local, remote, answer))
                return
            proven = True
        if (
            states.half_open_total >= settings.half_open_limit
            or states.half_open.get(source_of(remote.address), 0) >= settings.half_open_per_peer
        ):
            self.complain(remote, "too many half-open IKE SAs, first message ignored")
            return
        ike = self.brain.ikes.answer(2, local, remote)
        self.admit(ike, local, remote, data, proven)

    def admit(self, ike: IkeState, local: Endpoint, remote: Endpoint, data: bytes, proven: bool) -> None:
        """Let a new machine look at a first message; `proven`: it has shown a cookie."""
        states = self.core.states
        states.add_ike(ike)
        states.opened(ike, remote, digest(data), proven)
        self.brain.ikes.receive(ike, data, local, remote)
        if ike.serial in states.ikes and not ike.failed and ike.machine.next_timer() is None and not ike.established:
            # It neither answered nor refused: nothing will ever come of it.
            self.brain.ikes.abandon(ike)
        if ike.version == 2 and ike.failed:
            self._other_version(local.address, remote.address)

    def _other_version(self, me: Address, peer: Address) -> None:
        """Somebody was refused: because the connections between the two are for IKEv1?"""
        conn = versions.of_version(self.core, 1, me, peer)
        if (
            conn is None
            or versions.of_version(self.core, 2, me, peer) is not None
            or not self.lines.take(self.core.now)
        ):
            return
        text = f'if {peer} speaks IKEv2 alone: leave ikev2=no out of "{conn.name}"'
        self.core.log(text, False, "remedy")

    def _unknown(self, header: Header, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """A message for an IKE SA we do not have; a request may be told so (RFC 7296 2.21.4)."""
        if header.is_response or header.exchange in FIRST:
            return
        if header.next_payload == PayloadType.NOTIFY:
            self._in_clear(local, remote, data)
            return
        self.complain(remote, f"{header.exchange} message for an IKE SA that does not exist (expired?)")
        if self.core.listening and self.answers.take(self.core.now):
            # With the proof that there was such an SA, if so (RFC 6290 4.4).
            mine = token(self.core.settings.crash_secret, header.spi_i, header.spi_r)
            proof = (Notify(NotifyType.QUICK_CRASH_DETECTION, mine),) if mine else ()
            self.core.emit(SendDatagram(local, remote, refusal(header, Notify(NotifyType.INVALID_IKE_SPI), *proof)))

    def _speaks_no_other(self, ike: IkeState, data: bytes) -> None:
        """Is it a modern peer's answer to an IKEv1 message of ours?"""
        try:
            told = Message.parse(data)
        except WireError:
            return
        if told.notify(NotifyType.INVALID_MAJOR_VERSION) is not None and self.lines.take(self.core.now):
            versions.seems(self.core, ike)

    def _in_clear(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """A notification outside of any IKE SA: INVALID_SPI is a hint that a peer was reborn (RFC 7296 1.5)."""
        try:
            note = Message.parse(data).notify(NotifyType.INVALID_SPI)
        except WireError as why:
            self.complain(remote, str(why))
            return
        if note is None or len(note.data) != 4:
            return
        self.brain.ikes.doubt_spi(local.address, remote.address, int.from_bytes(note.data, "big"))

    def unreachable(self, local: Endpoint, remote: Endpoint, reason: str) -> None:
        """The network says that a peer cannot be reached: anybody can forge that, so at most it is asked."""
        pair = (local.address, remote.address)
        for ike in list(self.core.states.pairs.get(pair, {}).values()):
            self.brain.ikes.doubt(ike, f"{remote.address} is said to be unreachable: {reason}")
            for conn in list(ike.attempts.values()):
                self.brain.pairs.hinted(conn, reason)

    def tell_unknown_spi(self, local: Endpoint, remote: Endpoint, spi: int) -> None:
        """Let whoever sends us ESP of a life before this one know, in clear (RFC 7296 1.5)."""
        if not self.core.listening or not self.answers.take(self.core.now):
            return
        if not remote.port:
            port = self.core.settings.ike_port
            local, remote = Endpoint(local.address, port), Endpoint(remote.address, port)
        header = Header(NO_SPI, NO_SPI, ExchangeType.INFORMATIONAL, Flags.INITIATOR)
        note = Notify(NotifyType.INVALID_SPI, spi.to_bytes(4, "big"))
        self.core.emit(SendDatagram(local, remote, Message(header, (note,)).emit()))

    def _refuse_version(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """A version we do not speak: say which is the highest we do (RFC 7296 2.5)."""
        header = Header.parse(data)
        if not header.is_response and self.core.listening and self.answers.take(self.core.now):
            note = Notify(NotifyType.INVALID_MAJOR_VERSION)
            self.core.emit(SendDatagram(local, remote, refusal(header, note)))

    def _echo(self, local: Endpoint, remote: Endpoint, data: bytes) -> bool:
        """Is it an IKE ping? Then it is answered, by as many octets as came and no more often than other strangers."""
        if data[17:19] != bytes((0x10, ECHO_REQUEST)) or len(data) != HEADER_OCTETS or data[24:] != ALONE:
            return False
        if self.core.listening and self.answers.take(self.core.now):
            self.core.emit(SendDatagram(local, remote, data[:18] + bytes((ECHO_REPLY,)) + data[19:]))
        return True

    def complain(self, remote: Endpoint, why: str) -> bool:
        """A line about a stranger, unless there were too many; was there one?"""
        told = self.lines.take(self.core.now)
        if told:
            self.core.log(f"packet from {remote.address}:{remote.port}: {why}", False, "bad-packet")
        return told
