# SPDX-License-Identifier: GPL-2.0-or-later
"""Debugging lines: which classes are wanted, of pluto as a whole and of single conns, and who makes a line of what.

While no class is wanted Pluto.handle() asks for `active` once an event, and machines once a message; that is all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from openswan.base.debugclasses import NOT_OBEYED, PRIVATE, classes_of, classes_text
from openswan.engine import debugwords
from openswan.engine.debugwire import chain_lines, clear_lines, hex_lines
from openswan.engine.effects import (
    DelGuard,
    Effect,
    KlipsCommand,
    Log,
    RunUpdown,
    SendDatagram,
    SendKeepalive,
    SetGuard,
)
from openswan.engine.events import Datagram, Datagrams, EngineEvent
from openswan.plane.commands import SetEroute
from openswan.plane.events import Acquire, IkeDatagram
from openswan.wire.header import HEADER_OCTETS

if TYPE_CHECKING:
    from openswan.base.address import Endpoint
    from openswan.engine.conn import Conn
    from openswan.engine.core import Core
    from openswan.engine.routing import RouteEvent, Routing
    from openswan.engine.statedb import IkeState

MARK = "| "
MOST_LINES = 1000
"""A second; what is beyond that is counted."""


class Debugging:
    """The classes that are wanted, and the lines."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.base = core.settings.debug
        """Classes about everything,"""
        self.conns: dict[str, frozenset[str]] = {}
        """and further ones about conns, by name; those of a policy group count for its lines."""
        self.active = bool(self.base)
        self._states: dict[int, str] = {}
        self._second = -1
        self._lines = self._left_out = 0

    # -- what is wanted -----------------------------------------------------------------------------------------------

    def change(self, name: str, wanted: frozenset[str]) -> None:
        """From now on these classes, of one conn or of all (no name)."""
        if not name:
            self.base = wanted
        elif wanted:
            self.conns[name] = wanted
        else:
            self.conns.pop(name, None)
        self.active = bool(self.base or self.conns)
        if not self.active:
            self._states.clear()

    def ordered(self, name: str, args: dict[str, Any]) -> str:
        """whack's order about one conn or all (no name): `words` alone, or `add` and `remove`; what is to be said."""
        given = {key: [str(word) for word in args.get(key) or ()] for key in ("words", "add", "remove")}
        before = self.conns.get(name, frozenset()) if name else self.base
        if given["words"]:
            before = classes_of(given["words"])
        elif "none" in given["add"]:
            before = frozenset()
        self.change(name, (before | classes_of(given["add"])) - classes_of(given["remove"]))
        return NOT_OBEYED if PRIVATE in given["words"] + given["add"] else ""

    def text(self, conn: Conn | None = None) -> str:
        """The classes as the status has them, about everything or about one conn."""
        return classes_text(self.base if conn is None else self.conns.get(conn.name, ()))

    def wanted_of(self, conn: Conn | None) -> frozenset[str]:
        """Classes that count for a conn; None: for what is about no conn."""
        found = self.base
        if conn is not None and self.conns:
            for one in (conn, conn.group):
                found |= self.conns.get(one.name, frozenset()) if one is not None else frozenset()
        return found

    # -- lines --------------------------------------------------------------------------------------------------------

    def say(self, classes: str, text: str, conn: Conn | None = None, serial: int = 0) -> None:
        """A line if one of these classes is wanted."""
        if self.active and not self.wanted_of(conn).isdisjoint(classes.split()):
            self.core.effects += self._line(conn, serial, text)

    def _line(self, conn: Conn | None, serial: int, text: str) -> Iterator[Effect]:
        if int(self.core.now) != self._second:
            left_out, self._second, self._lines, self._left_out = self._left_out, int(self.core.now), 0, 0
            if left_out:
                yield Log(f"{MARK}{left_out} further lines left out", event="debug")
        self._lines += 1
        if self._lines > MOST_LINES:
            self._left_out += 1
            return
        about = conn.prefix(serial) if conn is not None else f"#{serial}: " if serial else ""
        yield Log(f"{MARK}{about}{text}", event="debug")

    # -- what happens -------------------------------------------------------------------------------------------------

    def event(self, event: EngineEvent) -> None:
        """Pluto is about to deal with this."""
        if isinstance(event, Datagram | IkeDatagram):
            self._arrived(event.local, event.remote, event.data)
        elif isinstance(event, Datagrams):
            for remote, data in event.messages:
                self._arrived(event.local, remote, data)
        elif (row := debugwords.EVENTS.get(type(event))) is not None:
            conn = self._by_name(event.owner) if isinstance(event, Acquire) else None
            self._row(row, event, conn)

    def effects(self, effects: Iterable[Effect]) -> list[Effect]:
        """What pluto wants done, with lines in front of what they are about."""
        told: list[Effect] = []
        self.core.effects = []
        for effect in effects:
            if isinstance(effect, SendDatagram):
                self._sent(effect)
            elif (row := debugwords.EFFECTS.get(type(effect))) is not None:
                self._row(row, effect, self._about(effect))
            told += self.core.effects
            told.append(effect)
            self.core.effects = []
        return told

    def machine(self, ike: IkeState, effect: object) -> None:
        """The machine of an IKE SA tells something."""
        if (row := debugwords.OF_MACHINES.get(type(effect))) is not None:
            self._row(row, effect, ike.conn or ike.led_to, getattr(effect, "token", 0) or ike.serial)

    def asked(self, ike: IkeState, request: object) -> None:
        """It is asked for something."""
        row = debugwords.REQUESTS.get(type(request), ("control", lambda one: f"asked for {type(one).__name__}"))
        self._row(row, request, ike.conn, ike.serial)

    def stands(self, ike: IkeState) -> None:
        """It has been at work: has its state changed?"""
        state, before = str(ike.machine.state), self._states.get(ike.serial)
        if ike.serial not in self.core.states.ikes:
            self._states.pop(ike.serial, None)
        elif state != before:
            self._states[ike.serial] = state
            text = f"state {before} -> {state}" if before else f"state {state}"
            self.say("control", f"{text}: {ike.machine.state.story}", ike.conn or ike.led_to, ike.serial)

    def moved(self, conn: Conn, event: RouteEvent, before: Routing) -> None:
        """The routing of a conn has changed."""
        if self.active:
            self.say("control klips", f"{event.name.lower()}: {before.story} -> {conn.routing.story}", conn)

    def of_pairs(self, thing: object) -> None:
        """The machine of opportunistic encryption is told something, or wants something."""
        if self.active:
            pair, why = getattr(thing, "pair", None), getattr(thing, "why", "")
            self.say("oppo", f"{type(thing).__name__} {pair or ''} {why}".rstrip())

    def watch(self, ike: IkeState) -> None:
        """A new IKE SA: its machine shows what it decrypts, and what it is about to encrypt."""
        ike.machine.watch = partial(self._shown, ike)

    def _shown(self, ike: IkeState, sent: bool, header: Any, payloads: Any) -> None:
        if self.active:
            conn, kind = ike.conn or ike.led_to, "emitting" if sent else "parsing"
            if kind in self.wanted_of(conn):
                for line in _told(chain_lines, "emit" if sent else "parse", header, payloads):
                    self.core.effects += self._line(conn, ike.serial, line)

    # -- help ---------------------------------------------------------------------------------------------------------

    def _row(self, row: debugwords.Row, thing: object, conn: Conn | None, serial: int = 0) -> None:
        classes, words = row
        if not self.wanted_of(conn).isdisjoint(classes.split()):
            for line in _told(lambda one: (words(one),), thing):
                self.core.effects += self._line(conn, serial, line)

    def _by_name(self, name: str) -> Conn | None:
        return self.core.conns.unique.get(name) or self.core.conns.named.get(name)

    def _about(self, effect: Effect) -> Conn | None:
        """The conn an effect is about, where it says so."""
        if isinstance(effect, SetGuard | DelGuard):
            return self._by_name(effect.connection)
        if isinstance(effect, RunUpdown):
            return self._by_name(effect.environment.get("PLUTO_CONNECTION", ""))
        if isinstance(effect, KlipsCommand) and isinstance(effect.command, SetEroute):
            return self._by_name(effect.command.owner)
        if isinstance(effect, SendKeepalive):
            pair = (effect.local.address, effect.remote.address)
            return next((ike.conn for ike in self.core.states.pairs.get(pair, {}).values() if ike.conn), None)
        return None

    def _of_datagram(self, data: bytes) -> Conn | None:
        """By either SPI: one of them is ours."""
        for spi in (data[:8], data[8:16]):
            ike = self.core.states.by_spi.get(spi)
            if ike is not None:
                return ike.conn or ike.led_to
        return None

    def _arrived(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        self._wire("parsing", "parse", f"received {len(data)} octets from {remote} on {local}", data)

    def _sent(self, effect: SendDatagram) -> None:
        text = f"sending {len(effect.data)} octets from {effect.local} to {effect.remote}"
        self._wire("emitting", "emit", text, effect.data)

    def _wire(self, kind: str, way: str, text: str, data: bytes) -> None:
        conn = self._of_datagram(data) if len(data) >= HEADER_OCTETS else None
        wanted = self.wanted_of(conn) & {"raw", "control", kind}
        lines = [text] if wanted else []
        lines += hex_lines(data) if "raw" in wanted else ()
        lines += _told(clear_lines, way, data) if kind in wanted else ()
        for line in lines:
            self.core.effects += self._line(conn, 0, line)


def _told(words: Callable[..., Iterable[str]], *things: Any) -> list[str]:
    """Lines about something. A mistake in making them must not cost what pluto was doing: it is the line then."""
    try:
        return list(words(*things))
    except Exception as why:
        return [f"this cannot be told: {why!r}"]
