# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP as the last resort (RFC 9329): when it is used, and what becomes of IKE SAs whose connection breaks.

enable-tcp=yes       ──► OpenStream ──► connected: IKE_SA_INIT in it     refused: tried again as ever
enable-tcp=fallback  ──► UDP ──► no answer, or ESP blocked in UDP too ──► the same; refused: UDP again
connection breaks    ──► ours: another one at once, then less and less often, until unanswered requests give up
                         the peer's: it opens another one, and its first authentic message moves everything over
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from openswan.base.address import Endpoint
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.engine.conn import Conn, Kind
from openswan.engine.effects import OpenStream
from openswan.engine.events import StreamOpened, StreamRefused
from openswan.engine.statedb import IkeState
from openswan.engine.timers import Timer
from openswan.ike.events import Probe
from openswan.plane.commands import DetachStream, KeepStream
from openswan.plane.events import StreamClosed
from openswan.policy.connection import TcpUse

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

Ends: TypeAlias = tuple[Endpoint, Endpoint]
AGAIN: Duration = 1.0
MOST: Duration = 16.0
"""Seconds until a connection that could not be opened is tried again; each wait is twice the last."""


class Streams:
    """TCP connections of IKE SAs."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.opening: dict[int, tuple[IkeState, Callable[[], None] | None, Duration]] = {}
        """By token: who waits for a connection, what it begins with in its first one, and the wait after a failure."""
        self.used: dict[int, Ends] = {}
        """By serial of the IKE SA."""
        self.since: dict[int, tuple[Instant, Duration]] = {}
        """When the connection of an IKE SA was opened, and the wait before the next one should it be of no use."""

    # -- beginning ----------------------------------------------------------------------------------------------------

    def ends(self, conn: Conn) -> Ends | None:
        """Where an IKE SA of this connection begins; None: in UDP. Our port is not known yet."""
        oriented = conn.oriented
        if oriented is None or oriented.peer is None or not conn.in_stream:
            return None
        return Endpoint(oriented.me, 0, stream=True), Endpoint(oriented.peer, conn.policy.tcp_port, stream=True)

    def begin(self, ike: IkeState, then: Callable[[], None]) -> None:
        """Open a connection for an IKE SA that begins; `then` it does."""
        self._open(ike, then, AGAIN)

    def _open(self, ike: IkeState, then: Callable[[], None] | None, wait: Duration) -> None:
        token = self.core.states.serial()
        self.opening[token] = (ike, then, wait)
        self.core.emit(OpenStream(token, ike.machine.local.address, ike.machine.remote))

    def opened(self, event: StreamOpened) -> None:
        """It is there."""
        ike, then, wait = self.opening.pop(event.token, (None, None, 0.0))
        if ike is None or ike.serial not in self.core.states.ikes:
            self.core.klips(DetachStream(event.local, event.remote))
            return
        self.since[ike.serial] = self.core.now, wait
        if then is None:
            self._say(ike, f"TCP connection to {event.remote} is open again")
            self.brain.ikes.run(ike, ike.machine.reconnected(event.local, event.remote, self.core.now))
        else:
            self._say(ike, f"TCP connection to {event.remote} is open")
            ike.machine.local = event.local
            then()
        self.follow(ike)

    def refused(self, event: StreamRefused) -> None:
        """It cannot be had."""
        ike, then, wait = self.opening.pop(event.token, (None, None, 0.0))
        if ike is None or ike.serial not in self.core.states.ikes:
            return
        reason = f"no TCP connection to {ike.machine.remote}: {event.reason}"
        if then is None:
            self._later(ike, reason, wait)
        else:
            self._give_up(ike, reason)

    def _later(self, ike: IkeState, reason: str, wait: Duration) -> None:
        self._say(ike, f"{reason}; another one in {wait:g} s")
        self.core.after(Timer.STREAM, ike.serial, wait, partial(self._open, ike, None, min(2 * wait, MOST)))

    def _give_up(self, ike: IkeState, reason: str) -> None:
        self._say(ike, reason, Rc.LOG_SERIOUS)
        for conn in list(ike.attempts.values()):
            self._set(conn, False)
        self.brain.ikes.unreachable(ike, reason)

    # -- from UDP to TCP ----------------------------------------------------------------------------------------------

    @staticmethod
    def may_fall_back(conn: Conn) -> bool:
        """Is TCP left to be tried?"""
        return conn.policy.tcp is TcpUse.FALLBACK and not conn.in_tcp and conn.kind is Kind.PERMANENT

    def unanswered(self, ike: IkeState) -> bool:
        """Nobody answers in UDP: connections that may try TCP do. Were there any?"""
        if ike.machine.local.stream:
            return False
        found = [(token, conn) for token, conn in ike.attempts.items() if self.may_fall_back(conn)]
        for token, conn in found:
            self.core.states.end(token)
            conn.negotiating = 0
            self.core.say(conn, "no answer in UDP: trying TCP", Rc.LOG_SERIOUS, ike.serial, event="tcp-fallback")
            self.take_tcp(conn)
        return bool(found)

    def take_tcp(self, conn: Conn) -> None:
        """Begin anew in TCP."""
        self._set(conn, True)
        self.brain.negotiator.start(conn)

    def _set(self, conn: Conn, in_tcp: bool) -> None:
        if conn.in_tcp is in_tcp:
            return
        # What two connections share depends on it.
        self.core.conns.unindex(conn)
        conn.in_tcp = in_tcp
        self.core.conns.index(conn)
        self.brain.keyring.forget()

    def moved(self, conn: Conn) -> None:
        """Its network is another one: what was learned of the last counts no more (RFC 9329 5.1)."""
        self._set(conn, False)

    # -- connections come and go --------------------------------------------------------------------------------------

    def closed(self, event: StreamClosed) -> None:
        """A connection has ended by itself."""
        ends = (event.local, event.remote)
        for serial in [serial for serial, used in self.used.items() if used == ends]:
            del self.used[serial]
            ike = self.core.states.ikes.get(serial)
            if ike is None or ike.closing:
                continue
            if not ike.machine.opens:
                self._say(ike, f"TCP connection from {event.remote} is gone: {event.reason}")
                continue
            self._lost(ike, f"TCP connection to {event.remote} is gone: {event.reason}")

    def _lost(self, ike: IkeState, reason: str) -> None:
        """A connection of ours has ended: if it was of any use another one is opened at once."""
        since, wait = self.since.pop(ike.serial, (float("-inf"), AGAIN))
        machine = ike.machine
        if machine.last_heard > since:
            self._say(ike, f"{reason}; opening another")
            self._open(ike, None, AGAIN)
        elif ike.established is None and machine.last_heard == machine.created:
            self._give_up(ike, reason)
            return
        else:
            self._later(ike, reason, wait)
        if ike.established is not None and not machine.busy:
            # Its time is the time in which a connection has to come.
            self.brain.ikes.request(ike, Probe())

    def follow(self, ike: IkeState) -> None:
        """An IKE SA may use another connection than before: one is kept as long as somebody uses it."""
        machine = ike.machine
        alive = ike.serial in self.core.states.ikes and machine.local.stream and machine.local.port
        now = (machine.local, machine.remote) if alive else None
        before = self.used.pop(ike.serial, None)
        if now is not None:
            self.used[ike.serial] = now
            if ike.established is not None:
                self.core.klips(KeepStream(*now))
        if before is not None and before not in self.used.values():
            self.core.klips(DetachStream(*before))

    def forget(self, ike: IkeState) -> None:
        """An IKE SA is gone."""
        self.core.timers.cancel((Timer.STREAM, ike.serial))
        self.since.pop(ike.serial, None)
        self.follow(ike)

    def _say(self, ike: IkeState, text: str, code: int = Rc.LOG) -> None:
        if ike.conn is not None:
            self.core.say(ike.conn, text, code, ike.serial, event="tcp")
        else:
            self.core.log(text, code != Rc.LOG, "tcp")
