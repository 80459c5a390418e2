# SPDX-License-Identifier: GPL-2.0-or-later
"""Carries out what the table commands order: SAs, bundles, eroutes and inbound policy made by hand.

Everything goes through the packet engine's commands. pluto's own SAs and eroutes may be deleted or replaced too, as in
the old days; that is logged, and pluto finds out when it next wants to change them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from openswan.base.address import Address, any_subnet
from openswan.base.errors import ConfigError, KlipsError
from openswan.base.interval import Instant
from openswan.base.numbers import IpProtocol
from openswan.base.said import Said
from openswan.engine.events import Interface
from openswan.plane.commands import (
    AddSa,
    Command,
    DelEroute,
    DelSa,
    Direction,
    Encap,
    GroupSas,
    Life,
    Mode,
    SetEroute,
    SetSelectors,
)
from openswan.plane.events import ErouteView, SaView
from openswan.plane.orders import (
    Change,
    ClearEroutes,
    ClearSas,
    Debug,
    DropSa,
    ErouteOrder,
    Group,
    Limits,
    NewSa,
    Order,
    Wire,
)
from openswan.policy.selector import FlowKey, Selector

OWNER = "%manual"
"""In listings, of what the table commands make: no conn can have this name."""
IN_USE = "already in use.  Delete old one first."
ANYTHING = tuple((Selector.of(any_subnet(version)), Selector.of(any_subnet(version))) for version in (4, 6))
"""What may come out of an inbound SA as long as no inbound policy names it."""
NO_IPIP = "non-existant IPIP SA."


class Engine(Protocol):
    """The part of klips.Klips this needs."""

    def execute(self, command: Command) -> None:
        """Carry out one command; KlipsError when refused."""

    def sas(self) -> Sequence[SaView]:
        """Rows of the SA table."""

    def eroutes(self) -> Sequence[ErouteView]:
        """Rows of the eroute table."""

    def eroute(self, key: FlowKey) -> SetEroute | None:
        """What made the eroute of exactly this key."""

    def sa(self, said: Said) -> SaView | None:
        """The row of one SA."""


@dataclass
class _Timed:
    """A manual SA with limits of time."""

    limits: Limits
    added: Instant
    first_used: Instant | None = None
    told: bool = False


@dataclass
class Keying:
    """The tables by hand. `interfaces` gives the host's interfaces with their ipsecN, `wire` changes those."""

    engine: Engine
    log: Callable[[str, bool], None]
    interfaces: Callable[[], Iterable[Interface]]
    wire: Callable[[Wire], None]
    debug: Callable[[Debug], None]
    now: Callable[[], Instant]
    hide_tos: bool = True
    """hidetos= of config setup."""
    bare: Callable[[Address], None] = lambda address: None
    """IP in IP will come to this address: what an IPComp SA with nothing round it could not compress."""
    manual: set[Said] = field(default_factory=set)
    """SAs made here."""
    policies: dict[FlowKey, Said] = field(default_factory=dict)
    """Inbound policy: what may come out of which SA."""
    timed: dict[Said, _Timed] = field(default_factory=dict)

    def carry_out(self, order: Order, owner: str = OWNER) -> None:
        """Do it; ConfigError or KlipsError in one line when it cannot be done, and then nothing has changed."""
        if isinstance(order, NewSa):
            self._new_sa(order, owner)
        elif isinstance(order, DropSa):
            self.drop_sa(order.said)
        elif isinstance(order, ClearSas):
            for view in self.engine.sas():
                self.drop_sa(view.said)
        elif isinstance(order, Group):
            self._group(order)
        elif isinstance(order, ErouteOrder):
            (self._policy if order.change.inbound else self._eroute)(order, owner)
        elif isinstance(order, ClearEroutes):
            for row in self.engine.eroutes():
                self._del_eroute(SetEroute(row.key, row.target, row.device, row.owner, row.serial))
        elif isinstance(order, Wire):
            self.wire(order)
        elif isinstance(order, Debug):
            self.debug(order)

    # -- SAs ----------------------------------------------------------------------------------------------------------

    def _interface(self, address: Address) -> Interface | None:
        return next((each for each in self.interfaces() if any(address == own for own, _ in each.addresses)), None)

    def _local(self, version: int) -> Address:
        for each in self.interfaces():
            for address, _ in each.addresses:
                if address.version == version and each.virtual:
                    return address
        raise ConfigError("no address of ours to send from: name one with --src")

    def _new_sa(self, order: NewSa, owner: str) -> None:
        said = order.said
        if self.engine.sa(said):
            raise KlipsError(f"SA {IN_USE} ({said})")
        here = self._interface(said.dst)
        if here is not None:
            direction, src = Direction.IN, order.src
            if src is None:
                raise ConfigError(f"SA {said} ends here: name where it comes from with --src")
        else:
            direction, src = Direction.OUT, order.src or self._local(said.dst.version)
            here = self._interface(src)
            if here is None:
                raise ConfigError(f"neither {src} nor {said.dst} is an address of ours")
        limits = order.limits
        self.engine.execute(
            AddSa(
                said=said,
                src=src,
                direction=direction,
                cipher=order.cipher,
                enc_key=order.enc_key,
                integ=order.integ,
                auth_key=order.auth_key,
                esn=order.esn,
                replay_window=order.replay_window,
                encap=Encap(*order.natt) if order.natt else None,
                device=order.device or here.virtual or "ipsec0",
                owner=owner,
                mode=order.mode,
                copy_dscp=not self.hide_tos and direction is Direction.OUT,
                selectors=ANYTHING if direction is Direction.IN else (),
                life=Life(limits.soft_bytes, limits.hard_bytes, limits.soft_packets, limits.hard_packets),
            )
        )
        if (said.proto, order.mode, direction) == (IpProtocol.COMP, Mode.TUNNEL, Direction.IN):
            self.bare(said.dst)
        self.manual.add(said)
        if limits.timed:
            self.timed[said] = _Timed(limits, self.now())

    def drop_sa(self, said: Said) -> None:
        """Delete one SA; KlipsError when there is none."""
        found = self.engine.sa(said)
        if found is None:
            raise KlipsError(f"SA does not exist.  Cannot delete. ({said})")
        if said not in self.manual:
            self.log(f'SA {said} of "{found.owner}" #{found.serial} was deleted by hand', False)
        self.engine.execute(DelSa(said))
        self.manual.discard(said)
        self.timed.pop(said, None)
        for flow in [flow for flow, owner in self.policies.items() if owner == said]:
            del self.policies[flow]

    def _group(self, order: Group) -> None:
        for said in order.saids:
            if self.engine.sa(said) is None:
                raise KlipsError(f"SA {said} does not exist.  Cannot group.")
        self.engine.execute(GroupSas(order.saids))

    # -- eroutes ------------------------------------------------------------------------------------------------------

    def _eroute(self, order: ErouteOrder, owner: str) -> None:
        found = self.engine.eroute(order.flow)
        if order.change is Change.DELETE:
            if found is None:
                raise KlipsError("eroute doesn't exist.  Can't delete.")
            self._del_eroute(found)
            return
        if order.change is Change.ADD and found is not None:
            raise KlipsError(f"eroute {IN_USE}")
        if order.change is Change.REPLACE and found is None:
            raise KlipsError("eroute doesn't exist.  Can't replace.")
        assert order.target is not None
        device = order.device or "ipsec0"
        if isinstance(order.target, Said):
            view = self._existing(order.target)
            if view.direction is not Direction.OUT:
                raise KlipsError(f"SA {order.target} is inbound: nothing can be sent through it")
            device = order.device or view.device
        if found is not None:
            self._told(found, "replaced")
        self.engine.execute(SetEroute(order.flow, order.target, device, owner))

    def _existing(self, said: Said) -> SaView:
        view = self.engine.sa(said)
        if view is None:
            raise KlipsError(NO_IPIP if said.proto is IpProtocol.IPIP else f"SA {said} does not exist.")
        return view

    def _del_eroute(self, found: SetEroute) -> None:
        self._told(found, "deleted")
        self.engine.execute(DelEroute(found.key))

    def _told(self, found: SetEroute, what: str) -> None:
        if found.owner and found.serial:
            self.log(f'eroute {found.key} of "{found.owner}" #{found.serial} was {what} by hand', False)

    # -- inbound policy -----------------------------------------------------------------------------------------------

    def _policy(self, order: ErouteOrder, _owner: str) -> None:
        old = self.policies.get(order.flow)
        if order.change is Change.DELETE_IN:
            if old is None:
                raise KlipsError("eroute doesn't exist.  Can't delete.")
            del self.policies[order.flow]
            self._apply(old)
            return
        if order.change is Change.ADD_IN and old is not None:
            raise KlipsError(f"eroute {IN_USE}")
        if order.change is Change.REPLACE_IN and old is None:
            raise KlipsError("eroute doesn't exist.  Can't replace.")
        said = order.target
        assert isinstance(said, Said)
        if self._existing(said).direction is not Direction.IN:
            raise KlipsError(f"SA {said} is outbound: nothing arrives through it")
        self.policies[order.flow] = said
        if old is not None and old != said:
            self._apply(old)
        self._apply(said)

    def _apply(self, said: Said) -> None:
        pairs = tuple(
            (
                Selector.of(flow.src, flow.protocol, flow.src_port),
                Selector.of(flow.dst, flow.protocol, flow.dst_port),
            )
            for flow, owner in self.policies.items()
            if owner == said
        )
        if self.engine.sa(said) is not None:
            self.engine.execute(SetSelectors(said, pairs or ANYTHING))

    # -- lifetimes ----------------------------------------------------------------------------------------------------

    def expired(self, said: Said, hard: bool) -> bool:
        """The engine says that an SA has reached a limit; False: it is none of ours."""
        if said not in self.manual:
            return False
        self.log(f"SA {said} has reached its {'hard' if hard else 'soft'} limit" + (": deleted" if hard else ""), hard)
        if hard and self.engine.sa(said) is not None:
            self.drop_sa(said)
        return True

    def tick(self) -> None:
        """Enforce limits of time; to be called about once a second while `timed` holds any."""
        now = self.now()
        for said, timed in list(self.timed.items()):
            view = self.engine.sa(said)
            if view is None:
                self.timed.pop(said, None)
                continue
            if timed.first_used is None and view.packets:
                timed.first_used = now - max(0.0, view.idle)
            limits = timed.limits
            age = now - timed.added
            used = now - timed.first_used if timed.first_used is not None else -1.0
            if _reached(limits.hard_addtime, age) or _reached(limits.hard_usetime, used):
                self.expired(said, True)
            elif not timed.told and (_reached(limits.soft_addtime, age) or _reached(limits.soft_usetime, used)):
                timed.told = True
                self.expired(said, False)

    def forget(self, saids: Collection[Said]) -> None:
        """These have gone by another way."""
        self.manual.difference_update(saids)


def _reached(limit: int, value: float) -> bool:
    return bool(limit) and value >= limit
