# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP streams that carry IKE and ESP (RFC 9329): their table and their thread, made when the first one comes."""

from __future__ import annotations

from _fast.pump import Engine
from _fast.streams import Streams as Table
from openswan.base.address import Endpoint
from openswan.base.drops import Drop
from openswan.base.errors import KlipsError
from openswan.base.numbers import IpProtocol
from openswan.klips.keys import address
from openswan.klips.ports import Ports, all_streams
from openswan.klips.pump import Pump
from openswan.plane.commands import AttachSocket, AttachStream, DetachStream, KeepStream, SendInStream

MOST = 512
"""At once."""
SLOW = 10.0
"""Seconds in which a first whole message has to come."""
UNUSED = 60.0
"""Seconds in which an IKE SA has to come of a stream: as long as one may be half open."""
KEY_OCTETS = 48
"""Limit of _fast.streams."""
AF = {4: 2, 6: 10}
ENDINGS = {
    1: "closed by the peer or the network",
    2: "it did not begin with the prefix IKETCP",
    3: "a message of impossible length",
    4: "out of memory",
    5: f"no whole message within {SLOW:g} seconds",
    6: f"no IKE SA within {UNUSED:g} seconds",
}
"""Reasons of _fast.stream."""


def key_of(local: Endpoint, remote: Endpoint) -> bytes:
    """How the compiled engine names a stream: the peer's sockaddr, our address, our port; 48 octets."""
    packed = remote.address.packed
    name = AF[remote.address.version].to_bytes(2, "little") + remote.port.to_bytes(2, "big")
    name += packed if remote.address.version == 4 else bytes(4) + packed
    return name.ljust(28, b"\0") + local.address.packed.ljust(16, b"\0") + local.port.to_bytes(2, "big") + bytes(2)


def ends_of(key: bytes) -> tuple[Endpoint, Endpoint]:
    """Our end and the peer's."""
    four = int.from_bytes(key[:2], "little") == AF[4]
    there, here = (key[4:8], key[28:32]) if four else (key[8:24], key[28:44])
    local = Endpoint(address(here), int.from_bytes(key[44:46], "big"), stream=True)
    return local, Endpoint(address(there), int.from_bytes(key[2:4], "big"), stream=True)


class Streams:
    """Those of one engine."""

    def __init__(self, engine: Engine, ports: Ports) -> None:
        self._engine = engine
        self._ports = ports
        self._table: Table | None = None
        self._pump: Pump | None = None

    def attach(self, c: AttachStream) -> None:
        """Carry IKE and ESP in this one too."""
        try:
            self._started().add(key_of(c.local, c.remote), c.fd, c.originator)
        except KeyError:
            raise KlipsError(f"there is a TCP stream from {c.local} to {c.remote} already") from None
        except ValueError as why:
            raise KlipsError(str(why)) from None

    def _started(self) -> Table:
        if self._table is None:
            self._table = Table(self._engine, MOST, SLOW, UNUSED)
            for version in (4, 6):
                pair = (self._table.pair(version),)
                self._ports.attach_socket(AttachSocket(all_streams(version), pair, 0, protocol=IpProtocol.TCP))
        if self._pump is None:
            self._pump = Pump(self._table)
            self._pump.start()
        return self._table

    def keep(self, c: KeepStream) -> None:
        """An IKE SA uses it."""
        if self._table is not None:
            self._table.keep(key_of(c.local, c.remote))

    def detach(self, c: DetachStream) -> None:
        """Close it."""
        if self._table is not None:
            self._table.remove(key_of(c.local, c.remote))

    def send(self, c: SendInStream) -> None:
        """Send an IKE message, if there is a stream that takes it."""
        if self._table is not None:
            self._table.send(key_of(c.local, c.remote), c.data)

    def stop(self) -> None:
        """Stop the thread; streams stay."""
        if self._pump is not None:
            self._pump.stop()
            self._pump = None

    def drop(self, reason: Drop) -> int:
        """Messages dropped, or streams closed, for this reason."""
        return self._table.drops()[reason] if self._table is not None else 0
