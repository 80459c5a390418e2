# SPDX-License-Identifier: GPL-2.0-or-later
"""Which IKE SA a datagram belongs to, and how strangers are met: nothing they send makes anything grow without bound.

A first message costs a half-open IKE SA; their number is bounded in all and per source, and beyond a threshold the
initiator has to bring a cookie first (RFC 7296 2.6). Everything else a stranger sends gets at most one stateless
answer, at most so many a second (RFC 7296 2.21.4, 1.5).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from openswan.base.address import Endpoint
from openswan.base.errors import WireError
from openswan.engine.effects import SendDatagram
from openswan.engine.statedb import IkeState
from openswan.ike.v2.cookie import CookieJar, refusal
from openswan.wire.header import NO_SPI, Header
from openswan.wire.message import Message
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import ExchangeType, NotifyType

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

    def take(self, now: float) -> bool:
        """May one more pass?"""
        self.level = min(self.burst, self.level + (now - self.since) * self.rate)
        self.since = now
        if self.level < 1.0:
            return False
        self.level -= 1.0
        return True


def digest(data: bytes) -> bytes:
    """What names a first message: all of it counts (RFC 7296 2.1)."""
    return hashlib.sha256(data).digest()


class Demux:
    """From datagrams to IKE SAs."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.jar = CookieJar(brain.core.rng, 0.0)
        self.answers = Bucket(STATELESS_RATE, STATELESS_BURST)
        self.lines = Bucket(STATELESS_RATE, STATELESS_BURST)

    def datagram(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """One IKE message, non-ESP marker already off."""
        try:
            header = Header.parse(data)
            header.require_v2()
        except WireError as why:
            self._complain(remote, str(why))
            if why.notify == NotifyType.INVALID_MAJOR_VERSION:
                self._refuse_version(local, remote, data)
            return
        states = self.core.states
        fresh = header.exchange == ExchangeType.IKE_SA_INIT and header.from_initiator and not header.is_response
        if fresh and header.spi_r == NO_SPI:
            known = states.by_init.get((remote, digest(data)))
            if known is not None:
                self.brain.ikes.receive(known, data, local, remote)
            else:
                self._stranger(local, remote, data)
            return
        ours = header.spi_r if header.from_initiator else header.spi_i
        ike = states.by_spi.get(ours)
        if ike is not None:
            self.brain.ikes.receive(ike, data, local, remote)
        else:
            self._unknown(header, local, remote)

    def _stranger(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """A first message: check for room, ask for a cookie, then let a machine look at it."""
        core, settings = self.core, self.core.settings
        states = core.states
        if not core.listening or core.stopping or core.reading:
            return  # it will ask again
        if (
            states.half_open_total >= settings.half_open_limit
            or states.half_open.get(remote.address, 0) >= settings.half_open_per_peer
        ):
            self._complain(remote, "too many half-open IKE SAs, first message ignored")
            return
        if settings.force_busy or states.half_open_total >= settings.cookie_threshold:
            try:
                request = Message.parse(data)
            except WireError as why:
                self._complain(remote, str(why))
                return
            if not self.jar.proves(request, remote, core.now):
                # Not rate limited: the answer is smaller than the question and honest initiators depend on it.
                answer = self.jar.challenge(request, remote, core.now)
                if answer:
                    core.emit(SendDatagram(local, remote, answer))
                return
        ike = self.brain.ikes.answer(local, remote)
        self._admit(ike, local, remote, data)

    def _admit(self, ike: IkeState, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        states = self.core.states
        states.add_ike(ike)
        states.opened(ike, remote, digest(data))
        self.brain.ikes.receive(ike, data, local, remote)
        if ike.serial in states.ikes and not ike.failed and ike.machine.next_timer() is None and not ike.established:
            # It neither answered nor refused: nothing will ever come of it.
            self.brain.ikes.abandon(ike)

    def _unknown(self, header: Header, local: Endpoint, remote: Endpoint) -> None:
        """A message for an IKE SA we do not have; a request may be told so (RFC 7296 2.21.4)."""
        if header.is_response or header.exchange == ExchangeType.IKE_SA_INIT:
            return
        self._complain(remote, f"{header.exchange} message for an IKE SA that does not exist (expired?)")
        if self.core.listening and self.answers.take(self.core.now):
            self.core.emit(SendDatagram(local, remote, refusal(header, Notify(NotifyType.INVALID_IKE_SPI))))

    def _refuse_version(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """A version we do not speak: say which is the highest we do (RFC 7296 2.5)."""
        header = Header.parse(data)
        if not header.is_response and self.core.listening and self.answers.take(self.core.now):
            note = Notify(NotifyType.INVALID_MAJOR_VERSION)
            self.core.emit(SendDatagram(local, remote, refusal(header, note)))

    def _complain(self, remote: Endpoint, why: str) -> None:
        if self.lines.take(self.core.now):
            self.core.log(f"packet from {remote.address}:{remote.port}: {why}", False, "bad-packet")
