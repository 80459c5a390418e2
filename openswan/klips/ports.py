# SPDX-License-Identifier: GPL-2.0-or-later
"""What the engine reads and writes: virtual interfaces and outer sockets, by the slots the compiled engine knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from _fast.pump import Engine
from openswan.base.address import Address, Endpoint
from openswan.base.errors import KlipsError
from openswan.base.numbers import NATT_PORT, IpProtocol
from openswan.klips.keys import IN_STREAM, RawPath
from openswan.klips.links import NO_HOP
from openswan.plane.commands import (
    AttachDevice,
    AttachLink,
    AttachPass,
    AttachSocket,
    DetachDevice,
    DetachSocket,
    MoveDevice,
    SetMtu,
)
from openswan.plane.events import DeviceView

DEVICES = 64
SOCKETS = 256
LEAST_MTU = {4: 576, 6: 1280}
"""Limits of _fast.types."""


@dataclass
class _Device:
    command: AttachDevice
    slot: int
    physical_mtu: int = 0
    """Of the interface below, octets; 0: not told."""


class Ports:
    """Devices and sockets of one engine.

    `hop(local, remote)` is the ethernet next hop of raw ESP as RawPath has it; `placed(name, slot)` hears that a device
    has come, or gone (-1); `moved()` that the path of any SA may be another now.
    """

    def __init__(
        self,
        engine: Engine,
        hop: Callable[[Address, Address], tuple[int, bytes]],
        placed: Callable[[str, int], None],
        moved: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._hop = hop
        self._placed = placed
        self._moved = moved
        self._devices: dict[str, _Device] = {}
        self._places: dict[str, int] = {}
        """Slots devices had last: eroutes name them, and a device that comes back should be the same to them."""
        self._sockets: dict[tuple[Endpoint, IpProtocol], tuple[int, AttachSocket]] = {}

    def slot_of(self, name: str) -> int:
        """Where a device is; -1: nowhere."""
        device = self._devices.get(name)
        return device.slot if device else -1

    def name_of(self, slot: int) -> str:
        """The device of a slot, or nothing."""
        return next((name for name, device in self._devices.items() if device.slot == slot), "")

    def local_of(self, slot: int) -> Endpoint | None:
        """Where the socket of a slot is bound; None: there is none."""
        return next((c.local for taken, c in self._sockets.values() if taken == slot), None)

    def path(
        self, proto: IpProtocol, local: Endpoint, remote: Endpoint, encap: int, kept: int, unproven: bool
    ) -> RawPath:
        """The way of an SA's packets: which socket, and what fits through.

        `kept` is the MTU known of the path (0: none); `unproven`: IPv6 packets are cut to the least of all.
        """
        version, slot, mtu = local.address.version, -1, 0
        wildcard = Endpoint(type(local.address)(0), local.port)
        # An IPIP header has no socket of its own: what leaves under it is another SA's.
        kind = proto if proto is not IpProtocol.IPIP else IpProtocol.ESP
        if encap == IN_STREAM:
            found = self._sockets.get((all_streams(version), IpProtocol.TCP))
            mtu = max((c.mtu for (at, _), (_, c) in self._sockets.items() if at.address == local.address), default=0)
        else:
            found = self._sockets.get((local, kind)) or self._sockets.get((wildcard, kind))
        if found:
            slot, mtu = found[0], mtu or found[1].mtu
        known = min(kept or mtu, mtu or kept)
        cut = LEAST_MTU[6] if unproven else known if known < mtu else 0
        hop = self._hop(local.address, remote.address) if proto is IpProtocol.ESP and not encap else NO_HOP
        ends = (version, local.address.packed, local.port, remote.address.packed, remote.port)
        return (*ends, encap, slot, known, cut, *hop)

    # --- devices

    def attach_device(self, c: AttachDevice) -> None:
        """A TUN and its queues, which are the engine's from now on."""
        if c.name in self._devices:
            raise KlipsError(f"{c.name} is already attached.  Detach it first.")
        slot = self._place(c.name)
        try:
            self._engine.attach_device(slot, c.fds, c.mtu)
        except ValueError as why:
            raise KlipsError(f"{c.name}: {why}") from None
        self._devices[c.name] = _Device(c, slot)
        self._places[c.name] = slot
        self._placed(c.name, slot)

    def _place(self, name: str) -> int:
        taken = {device.slot for device in self._devices.values()}
        last = self._places.get(name, -1)
        if last >= 0 and last not in taken:
            return last
        fresh = taken | {self._places[each] for each in self._places}
        return _free(DEVICES, fresh if len(fresh) < DEVICES else taken, "virtual interfaces")

    def move_device(self, c: MoveDevice) -> None:
        """It stands on another physical interface now."""
        device = self._devices.get(c.name)
        if device is None:
            raise KlipsError(f"{c.name} is not attached")
        device.command = replace(device.command, physical=c.physical)
        device.physical_mtu = c.physical_mtu
        self._engine.set_device_mtu(device.slot, device.command.mtu, c.physical_mtu)

    def detach_device(self, c: DetachDevice) -> None:
        """Close its queues."""
        device = self._devices.pop(c.name, None)
        if device is None:
            raise KlipsError(f"{c.name} is not attached")
        self._placed(c.name, -1)
        self._engine.detach_device(device.slot)

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

    # --- sockets

    def attach_socket(self, c: AttachSocket) -> None:
        """The sockets of one local endpoint, the engine's from now on."""
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
        self._moved()

    def detach_socket(self, c: DetachSocket) -> None:
        """Close them; their SAs are without a way out until others come."""
        found = self._sockets.pop((c.local, c.protocol), None)
        if found is None:
            raise KlipsError(f"socket {c.local} is not attached")
        self._moved()
        self._engine.detach_socket(found[0])

    def attach_pass(self, c: AttachPass) -> None:
        """The raw socket of %pass."""
        self._engine.attach_pass(c.version, c.fd)

    def attach_link(self, c: AttachLink) -> None:
        """The packet socket of raw ESP."""
        self._engine.attach_link(c.fd)

    def set_mtu(self, c: SetMtu) -> None:
        """An interface's MTU is another: that of its sockets, of the device on it, and of every path."""
        for key, (slot, socket) in list(self._sockets.items()):
            if key[0].address in c.addresses and socket.mtu != c.mtu:
                self._sockets[key] = (slot, replace(socket, mtu=c.mtu))
                self._engine.set_socket_mtu(slot, c.mtu)
        for device in self._devices.values():
            if device.command.physical == c.physical:
                device.command = replace(device.command, mtu=c.virtual_mtu)
                device.physical_mtu = c.mtu
                self._engine.set_device_mtu(device.slot, c.virtual_mtu, c.mtu)
        self._moved()


def all_streams(version: int) -> Endpoint:
    """Where the socket is bound that stands for all TCP streams of an address family."""
    return Endpoint(IPv4Address(0) if version == 4 else IPv6Address(0), NATT_PORT, stream=True)


def _free(limit: int, taken: set[int], what: str) -> int:
    for slot in range(limit):
        if slot not in taken:
            return slot
    raise KlipsError(f"no more than {limit} {what} at once")
