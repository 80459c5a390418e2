# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests the daemon answers from the packet engine's tables, without asking pluto: one table, verb -> function."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from openswan.base.address import Address, parse_address
from openswan.base.drops import Drop
from openswan.base.errors import ConfigError, IpsecError
from openswan.base.log import Rc
from openswan.klips import tables
from openswan.plane.events import DeviceView, ErouteView, SaView

Arguments: TypeAlias = dict[str, Any]
Answer: TypeAlias = Iterable[tuple[int, str]]
Explain: TypeAlias = Callable[[Address, Address, int, int], tuple[Sequence[str], Any]]
"""(source, destination, protocol, destination port) -> lines for people, and the same as plain data."""


class Tables(Protocol):
    """The part of klips.Klips that is asked here."""

    def sas(self) -> Sequence[SaView]:
        """Rows of the SA table."""

    def eroutes(self) -> Sequence[ErouteView]:
        """Rows of the eroute table."""

    def devices(self) -> Sequence[DeviceView]:
        """Virtual interfaces."""

    def drops(self) -> Mapping[Drop, int]:
        """Packets dropped, by reason."""


class Queries:
    """Answers; `explain` is for match, `drops` gives what others than the engine have dropped: who -> by reason.

    `more` are further tables: verb -> (classic lines, plain data).
    """

    def __init__(
        self,
        engine: Tables,
        explain: Explain,
        drops: Mapping[str, Callable[[], Mapping[str, int]]],
        more: Mapping[str, tuple[Callable[[], str], Callable[[], Any]]] | None = None,
    ) -> None:
        self._engine = engine
        self._explain = explain
        self._drops = drops
        self._verbs: dict[str, tuple[Callable[[], str], Callable[[], Any]]] = {
            "eroute": (
                lambda: tables.eroute_text(engine.eroutes()),
                lambda: tables.eroute_rows(engine.eroutes()),
            ),
            "spi": (lambda: tables.spi_text(engine.sas()), lambda: tables.spi_rows(engine.sas())),
            "spigrp": (lambda: tables.spigrp_text(engine.sas()), lambda: tables.spigrp_rows(engine.sas())),
            "tncfg": (lambda: tables.tncfg_text(engine.devices()), lambda: tables.tncfg_rows(engine.devices())),
            "counters": (self._counters_text, self._counters),
            **(more or {}),
        }
        """Verb -> (classic lines, plain data)."""

    def knows(self, verb: str) -> bool:
        """Is this a request for us?"""
        return verb == "match" or verb in self._verbs

    def answer(self, verb: str, arguments: Arguments) -> Answer:
        """The reply lines of a request that `knows` is true for."""
        as_json = arguments.get("json") is True
        try:
            if verb == "match":
                lines, data = self._match(arguments)
            else:
                text, plain = self._verbs[verb]
                lines, data = ([], plain()) if as_json else (text().splitlines(), None)
        except IpsecError as why:
            return [(Rc.WHACK_PROBLEM, str(why))]
        if as_json:
            return [(Rc.COMMENT, json.dumps(data, separators=(",", ":")))]
        return [(Rc.COMMENT, line) for line in lines]

    def _counters(self) -> dict[str, dict[str, int]]:
        return {
            "engine": {reason.name.lower(): count for reason, count in self._engine.drops().items()},
            **{who: dict(counted()) for who, counted in self._drops.items()},
        }

    def _counters_text(self) -> str:
        lines = [
            f"{count:<10d} {place} {name}"
            for place, counted in self._counters().items()
            for name, count in counted.items()
            if count
        ]
        return "\n".join(lines)

    def _match(self, arguments: Arguments) -> tuple[Sequence[str], Any]:
        src, dst = (_address(arguments, name) for name in ("src", "dst"))
        if src.version != dst.version:
            raise ConfigError(f"{src} and {dst} are of different families")
        return self._explain(src, dst, _number(arguments, "protocol", 255), _number(arguments, "port", 65535))


def _address(arguments: Arguments, name: str) -> Address:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise ConfigError(f"match needs an address as {name}")
    return parse_address(value)


def _number(arguments: Arguments, name: str, limit: int) -> int:
    value = arguments.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise ConfigError(f"match: {name} is not a number from 0 to {limit}")
    return value
