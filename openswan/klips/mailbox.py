# SPDX-License-Identifier: GPL-2.0-or-later
"""What the packet threads have to tell, as plain events."""

from __future__ import annotations

from dataclasses import replace

from _fast.pump import Engine
from openswan.klips.eroutes import Eroutes
from openswan.klips.keys import IN_STREAM, RawKey, endpoint, flow_key
from openswan.klips.ports import Ports
from openswan.klips.sas import Sas
from openswan.klips.streams import ENDINGS, KEY_OCTETS, ends_of
from openswan.plane.events import (
    Acquire,
    EspLoad,
    IkeDatagram,
    KlipsEvent,
    NewMapping,
    NextHopWanted,
    OffloadRefused,
    SaExpired,
    SaFirstUse,
    StreamClosed,
    UnknownSpi,
)

ACQUIRE, EXPIRED, FIRST_USE, NEW_MAPPING, UNKNOWN_SPI, IKE = range(1, 7)
NEXT_HOP, LOAD, OFFLOAD, STREAM_IKE, STREAM_GONE = range(14, 19)
"""Kinds of _fast.mail."""
TCP, UDP, ESP = 6, 17, 50
OFFLOADS = {TCP: "TSO", UDP: "USO"}


class Mailbox:
    """Mail of one engine, oldest first."""

    def __init__(self, engine: Engine, ports: Ports, sas: Sas, eroutes: Eroutes) -> None:
        self._engine = engine
        self._ports = ports
        self._sas = sas
        self._eroutes = eroutes

    def take_all(self) -> list[KlipsEvent]:
        """Every event that waits; those of SAs removed meanwhile are left out."""
        events: list[KlipsEvent] = []
        while (raw := self._engine.take()) is not None:
            event = self._event(*raw)
            if event is not None:
                events.append(event)
        return events

    def _event(
        self,
        kind: int,
        cookie: int,
        number: int,
        slot: int,
        remote: tuple[int, bytes, int] | None,
        flow: RawKey | None,
        trap: RawKey | None,
        data: bytes,
    ) -> KlipsEvent | None:
        if kind == ACQUIRE and flow and trap:
            owner = self._eroutes.note_of(cookie)
            key = flow_key(trap)
            return Acquire(
                flow_key(flow),
                key,
                owner.device if owner else self._ports.name_of(number),
                owner.owner if owner else "",
            )
        if kind in (UNKNOWN_SPI, IKE):
            local = self._ports.local_of(slot)
            if local is None or remote is None or local.stream:
                return None
            if kind == IKE:
                return IkeDatagram(local, endpoint(remote), data)
            return UnknownSpi(local, endpoint(remote), number)
        if kind == STREAM_IKE:
            return IkeDatagram(*ends_of(data), data[KEY_OCTETS:])
        if kind == STREAM_GONE:
            return StreamClosed(*ends_of(data), ENDINGS[number])
        if kind == LOAD:
            local = self._ports.local_of(slot)
            return EspLoad(local.address) if local else None
        if kind == OFFLOAD and number == ESP:
            local = self._ports.local_of(slot)
            return OffloadRefused(f"raw ESP from {local.address}", "packet socket") if local else None
        if kind == OFFLOAD:
            where = self._ports.name_of(slot) if number else f"UDP {self._ports.local_of(slot)}"
            return OffloadRefused(where, OFFLOADS.get(number, "UDP_SEGMENT"))
        try:
            row = self._sas.row(cookie)
        except KeyError:
            return None
        if kind == NEXT_HOP:
            local, far = row.ends
            return NextHopWanted(local.address, far.address)
        said = row.said
        if kind == EXPIRED:
            return SaExpired(said, bool(number))
        if kind == FIRST_USE:
            return SaFirstUse(said)
        if kind == NEW_MAPPING and remote:
            return NewMapping(said, replace(endpoint(remote), stream=row.encap == IN_STREAM))
        return None
