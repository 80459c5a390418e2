# SPDX-License-Identifier: GPL-2.0-or-later
"""Klips, the packet engine's Python face: plain commands in, plain events and table rows out."""

from __future__ import annotations

import os
from collections.abc import Callable

from _fast.cipher import PROVIDERS
from _fast.pump import Engine
from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.base.said import Said
from openswan.klips.eroutes import Eroutes
from openswan.klips.links import Links
from openswan.klips.mailbox import Mailbox
from openswan.klips.ports import Ports
from openswan.klips.pump import Pump
from openswan.klips.rows import Note
from openswan.klips.sas import Sas
from openswan.klips.streams import Streams
from openswan.plane.commands import (
    AddSa,
    AttachDevice,
    AttachIntake,
    AttachLink,
    AttachPass,
    AttachSocket,
    AttachStream,
    Command,
    DelEroute,
    DelSa,
    DetachDevice,
    DetachIntake,
    DetachSocket,
    DetachStream,
    Direction,
    ExpectSpi,
    Flush,
    GroupSas,
    KeepStream,
    MoveDevice,
    MoveSa,
    SendDummy,
    SendInStream,
    SetEroute,
    SetMtu,
    SetNextHop,
    SetPathMtu,
    SetSelectors,
)
from openswan.plane.events import DeviceView, ErouteView, KlipsEvent, SaView
from openswan.policy.selector import FlowKey, Selector

MAX_WORKERS = 8
"""Limit of _fast.types."""


class Klips:
    """One packet engine.

    `provider` is auto, ipsec-mb or evp; `workers` threads (0: one for each core, 8 at most). KlipsError when the
    provider is not available. Commands come from one thread; packets flow in threads of the engine's own, each on a
    core of its own if `pinned`.
    """

    def __init__(self, provider: str = "auto", workers: int = 0, pinned: bool = False) -> None:
        if provider not in PROVIDERS:
            raise KlipsError(f"unknown crypto provider '{provider}': use {', '.join(PROVIDERS)}")
        try:
            engine = Engine(PROVIDERS[provider], workers or min(MAX_WORKERS, len(os.sched_getaffinity(0))))
        except ValueError as why:
            raise KlipsError(f"crypto provider '{provider}': {why}") from None
        except OSError as why:
            raise KlipsError(f"packet engine: {why}") from None
        self._engine = engine
        self._pump = Pump(engine, pinned)
        self._last = Note("", 0, "")
        links = self._links = Links(engine)
        ports = self._ports = Ports(engine, links.hop, self._placed, self._moved)
        sas = self._sas = Sas(engine, ports, self._note)
        streams = self._streams = Streams(engine, ports)
        self._eroutes = Eroutes(engine, sas, ports)
        self._mailbox = Mailbox(engine, ports, sas, self._eroutes)
        self._table: dict[type[Command], Callable[..., None]] = {
            AddSa: self._add_sa,
            ExpectSpi: sas.expect,
            DelSa: self._del_sa,
            MoveSa: sas.move,
            GroupSas: sas.group,
            SetSelectors: sas.set_selectors,
            SendDummy: sas.send_dummy,
            SetPathMtu: sas.set_path_mtu,
            SetMtu: ports.set_mtu,
            SetEroute: self._set_eroute,
            DelEroute: self._eroutes.delete,
            Flush: self._flush,
            AttachDevice: ports.attach_device,
            MoveDevice: ports.move_device,
            DetachDevice: ports.detach_device,
            AttachSocket: ports.attach_socket,
            DetachSocket: ports.detach_socket,
            AttachPass: ports.attach_pass,
            AttachLink: ports.attach_link,
            AttachStream: streams.attach,
            KeepStream: streams.keep,
            DetachStream: streams.detach,
            SendInStream: streams.send,
            SetNextHop: self._set_next_hop,
            AttachIntake: links.attach,
            DetachIntake: links.detach,
        }

    # --- life

    def start(self) -> None:
        """Let packets flow."""
        self._pump.start()

    @property
    def workers(self) -> int:
        """How many packet threads there are: queues of a device, sockets of an endpoint wanted."""
        return self._engine.workers

    def stop(self) -> None:
        """Stop the packet threads; tables and descriptors stay."""
        self._streams.stop()
        self._pump.stop()

    def nudge(self) -> None:
        """Wake every packet thread: the `turns` of one that is well go on."""
        self._engine.nudge()

    def turns(self) -> list[int]:
        """Times each packet thread has looked for work since it was made."""
        return self._engine.turns()

    # --- commands

    def execute(self, command: Command) -> None:
        """Carry out one command; KlipsError says why not, in the classic words where there are some."""
        try:
            self._table[type(command)](command)
        except MemoryError:
            raise KlipsError("out of memory in the packet engine") from None
        except OSError as why:
            raise KlipsError(f"packet engine: {why.strerror or why}") from None

    def _placed(self, device: str, slot: int) -> None:
        self._sas.place(device, slot)

    def _moved(self) -> None:
        self._sas.renew_paths()

    def _note(self, owner: str, serial: int, device: str) -> Note:
        # A connection's SAs and eroutes come one after the other, and nothing else of theirs is kept here.
        if (owner, serial, device) != (self._last.owner, self._last.serial, self._last.device):
            self._last = Note(owner, serial, device)
        return self._last

    def _add_sa(self, c: AddSa) -> None:
        cookie = self._sas.add(c)
        if c.direction is Direction.OUT:
            self._eroutes.sa_came(c.said, cookie)

    def _del_sa(self, c: DelSa) -> None:
        cookie = self._sas.find(c.said)
        if not cookie:
            raise KlipsError(f"SA {c.said} does not exist.  Cannot delete.")
        self._eroutes.sa_goes(c.said, cookie)
        self._sas.remove(cookie)

    def _set_eroute(self, c: SetEroute) -> None:
        self._eroutes.set(c, self._note(c.owner, c.serial, c.device))

    def _set_next_hop(self, c: SetNextHop) -> None:
        self._links.set_hop(c)
        self._sas.renew_paths_between(c.local, c.remote)

    def _flush(self, c: Flush) -> None:
        self._eroutes.flush()
        for cookie in self._engine.cookies():
            self._sas.remove(cookie)

    # --- events

    def event_fd(self) -> int:
        """A descriptor that is readable while events wait; for waiting only, poll_events reads it."""
        return self._engine.event_fd()

    def poll_events(self) -> list[KlipsEvent]:
        """Every event that waits, oldest first; those of SAs removed meanwhile are left out."""
        return self._mailbox.take_all()

    # --- tables

    def sas(self) -> list[SaView]:
        """Rows of the SA table, in the order they were added."""
        return [self._sas.view(row) for row in self._sas.rows()]

    def sa(self, said: Said) -> SaView | None:
        """The row of one SA, or None."""
        cookie = self._sas.find(said)
        return self._sas.view(self._sas.row(cookie)) if cookie else None

    def selectors(self, said: Said) -> tuple[tuple[Selector, Selector], ...]:
        """What may come out of an inbound SA, or nothing when there is none."""
        return self._sas.selectors(said)

    def eroutes(self) -> list[ErouteView]:
        """Rows of the eroute table, the engine's own holds too; sorted by key."""
        return self._eroutes.views()

    def eroute(self, key: FlowKey) -> SetEroute | None:
        """The command that made the eroute of exactly this key, or would have made the engine's own hold; or None."""
        return self._eroutes.made_by(key)

    def match(self, flow: FlowKey) -> ErouteView | None:
        """The eroute a packet of this concrete flow would meet, or None."""
        return self._eroutes.match(flow)

    def devices(self) -> list[DeviceView]:
        """Rows of the virtual interface table."""
        return self._ports.devices()

    def intake_packets(self, interface: str) -> int:
        """Packets that have come in by an interface's packet rings since they were attached."""
        return self._links.packets(interface)

    def worker_packets(self) -> list[tuple[int, int]]:
        """Packets each worker wrote to and read from virtual interfaces."""
        return self._engine.worker_packets()

    def drops(self) -> dict[Drop, int]:
        """Packets dropped so far, by reason; reasons that never happened are there with 0."""
        counters = self._engine.drops()
        return {reason: counters[reason] + self._streams.drop(reason) for reason in Drop if reason is not Drop.NONE}
