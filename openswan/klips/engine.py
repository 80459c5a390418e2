# SPDX-License-Identifier: GPL-2.0-or-later
"""Klips, the packet engine's Python face: plain commands in, plain events and table rows out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import cast

from _fast.cipher import CIPHERS, INTEGS, PROVIDERS
from _fast.pump import Engine
from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.crypto.registry import Kind
from openswan.klips.algorithms import keys_wanted, why_not
from openswan.klips.bundles import DEFLATE, Bundles, check_kind
from openswan.klips.keys import RawKey, RawPath, endpoint, flow_key, raw_flow, raw_key, raw_selector
from openswan.klips.pump import Pump
from openswan.klips.rows import Note, SaRow
from openswan.klips.shunt import action_of, target_of
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
    Direction,
    Encap,
    ExpectSpi,
    Flush,
    GroupSas,
    Mode,
    MoveDevice,
    MoveSa,
    SetEroute,
    SetMtu,
    SetPathMtu,
    SetSelectors,
)
from openswan.plane.events import (
    Acquire,
    DeviceView,
    ErouteView,
    IkeDatagram,
    KlipsEvent,
    NewMapping,
    OffloadRefused,
    SaExpired,
    SaFirstUse,
    SaView,
    UnknownSpi,
)
from openswan.policy.selector import FlowKey, Selector

DEVICES = 64
SOCKETS = 256
MAX_WINDOW = 4096
MAX_WORKERS = 8
MAX_TFC = 9000
LEAST_MTU = {4: 576, 6: 1280}
"""Limits of _fast.types."""

ACQUIRE, EXPIRED, FIRST_USE, NEW_MAPPING, UNKNOWN_SPI, IKE = range(1, 7)
OFFLOAD = 16
"""Kinds of _fast.mail."""
TCP, UDP = 6, 17
OFFLOADS = {TCP: "TSO", UDP: "USO"}


@dataclass
class _Device:
    command: AttachDevice
    slot: int
    physical_mtu: int = 0
    """Of the interface below, octets; 0: not told."""


class Klips:
    """One packet engine.

    `provider` is auto, ipsec-mb or evp; `workers` threads (0: one for each core, 8 at most). KlipsError when the
    provider is not available. Commands come from one thread; packets flow in threads of the engine's own.
    """

    def __init__(self, provider: str = "auto", workers: int = 0) -> None:
        if provider not in PROVIDERS:
            raise KlipsError(f"unknown crypto provider '{provider}': use {', '.join(PROVIDERS)}")
        try:
            self._engine = Engine(PROVIDERS[provider], workers or min(MAX_WORKERS, len(os.sched_getaffinity(0))))
        except ValueError as why:
            raise KlipsError(f"crypto provider '{provider}': {why}") from None
        except OSError as why:
            raise KlipsError(f"packet engine: {why}") from None
        self._pump = Pump(self._engine)
        self._last = Note("", 0, "")
        self._waiting: dict[Said, set[FlowKey]] = {}
        """Eroutes by the SA they name, while it is not there,"""
        self._waits_for: dict[FlowKey, Said] = {}
        """and the other way round."""
        self._devices: dict[str, _Device] = {}
        self._sockets: dict[tuple[Endpoint, IpProtocol], tuple[int, AttachSocket]] = {}
        self._bundles = Bundles(self._engine.link_sa, self._row)
        self._table: dict[type[Command], Callable[..., None]] = {
            AddSa: self._add_sa,
            ExpectSpi: self._expect_spi,
            DelSa: self._del_sa,
            MoveSa: self._move_sa,
            GroupSas: self._group_sas,
            SetSelectors: self._set_selectors,
            SetPathMtu: self._set_path_mtu,
            SetMtu: self._set_mtu,
            SetEroute: self._set_eroute,
            DelEroute: self._del_eroute,
            Flush: self._flush,
            AttachDevice: self._attach_device,
            MoveDevice: self._move_device,
            DetachDevice: self._detach_device,
            AttachSocket: self._attach_socket,
            DetachSocket: self._detach_socket,
            AttachPass: self._attach_pass,
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
        self._pump.stop()

    def execute(self, command: Command) -> None:
        """Carry out one command; KlipsError says why not, in the classic words where there are some."""
        try:
            self._table[type(command)](command)
        except MemoryError:
            raise KlipsError("out of memory in the packet engine") from None
        except OSError as why:
            raise KlipsError(f"packet engine: {why.strerror or why}") from None

    # --- SAs

    def _cookie(self, said: Said, direction: Direction) -> int:
        return self._engine.find_sa(direction is Direction.IN, int(said.proto), said.spi, said.dst.packed)

    def _row(self, cookie: int) -> SaRow:
        return SaRow(*self._engine.describe(cookie))

    def _rows(self) -> Iterator[SaRow]:
        return map(self._row, self._engine.cookies())

    def _note(self, owner: str, serial: int, device: str) -> Note:
        # A connection's SAs and eroutes come one after the other, and nothing else of theirs is kept here.
        if (owner, serial, device) != (self._last.owner, self._last.serial, self._last.device):
            self._last = Note(owner, serial, device)
        return self._last

    def _path(
        self, proto: IpProtocol, local: Endpoint, remote: Endpoint, encap: bool, kept: int, unproven: bool
    ) -> RawPath:
        version, slot, mtu = local.address.version, -1, 0
        wildcard = Endpoint(type(local.address)(0), local.port)
        # An IPIP header has no socket of its own: what leaves under it is another SA's.
        kind = proto if proto is not IpProtocol.IPIP else IpProtocol.ESP
        found = self._sockets.get((local, kind)) or self._sockets.get((wildcard, kind))
        if found:
            slot, mtu = found[0], found[1].mtu
        known = min(kept or mtu, mtu or kept)
        cut = LEAST_MTU[6] if unproven else known if known < mtu else 0
        return (version, local.address.packed, local.port, remote.address.packed, remote.port, encap, slot, known, cut)

    def _renew_path(self, row: SaRow) -> None:
        path = self._path(IpProtocol(row.proto), *row.ends, row.encap, row.kept_mtu, row.unproven)
        self._engine.move_sa(row.cookie, path)

    def _add_sa(self, c: AddSa) -> None:
        if self._cookie(c.said, c.direction):
            raise KlipsError(f"SA {c.said} already in use.  Delete old one first.")
        if c.said.spi < 256 and (c.said.proto, c.said.spi) != DEFLATE:
            raise KlipsError(f"Illegal reserved spi: 0x{c.said.spi:x}")
        check_kind(c)
        if c.cipher not in CIPHERS and c.said.proto is IpProtocol.ESP:
            raise KlipsError(f"SA {c.said}: {why_not(Kind.ENCR, c.cipher)}")
        if c.integ not in INTEGS:
            raise KlipsError(f"SA {c.said}: {why_not(Kind.INTEG, c.integ)}")
        if not 0 <= c.replay_window <= MAX_WINDOW:
            raise KlipsError(f"SA {c.said}: replay window {c.replay_window} is not within 0 to {MAX_WINDOW}")
        if c.src.version != c.said.dst.version:
            raise KlipsError(f"SA {c.said}: outer source {c.src} is of the other address family")
        if not 0 <= c.tfc <= MAX_TFC:
            raise KlipsError(f"SA {c.said}: tfc {c.tfc} is not within 0 to {MAX_TFC}")
        if c.mtu:
            _check_mtu(c.said, c.mtu)
        device = self._devices.get(c.device)
        ports = c.encap or Encap(0, 0)
        ends = Endpoint(c.src, ports.src_port), Endpoint(c.said.dst, ports.dst_port)
        local, remote = ends if c.direction is Direction.OUT else ends[::-1]
        try:
            cookie = self._engine.add_sa(
                {
                    "proto": int(c.said.proto),
                    "spi": c.said.spi,
                    "dst": c.said.dst.packed,
                    "inbound": c.direction is Direction.IN,
                    "transport": c.mode is Mode.TRANSPORT,
                    "original": b"".join(each.packed for each in c.original or ()),
                    "cipher": CIPHERS.get(c.cipher, CIPHERS["null"]),
                    "key": c.enc_key,
                    "integ": INTEGS[c.integ],
                    "auth": c.auth_key,
                    "esn": c.esn,
                    "window": c.replay_window,
                    "device": device.slot if device else -1,
                    "partner": c.peer_said.spi if c.peer_said else 0,
                    "selectors": [raw_selector(src, dst) for src, dst in c.selectors],
                    "path": self._path(c.said.proto, local, remote, c.encap is not None, c.mtu, c.unproven),
                    "mtu": c.mtu,
                    "unproven": c.unproven,
                    "copy_dscp": c.copy_dscp,
                    "tfc": c.tfc,
                    "life": (c.life.soft_bytes, c.life.hard_bytes, c.life.soft_packets, c.life.hard_packets),
                    "note": self._note(c.owner, c.serial, c.device),
                }
            )
        except KeyError:
            raise KlipsError(f"SA {c.said} already in use.  Delete old one first.") from None
        except ValueError:
            raise KlipsError(
                f"SA {c.said}: {len(c.enc_key)} and {len(c.auth_key)} octets of key do not make "
                f"{c.cipher} {c.integ}".rstrip()
                + f": {keys_wanted(c.cipher, c.integ)}"
            ) from None
        if c.direction is Direction.OUT:
            for key in self._waiting.pop(c.said, ()):
                del self._waits_for[key]
                self._engine.bind_eroute(raw_key(key), cookie)

    def _expect_spi(self, c: ExpectSpi) -> None:
        if c.withdrawn:
            self._engine.expect_no_more(c.said.proto, c.said.spi)
        elif not self._cookie(c.said, Direction.IN):
            self._engine.expect_spi(c.said.proto, c.said.spi)

    def _find(self, said: Said, first: Direction = Direction.OUT) -> int:
        """The cookie of an SA, preferably of this direction; 0: there is none."""
        other = Direction.IN if first is Direction.OUT else Direction.OUT
        return self._cookie(said, first) or self._cookie(said, other)

    def _del_sa(self, c: DelSa) -> None:
        cookie = self._find(c.said)
        if not cookie:
            raise KlipsError(f"SA {c.said} does not exist.  Cannot delete.")
        for raw in self._engine.eroutes_of(cookie):
            self._engine.bind_eroute(raw, 0)
            self._wait(flow_key(raw), c.said)
        self._bundles.remove(cookie)
        self._engine.del_sa(cookie)

    def _move_sa(self, c: MoveSa) -> None:
        cookie = self._find(c.said)
        if not cookie:
            raise KlipsError(f"SA {c.said} does not exist.  Cannot move.")
        if c.src.address.version != c.dst.address.version:
            raise KlipsError(f"SA {c.said}: {c.src} and {c.dst} are not of one address family")
        row = self._row(cookie)
        local, remote = (c.dst, c.src) if row.inbound else (c.src, c.dst)
        encap = bool(c.src.port or c.dst.port)
        try:
            self._engine.move_sa(cookie, self._path(c.said.proto, local, remote, encap, row.kept_mtu, row.unproven))
        except KeyError:
            raise KlipsError(f"SA {c.said}: another SA of its SPI is in use at {c.dst.address}.") from None

    def _group_sas(self, c: GroupSas) -> None:
        for direction in (Direction.OUT, Direction.IN):
            members = [self._cookie(said, direction) for said in c.saids]
            if all(members):
                self._bundles.group(members)
                return
        missing = [said for said in c.saids if not self._find(said)]
        raise KlipsError(
            f"SA {missing[0]} does not exist.  Cannot group."
            if missing
            else f"SAs {' '.join(map(str, c.saids))} are not of one direction.  Cannot group."
        )

    def _set_selectors(self, c: SetSelectors) -> None:
        cookie = self._find(c.said, Direction.IN)
        if not cookie:
            raise KlipsError(f"SA {c.said} does not exist.  Cannot set its selectors.")
        self._engine.set_selectors(cookie, [raw_selector(src, dst) for src, dst in c.selectors])

    def _set_path_mtu(self, c: SetPathMtu) -> None:
        _check_mtu(c.said, c.mtu)
        cookie = self._cookie(c.said, Direction.OUT)
        if not cookie:
            raise KlipsError(f"SA {c.said} does not exist.  Its path cannot be set.")
        for each in (cookie, self._engine.partner(cookie)):
            if each:
                self._engine.keep_mtu(each, c.mtu, False)
                self._renew_path(self._row(each))

    def _set_mtu(self, c: SetMtu) -> None:
        for key, (slot, socket) in list(self._sockets.items()):
            if key[0].address in c.addresses and socket.mtu != c.mtu:
                self._sockets[key] = (slot, replace(socket, mtu=c.mtu))
                self._engine.set_socket_mtu(slot, c.mtu)
        for device in self._devices.values():
            if device.command.physical == c.physical:
                device.command = replace(device.command, mtu=c.virtual_mtu)
                device.physical_mtu = c.mtu
                self._engine.set_device_mtu(device.slot, c.virtual_mtu, c.mtu)
        self._renew_paths()

    def _renew_paths(self) -> None:
        """Sockets came or went: every SA finds its own again."""
        for row in self._rows():
            self._renew_path(row)

    # --- eroutes

    def _set_eroute(self, c: SetEroute) -> None:
        if c.key.src.version != c.key.dst.version:
            raise KlipsError(f"eroute {c.key}: source and destination are not of one address family")
        if (c.key.src_port or c.key.dst_port) and not c.key.protocol:
            raise KlipsError(f"eroute {c.key}: ports without a protocol")
        sa = self._cookie(c.target, Direction.OUT) if isinstance(c.target, Said) else 0
        device = self._devices.get(c.device)
        self._engine.set_eroute(
            raw_key(c.key),
            action_of(c.target),
            sa,
            device.slot if device else -1,
            self._note(c.owner, c.serial, c.device),
        )
        self._wait_no_more(c.key)
        if isinstance(c.target, Said) and not sa:
            self._wait(c.key, c.target)

    def _wait(self, key: FlowKey, said: Said) -> None:
        """An eroute names an SA that is not there."""
        self._waits_for[key] = said
        self._waiting.setdefault(said, set()).add(key)

    def _wait_no_more(self, key: FlowKey) -> None:
        said = self._waits_for.pop(key, None)
        if said is not None:
            self._waiting[said].discard(key)
            if not self._waiting[said]:
                del self._waiting[said]

    def _del_eroute(self, c: DelEroute) -> None:
        found = self._engine.del_eroute(raw_key(c.key))
        self._wait_no_more(c.key)
        if not found:
            raise KlipsError(f"eroute {c.key} doesn't exist.  Can't delete.")

    def _flush(self, c: Flush) -> None:
        for row in self._engine.eroutes():
            self._engine.del_eroute(row[0])
        self._waits_for.clear()
        self._waiting.clear()
        for cookie in self._engine.cookies():
            self._bundles.remove(cookie)
            self._engine.del_sa(cookie)

    # --- devices and sockets

    def _attach_device(self, c: AttachDevice) -> None:
        if c.name in self._devices:
            raise KlipsError(f"{c.name} is already attached.  Detach it first.")
        slot = _free(DEVICES, {d.slot for d in self._devices.values()}, "virtual interfaces")
        try:
            self._engine.attach_device(slot, c.fds, c.mtu)
        except ValueError as why:
            raise KlipsError(f"{c.name}: {why}") from None
        self._devices[c.name] = _Device(c, slot)
        for row in self._rows():
            if row.note.device == c.name:
                self._engine.set_sa_device(row.cookie, slot)

    def _move_device(self, c: MoveDevice) -> None:
        device = self._devices.get(c.name)
        if device is None:
            raise KlipsError(f"{c.name} is not attached")
        device.command = replace(device.command, physical=c.physical)
        device.physical_mtu = c.physical_mtu
        self._engine.set_device_mtu(device.slot, device.command.mtu, c.physical_mtu)

    def _detach_device(self, c: DetachDevice) -> None:
        device = self._devices.pop(c.name, None)
        if device is None:
            raise KlipsError(f"{c.name} is not attached")
        for row in self._rows():
            if row.note.device == c.name:
                self._engine.set_sa_device(row.cookie, -1)
        self._engine.detach_device(device.slot)

    def _attach_socket(self, c: AttachSocket) -> None:
        if (c.local, c.protocol) in self._sockets:
            raise KlipsError(f"socket {c.local} is already attached.  Detach it first.")
        slot = _free(SOCKETS, {taken for taken, _ in self._sockets.values()}, "sockets")
        try:
            self._engine.attach_socket(
                slot,
                c.fds,
                c.spread,
                c.local.address.version,
                c.local.address.packed,
                c.local.port,
                c.mtu,
                int(c.protocol),
            )
        except ValueError as why:
            raise KlipsError(f"socket {c.local}: {why}") from None
        self._sockets[c.local, c.protocol] = (slot, c)
        self._renew_paths()

    def _detach_socket(self, c: DetachSocket) -> None:
        found = self._sockets.pop((c.local, c.protocol), None)
        if found is None:
            raise KlipsError(f"socket {c.local} is not attached")
        self._renew_paths()
        self._engine.detach_socket(found[0])

    def _attach_pass(self, c: AttachPass) -> None:
        self._engine.attach_pass(c.version, c.fd)

    # --- events

    def event_fd(self) -> int:
        """A descriptor that is readable while events wait; for waiting only, poll_events reads it."""
        return self._engine.event_fd()

    def poll_events(self) -> list[KlipsEvent]:
        """Every event that waits, oldest first; those of SAs removed meanwhile are left out."""
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
            owner = self._note_of(cookie)
            key = flow_key(trap)
            return Acquire(
                flow_key(flow), key, owner.device if owner else self._device_name(number), owner.owner if owner else ""
            )
        if kind in (UNKNOWN_SPI, IKE):
            local = next((c.local for taken, c in self._sockets.values() if taken == slot), None)
            if local is None or remote is None:
                return None
            if kind == IKE:
                return IkeDatagram(local, endpoint(remote), data)
            return UnknownSpi(local, endpoint(remote), number)
        if kind == OFFLOAD:
            local = next((c.local for taken, c in self._sockets.values() if taken == slot), None)
            return OffloadRefused(
                self._device_name(slot) if number else f"UDP {local}", OFFLOADS.get(number, "UDP_SEGMENT")
            )
        try:
            said = self._row(cookie).said
        except KeyError:
            return None
        if kind == EXPIRED:
            return SaExpired(said, bool(number))
        if kind == FIRST_USE:
            return SaFirstUse(said)
        if kind == NEW_MAPPING and remote:
            return NewMapping(said, endpoint(remote))
        return None

    def _device_name(self, slot: int) -> str:
        return next((name for name, device in self._devices.items() if device.slot == slot), "")

    # --- tables

    def sas(self) -> list[SaView]:
        """Rows of the SA table, in the order they were added."""
        return [self._sa_view(row) for row in self._rows()]

    def sa(self, said: Said) -> SaView | None:
        """The row of one SA, or None."""
        cookie = self._find(said)
        return self._sa_view(self._row(cookie)) if cookie else None

    def _sa_view(self, row: SaRow) -> SaView:
        packets, octets, sequence, replays, auth, selector, age, idle, bits, _, alarms = self._engine.sa(row.cookie)
        return SaView(
            said=row.said,
            src=row.src,
            direction=row.direction,
            cipher=row.cipher,
            integ=row.integ,
            key_bits=bits,
            esn=row.esn,
            replay_window=row.window,
            encap_ports=row.ports,
            device=row.note.device,
            owner=row.note.owner,
            serial=row.note.serial,
            packets=packets,
            octets=octets,
            sequence=sequence,
            replays=replays,
            auth_failures=auth,
            selector_failures=selector,
            age=age,
            idle=idle,
            path_mtu=row.path_mtu,
            inner_mtu=row.inner_mtu,
            ecn_alarms=alarms,
            mode=row.mode,
            life=row.life,
            policy=row.selectors[0] if len(row.raw_selectors) == 1 else None,
            group=tuple(self._row(cookie).said for cookie in self._bundles.of(row.cookie)),
        )

    def selectors(self, said: Said) -> tuple[tuple[Selector, Selector], ...]:
        """What may come out of an inbound SA, or nothing when there is none."""
        cookie = self._cookie(said, Direction.IN)
        return self._row(cookie).selectors if cookie else ()

    def eroutes(self) -> list[ErouteView]:
        """Rows of the eroute table, the engine's own holds too; sorted by key."""
        views = [self._eroute_view(row) for row in self._engine.eroutes()]
        return sorted(views, key=lambda v: raw_key(v.key))

    def _note_of(self, cookie: int) -> Note | None:
        return cast("Note | None", self._engine.note(cookie))

    def _eroute_view(self, row: tuple[RawKey, int, int, int, int, float, int, int, int]) -> ErouteView:
        raw, action, cookie, trap, packets, idle, held, slot, sa = row
        owner = self._note_of(cookie) or self._note_of(trap)
        key = flow_key(raw)
        said = self._row(sa).said if sa else self._waits_for.get(key)
        return ErouteView(
            key=key,
            target=target_of(action, said),
            device=owner.device if owner else self._device_name(slot),
            owner=owner.owner if owner else "",
            serial=owner.serial if owner else 0,
            packets=packets,
            idle=idle,
            held=held,
        )

    def eroute(self, key: FlowKey) -> SetEroute | None:
        """The command that made the eroute of exactly this key, or would have made the engine's own hold; or None."""
        row = self._engine.find_eroute(raw_key(key))
        if row is None:
            return None
        found = self._eroute_view(row)
        return SetEroute(key, found.target, found.device, found.owner, found.serial)

    def match(self, flow: FlowKey) -> ErouteView | None:
        """The eroute a packet of this concrete flow would meet, or None."""
        row = self._engine.match(raw_flow(flow))
        return None if row is None else self._eroute_view(row)

    def devices(self) -> list[DeviceView]:
        """Rows of the virtual interface table."""
        views = []
        for name, device in sorted(self._devices.items()):
            rx, tx, mtu, tso, uso = self._engine.device(device.slot)
            physical = device.physical_mtu or max((s.mtu for _, s in self._sockets.values()), default=0)
            offloads = tuple(word for word, there in (("TSO", tso), ("USO", uso)) if there)
            c = device.command
            views.append(DeviceView(name, c.physical, mtu, physical, rx, tx, len(c.fds), offloads))
        return views

    def worker_packets(self) -> list[tuple[int, int]]:
        """Packets each worker wrote to and read from virtual interfaces."""
        return self._engine.worker_packets()

    def drops(self) -> dict[Drop, int]:
        """Packets dropped so far, by reason; reasons that never happened are there with 0."""
        counters = self._engine.drops()
        return {reason: counters[reason] for reason in Drop if reason is not Drop.NONE}


def _check_mtu(said: Said, mtu: int) -> None:
    least = LEAST_MTU[said.dst.version]
    if not least <= mtu <= 65535:
        raise KlipsError(f"SA {said}: path MTU {mtu} is not within {least} to 65535")


def _free(limit: int, taken: set[int], what: str) -> int:
    for slot in range(limit):
        if slot not in taken:
            return slot
    raise KlipsError(f"no more than {limit} {what} at once")
