# SPDX-License-Identifier: GPL-2.0-or-later
"""The SA table: what may be added, in the classic words when not; SAs are kept by the compiled engine alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from _fast.cipher import CIPHERS, INTEGS
from _fast.pump import Engine
from openswan.base.address import Address, Endpoint
from openswan.base.errors import KlipsError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.crypto.registry import Kind
from openswan.klips.algorithms import keys_wanted, why_not
from openswan.klips.bundles import DEFLATE, Bundles, check_kind
from openswan.klips.keys import IN_STREAM, encapsulation, raw_selector
from openswan.klips.ports import LEAST_MTU, Ports
from openswan.klips.rows import Note, SaRow
from openswan.plane.commands import (
    AddSa,
    Direction,
    Encap,
    ExpectSpi,
    GroupSas,
    Mode,
    MoveSa,
    SendDummy,
    SetPathMtu,
    SetSelectors,
)
from openswan.plane.events import SaView
from openswan.policy.selector import Selector

MAX_WINDOW = 4096
MAX_TFC = 9000
"""Limits of _fast.types."""


class Sas:
    """SAs of one engine. `note(owner, serial, device)` is what an SA is marked with."""

    def __init__(self, engine: Engine, ports: Ports, note: Callable[[str, int, str], Note]) -> None:
        self._engine = engine
        self._ports = ports
        self._note = note
        self._bundles = Bundles(engine.link_sa, self.row)

    # --- looking

    def cookie(self, said: Said, direction: Direction) -> int:
        """The engine's own number of an SA; 0: there is none."""
        return self._engine.find_sa(direction is Direction.IN, int(said.proto), said.spi, said.dst.packed)

    def find(self, said: Said, first: Direction = Direction.OUT) -> int:
        """The cookie of an SA, preferably of this direction; 0: there is none."""
        other = Direction.IN if first is Direction.OUT else Direction.OUT
        return self.cookie(said, first) or self.cookie(said, other)

    def row(self, cookie: int) -> SaRow:
        """What the engine knows of it; KeyError: it has gone."""
        return SaRow(*self._engine.describe(cookie))

    def rows(self) -> Iterator[SaRow]:
        """Every one, in the order they were added."""
        return map(self.row, self._engine.cookies())

    def view(self, row: SaRow) -> SaView:
        """A row with its counters."""
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
            group=tuple(self.row(cookie).said for cookie in self._bundles.of(row.cookie)),
            in_stream=row.encap == IN_STREAM,
        )

    def selectors(self, said: Said) -> tuple[tuple[Selector, Selector], ...]:
        """What may come out of an inbound SA, or nothing when there is none."""
        cookie = self.cookie(said, Direction.IN)
        return self.row(cookie).selectors if cookie else ()

    # --- coming and going

    def add(self, c: AddSa) -> int:
        """Its cookie; KlipsError when it cannot be."""
        if self.cookie(c.said, c.direction):
            raise KlipsError(f"SA {c.said} already in use.  Delete old one first.")
        _check(c)
        ports = c.encap or Encap(0, 0)
        ends = Endpoint(c.src, ports.src_port, ports.stream), Endpoint(c.said.dst, ports.dst_port, ports.stream)
        local, remote = ends if c.direction is Direction.OUT else ends[::-1]
        try:
            return self._engine.add_sa(
                {
                    "proto": int(c.said.proto),
                    "spi": c.said.spi,
                    "dst": c.said.dst.packed,
                    "inbound": c.direction is Direction.IN,
                    "transport": c.mode is Mode.TRANSPORT,
                    "original": b"".join(each.packed for each in c.original or ()),
                    "alias": b"".join(each.packed for each in c.alias or ()),
                    "cipher": CIPHERS.get(c.cipher, CIPHERS["null"]),
                    "key": c.enc_key,
                    "integ": INTEGS[c.integ],
                    "auth": c.auth_key,
                    "esn": c.esn,
                    "window": c.replay_window,
                    "device": self._ports.slot_of(c.device),
                    "partner": c.peer_said.spi if c.peer_said else 0,
                    "selectors": [raw_selector(src, dst) for src, dst in c.selectors],
                    "path": self._ports.path(c.said.proto, local, remote, encapsulation(c.encap), c.mtu, c.unproven),
                    "mtu": c.mtu,
                    "unproven": c.unproven,
                    "bundled": c.bundled,
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

    def expect(self, c: ExpectSpi) -> None:
        """Packets of an SPI of ours may come before its SA is there; or no more."""
        if c.withdrawn:
            self._engine.expect_no_more(c.said.proto, c.said.spi)
        elif not self.cookie(c.said, Direction.IN):
            self._engine.expect_spi(c.said.proto, c.said.spi)

    def remove(self, cookie: int) -> None:
        """An SA goes, and what was bundled with it carries nothing any more."""
        self._bundles.remove(cookie)
        self._engine.del_sa(cookie)

    # --- changing

    def move(self, c: MoveSa) -> None:
        """Other outer addresses or ports."""
        cookie = self.find(c.said)
        if not cookie:
            raise KlipsError(f"SA {c.said} does not exist.  Cannot move.")
        if c.src.address.version != c.dst.address.version:
            raise KlipsError(f"SA {c.said}: {c.src} and {c.dst} are not of one address family")
        row = self.row(cookie)
        local, remote = (c.dst, c.src) if row.inbound else (c.src, c.dst)
        encap = encapsulation(Encap(c.src.port, c.dst.port, c.src.stream) if c.src.port or c.dst.port else None)
        path = self._ports.path(c.said.proto, local, remote, encap, row.kept_mtu, row.unproven)
        try:
            self._engine.move_sa(cookie, path)
        except KeyError:
            raise KlipsError(f"SA {c.said}: another SA of its SPI is in use at {c.dst.address}.") from None

    def group(self, c: GroupSas) -> None:
        """Make a bundle."""
        for direction in (Direction.OUT, Direction.IN):
            members = [self.cookie(said, direction) for said in c.saids]
            if all(members):
                self._bundles.group(members)
                return
        missing = [said for said in c.saids if not self.find(said)]
        raise KlipsError(
            f"SA {missing[0]} does not exist.  Cannot group."
            if missing
            else f"SAs {' '.join(map(str, c.saids))} are not of one direction.  Cannot group."
        )

    def set_selectors(self, c: SetSelectors) -> None:
        """What may come out of an inbound SA from now on."""
        cookie = self.find(c.said, Direction.IN)
        if not cookie:
            raise KlipsError(f"SA {c.said} does not exist.  Cannot set its selectors.")
        self._engine.set_selectors(cookie, [raw_selector(src, dst) for src, dst in c.selectors])

    def send_dummy(self, c: SendDummy) -> None:
        """A packet that proves to the peer that ESP arrives."""
        cookie = self.cookie(c.said, Direction.OUT)
        if not cookie:
            raise KlipsError(f"SA {c.said} does not exist.  It cannot be tried.")
        try:
            self._engine.send_dummy(cookie)
        except ValueError as why:
            raise KlipsError(f"SA {c.said} cannot be tried: {why}") from None

    def set_path_mtu(self, c: SetPathMtu) -> None:
        """The path of an outbound SA, and of the inbound one beside it, has been measured."""
        _check_mtu(c.said, c.mtu)
        cookie = self.cookie(c.said, Direction.OUT)
        if not cookie:
            raise KlipsError(f"SA {c.said} does not exist.  Its path cannot be set.")
        for each in (cookie, self._engine.partner(cookie)):
            if each:
                self._engine.keep_mtu(each, c.mtu, False)
                self._renew(self.row(each))

    def renew_paths(self) -> None:
        """Sockets came or went: every SA finds its own again."""
        for row in self.rows():
            self._renew(row)

    def renew_paths_between(self, local: Address, remote: Address) -> None:
        """The next hop of raw ESP between these addresses is another."""
        for cookie in self._engine.sent_to(local.packed, remote.packed):
            self._renew(self.row(cookie))

    def _renew(self, row: SaRow) -> None:
        path = self._ports.path(IpProtocol(row.proto), *row.ends, row.encap, row.kept_mtu, row.unproven)
        self._engine.move_sa(row.cookie, path)

    def place(self, device: str, slot: int) -> None:
        """A device has come, or gone (-1): SAs that name it know."""
        for row in self.rows():
            if row.note.device == device:
                self._engine.set_sa_device(row.cookie, slot)


def _check(c: AddSa) -> None:
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
    if c.alias and len({a.version for a in c.alias}) != 1:
        raise KlipsError(f"SA {c.said}: {c.alias[0]} cannot be known as {c.alias[1]}, which is of the other family")
    if not 0 <= c.tfc <= MAX_TFC:
        raise KlipsError(f"SA {c.said}: tfc {c.tfc} is not within 0 to {MAX_TFC}")
    if c.mtu:
        _check_mtu(c.said, c.mtu)


def _check_mtu(said: Said, mtu: int) -> None:
    least = LEAST_MTU[said.dst.version]
    if not least <= mtu <= 65535:
        raise KlipsError(f"SA {said}: path MTU {mtu} is not within {least} to 65535")
