# SPDX-License-Identifier: GPL-2.0-or-later
"""klipsdebug: what the packet engine does, told in the log as `klips_debug:` lines while flags are set.

A packet is never worth a line: drops are told as their counts of the last second, table changes as they are ordered,
and no second has more than MOST_LINES of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.base.interval import Instant
from openswan.base.numbers import IpProtocol
from openswan.host import clock
from openswan.klips.engine import Klips
from openswan.plane.commands import (
    AddSa,
    AttachDevice,
    AttachPass,
    AttachSocket,
    Command,
    DelEroute,
    DelSa,
    DetachDevice,
    DetachSocket,
    Flush,
    GroupSas,
    MoveDevice,
    MoveSa,
    SendDummy,
    SetEroute,
    SetMtu,
    SetPathMtu,
    SetSelectors,
)
from openswan.plane.orders import FLAGS, Debug

MOST_LINES = 50
"""A second."""

OF_COMMANDS: dict[type[Command], str] = {
    AddSa: "spi",
    DelSa: "spi",
    MoveSa: "spi",
    GroupSas: "xform",
    SetSelectors: "spi",
    SetPathMtu: "tunnel-xmit",
    SendDummy: "tunnel-xmit",
    SetEroute: "eroute",
    DelEroute: "eroute",
    Flush: "netlink",
    AttachDevice: "tunnel",
    DetachDevice: "tunnel",
    MoveDevice: "tunnel",
    SetMtu: "tunnel",
    AttachSocket: "tunnel",
    DetachSocket: "tunnel",
    AttachPass: "tunnel",
}
"""Which flag tells of which command; `pfkey` and `netlink`, the classic roads of commands, tell of all."""

OUTWARD = {
    Drop.NO_EROUTE,
    Drop.SHUNT_DROP,
    Drop.SHUNT_REJECT,
    Drop.HOLD_OVERFLOW,
    Drop.HOLD_DISCARDED,
    Drop.TOO_BIG,
    Drop.SEQUENCE_EXHAUSTED,
    Drop.SEND_FAILED,
    Drop.SA_EXPIRED,
}
"""Drops on the way out: tunnel-xmit, and radij for those of the eroute table."""
RADIJ = {Drop.NO_EROUTE, Drop.SHUNT_DROP, Drop.SHUNT_REJECT, Drop.HOLD_OVERFLOW, Drop.HOLD_DISCARDED}
ESP = {Drop.BAD_PADDING, Drop.AUTH_FAILED, Drop.REPLAY, Drop.DUMMY, Drop.UNKNOWN_NEXT_HEADER}
WORDS = {
    Drop.NO_EROUTE: "shunt SA of DROP or no eroute: dropping.",
    Drop.SHUNT_DROP: "shunt SA of DROP or no eroute: dropping.",
    Drop.NO_SA: "no ipsec_sa for SA: packet with no SA, dropped.",
    Drop.REPLAY: "duplicate frame, packet dropped",
    Drop.AUTH_FAILED: "auth failed on incoming packet, dropped",
    Drop.SOURCE_MISMATCH: "source of pkt does not agree with expected SA source address policy",
}
"""The classic words, where there were some."""

OTHER_WORDS = {
    "all": FLAGS,
    "none": (),
    "xmit": ("tunnel-xmit",),
    "comp": ("ipcomp",),
    "nat-traversal": ("tunnel-xmit", "rcv"),
    "natt": ("tunnel-xmit", "rcv"),
}
"""Words of klipsdebug= that are no flags by themselves."""


def at_start(words: str) -> Debug:
    """The flags that klipsdebug= of config setup asks for."""
    return Debug(tuple(flag for word in words.split() for flag in OTHER_WORDS.get(word, (word,))))


@dataclass
class KlipsDebug:
    """The flags, and what they make the log say. `drops` reads the engine's counters."""

    log: Callable[[str, bool], None]
    drops: Callable[[], Mapping[Drop, int]]
    flags: set[str] = field(default_factory=set)
    _seen: dict[Drop, int] = field(default_factory=dict)
    _second: int = -1
    _lines: int = 0
    _silenced: int = 0

    def change(self, order: Debug) -> None:
        """Set and clear flags."""
        if not self.flags:
            self._seen = dict(self.drops())
        self.flags = (self.flags | set(order.flags)) - set(order.cleared)

    def text(self) -> str:
        """The classic table, `debug_tunnel=00000001.` and so on."""
        return "".join(f"debug_{flag.replace('-', '_')}={int(flag in self.flags):08x}.\n" for flag in FLAGS)

    def rows(self) -> dict[str, bool]:
        """The same as plain data."""
        return {flag: flag in self.flags for flag in FLAGS}

    def command(self, command: Command, now: Instant, refused: str = "") -> None:
        """A command has been given to the engine."""
        if not self.flags:
            return
        flag = OF_COMMANDS.get(type(command), "netlink")
        wanted = {flag, "netlink", "pfkey"}
        if isinstance(command, AddSa):
            wanted |= {{IpProtocol.AH: "ah", IpProtocol.COMP: "ipcomp"}.get(command.said.proto, "esp"), "xform"}
        if self.flags & wanted:
            self._say(f"{flag}: {_shown(command)}{': refused: ' + refused if refused else ''}", now)

    def tick(self, now: Instant) -> None:
        """Tell what was dropped since the last time; to be called about once a second while any flag is set."""
        if not self.flags:
            return
        counts = dict(self.drops())
        for reason, count in counts.items():
            more = count - self._seen.get(reason, 0)
            if more > 0 and self.flags & self._flags_of(reason):
                words = WORDS.get(reason, reason.name.lower().replace("_", " "))
                self._say(f"{'xmit' if reason in OUTWARD else 'rcv'}: {words} ({more} packets)", now)
        self._seen = counts
        if self._silenced:
            silenced, self._silenced = self._silenced, 0
            self.log(f"klips_debug: {silenced} further lines left out", False)

    @staticmethod
    def _flags_of(reason: Drop) -> set[str]:
        flags = {"verbose", "tunnel"} | ({"tunnel-xmit"} if reason in OUTWARD else {"rcv"})
        if reason in RADIJ:
            flags |= {"radij", "eroute"}
        if reason in ESP:
            flags |= {"esp", "ah", "xform"}
        if reason.name.startswith("COMP") or "DECOMP" in reason.name:
            flags |= {"ipcomp", "xform"}
        return flags

    def _say(self, text: str, now: Instant) -> None:
        if int(now) != self._second:
            self._second, self._lines = int(now), 0
        self._lines += 1
        if self._lines <= MOST_LINES:
            self.log(f"klips_debug:{text}", False)
        else:
            self._silenced += 1


class TracedKlips(Klips):
    """The packet engine, with its commands told to klipsdebug."""

    debug: KlipsDebug | None = None

    def execute(self, command: Command) -> None:
        """Carry out one command; KlipsError says why not."""
        if self.debug is None or not self.debug.flags:
            super().execute(command)
            return
        try:
            super().execute(command)
        except KlipsError as why:
            self.debug.command(command, clock.now(), str(why))
            raise
        self.debug.command(command, clock.now())


def _shown(command: Command) -> str:
    """A command in one line; its repr leaves keys out."""
    return repr(command)[:400]
