# SPDX-License-Identifier: GPL-2.0-or-later
"""What every part of pluto's brain shares: the time of this call, the effects so far, connections, timers, lines."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

from openswan.base.address import Address
from openswan.base.entropy import Rng
from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.engine.conn import Conn
from openswan.engine.conndb import ConnDb
from openswan.engine.effects import Effect, KlipsCommand, Log, WhackDone, WhackLine
from openswan.engine.eventcodes import of_reply
from openswan.engine.events import NetworkState
from openswan.engine.leases import Leases
from openswan.engine.orient import Plugs
from openswan.engine.remedies import Remedies
from openswan.engine.settings import Settings
from openswan.engine.statedb import IkeState, StateDb
from openswan.engine.timers import Timer, Timers
from openswan.plane.commands import Command

CHEERFUL = (Rc.COMMENT, Rc.LOG, Rc.SUCCESS, Rc.RETRANSMISSION)
"""Codes of lines that name no failure."""


@dataclass(eq=False)
class Core:
    """Shared state; `emit` appends to the effects of the event being handled."""

    rng: Rng
    settings: Settings
    now: Instant = 0.0
    heard_by: Instant = 0.0
    """All that had arrived by then has been handled: deadlines up to it count."""
    effects: list[Effect] = field(default_factory=list)
    conns: ConnDb = field(default_factory=ConnDb)
    states: StateDb = field(default_factory=StateDb)
    timers: Timers = field(default_factory=Timers)
    network: NetworkState = field(default_factory=lambda: NetworkState((), ()))
    plugs: Plugs = field(default_factory=Plugs)
    names: dict[str, tuple[Address, ...]] = field(default_factory=dict)
    """Host names that have been resolved."""
    leases: Leases = field(default_factory=Leases)
    remedies: Remedies = field(default_factory=Remedies)
    listening: bool = False
    reading: int = 0
    """Answers about secrets and certificates still to come since listen; nothing is negotiated without them."""
    asking: IkeState | None = None
    """Whose machine is at work, and so asks the questions that come up now."""
    stopping: bool = False
    waiting: dict[int, set[str]] = field(default_factory=dict)
    """whack clients and the connections (unique names) they wait for."""

    def emit(self, effect: Effect) -> None:
        """Have something done, after everything emitted before."""
        self.effects.append(effect)

    def klips(self, command: Command) -> None:
        """Give the packet engine a command."""
        self.effects.append(KlipsCommand(command))

    def after(self, timer: Timer, name: Hashable, delay: Duration, action: Callable[[], None]) -> None:
        """Run `action` in `delay` seconds."""
        self.timers.set((timer, name), self.now + delay, action)

    def log(self, text: str, serious: bool = False, event: str = "") -> None:
        """One line for the log alone."""
        self.effects.append(Log(text, serious, event))

    def say(
        self,
        conn: Conn,
        text: str,
        code: int = Rc.LOG,
        serial: int = 0,
        clients: Iterable[int] | None = None,
        event: str = "",
    ) -> None:
        """A line about a connection: to the log (not code 000) and to the whack clients that wait for it."""
        line = conn.prefix(serial) + text
        if code != Rc.COMMENT:
            serious = code not in (Rc.LOG, Rc.SUCCESS) and code < Rc.NEW_STATE
            self.effects.append(Log(line, serious, event or of_reply(code)))
        audience = tuple(conn.clients if clients is None else clients)
        for client in audience:
            self.effects.append(WhackLine(client, code, line))
        failure = code not in CHEERFUL and not Rc.NEW_STATE <= code < Rc.NOTIFICATION
        if failure and conn.policy.ike_version == 1 and conn.group is None:
            hint = self.remedies.after(text, conn.unique, conn.name, self.now)
            if hint:
                self.effects.append(Log(conn.prefix(serial) + hint, False, "remedy"))
                self.effects += [WhackLine(client, Rc.COMMENT, conn.prefix(serial) + hint) for client in audience]

    def advise(self, text: str, stranger: Address) -> None:
        """After a line about somebody who speaks IKEv1 and is not known yet."""
        hint = self.remedies.after(text, str(stranger), "NAME", self.now)
        if hint:
            self.log(f"packet from {stranger}: {hint}", event="remedy")

    def reply(self, client: int, code: int, text: str) -> None:
        """A line for one whack client."""
        if client:
            self.effects.append(WhackLine(client, code, text))

    def attach(self, client: int, conn: Conn) -> None:
        """From now on `client` hears about `conn` and is let go when it is up or has failed."""
        if client:
            self.waiting.setdefault(client, set()).add(conn.unique)
            if client not in conn.clients:
                conn.clients.append(client)

    def release(self, conn: Conn) -> None:
        """Whoever waits for `conn` need wait no longer."""
        clients, conn.clients = conn.clients, []
        for client in clients:
            names = self.waiting.get(client)
            if names is None:
                continue
            names.discard(conn.unique)
            if not names:
                del self.waiting[client]
                self.effects.append(WhackDone(client))

    def gone(self, client: int) -> None:
        """A whack client has hung up."""
        for name in self.waiting.pop(client, set()):
            conn = self.conns.unique.get(name)
            if conn is not None and client in conn.clients:
                conn.clients.remove(client)
