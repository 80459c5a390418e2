# SPDX-License-Identifier: GPL-2.0-or-later
"""The eroute table, and eroutes that name an SA which is not there yet, or no more."""

from __future__ import annotations

from typing import cast

from _fast.pump import Engine
from openswan.base.errors import KlipsError
from openswan.base.said import Said
from openswan.klips.keys import RawKey, flow_key, raw_flow, raw_key
from openswan.klips.ports import Ports
from openswan.klips.rows import Note
from openswan.klips.sas import Sas
from openswan.klips.shunt import action_of, target_of
from openswan.plane.commands import DelEroute, Direction, SetEroute
from openswan.plane.events import ErouteView
from openswan.policy.selector import FlowKey


class Eroutes:
    """Eroutes of one engine."""

    def __init__(self, engine: Engine, sas: Sas, ports: Ports) -> None:
        self._engine = engine
        self._sas = sas
        self._ports = ports
        self._waiting: dict[Said, set[FlowKey]] = {}
        """Eroutes by the SA they name, while it is not there,"""
        self._waits_for: dict[FlowKey, Said] = {}
        """and the other way round."""

    def set(self, c: SetEroute, note: Note) -> None:
        """Make one, or replace the one of this key."""
        if c.key.src.version != c.key.dst.version:
            raise KlipsError(f"eroute {c.key}: source and destination are not of one address family")
        if (c.key.src_port or c.key.dst_port) and not c.key.protocol:
            raise KlipsError(f"eroute {c.key}: ports without a protocol")
        sa = self._sas.cookie(c.target, Direction.OUT) if isinstance(c.target, Said) else 0
        self._engine.set_eroute(raw_key(c.key), action_of(c.target), sa, self._ports.slot_of(c.device), note)
        self._wait_no_more(c.key)
        if isinstance(c.target, Said) and not sa:
            self._wait(c.key, c.target)

    def delete(self, c: DelEroute) -> None:
        """Remove one; KlipsError when there is none."""
        found = self._engine.del_eroute(raw_key(c.key))
        self._wait_no_more(c.key)
        if not found:
            raise KlipsError(f"eroute {c.key} doesn't exist.  Can't delete.")

    def flush(self) -> None:
        """Remove all."""
        for row in self._engine.eroutes():
            self._engine.del_eroute(row[0])
        self._waits_for.clear()
        self._waiting.clear()

    # --- SAs that come and go

    def sa_came(self, said: Said, cookie: int) -> None:
        """An outbound SA is there: what waited for its name goes through it."""
        for key in self._waiting.pop(said, ()):
            del self._waits_for[key]
            self._engine.bind_eroute(raw_key(key), cookie)

    def sa_goes(self, said: Said, cookie: int) -> None:
        """An SA is about to go: its eroutes wait for the next of its name."""
        for raw in self._engine.eroutes_of(cookie):
            self._engine.bind_eroute(raw, 0)
            self._wait(flow_key(raw), said)

    def _wait(self, key: FlowKey, said: Said) -> None:
        self._waits_for[key] = said
        self._waiting.setdefault(said, set()).add(key)

    def _wait_no_more(self, key: FlowKey) -> None:
        said = self._waits_for.pop(key, None)
        if said is not None:
            self._waiting[said].discard(key)
            if not self._waiting[said]:
                del self._waiting[said]

    # --- looking

    def views(self) -> list[ErouteView]:
        """Rows of the table, the engine's own holds too; sorted by key."""
        return sorted(map(self._view, self._engine.eroutes()), key=lambda v: raw_key(v.key))

    def made_by(self, key: FlowKey) -> SetEroute | None:
        """The command that made the eroute of exactly this key, or would have made the engine's own hold; or None."""
        row = self._engine.find_eroute(raw_key(key))
        if row is None:
            return None
        found = self._view(row)
        return SetEroute(key, found.target, found.device, found.owner, found.serial)

    def match(self, flow: FlowKey) -> ErouteView | None:
        """The eroute a packet of this concrete flow would meet, or None."""
        row = self._engine.match(raw_flow(flow))
        return None if row is None else self._view(row)

    def note_of(self, cookie: int) -> Note | None:
        """Whose the eroute of this cookie is; None: it has gone, or is the engine's own."""
        return cast("Note | None", self._engine.note(cookie))

    def _view(self, row: tuple[RawKey, int, int, int, int, float, int, int, int]) -> ErouteView:
        raw, action, cookie, trap, packets, idle, held, slot, sa = row
        owner = self.note_of(cookie) or self.note_of(trap)
        key = flow_key(raw)
        said = self._sas.row(sa).said if sa else self._waits_for.get(key)
        return ErouteView(
            key=key,
            target=target_of(action, said),
            device=owner.device if owner else self._ports.name_of(slot),
            owner=owner.owner if owner else "",
            serial=owner.serial if owner else 0,
            packets=packets,
            idle=idle,
            held=held,
        )
