# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual interfaces: which there are, on what they stand, and how they follow the network, tncfg, and mishaps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from openswan.base.errors import HostError, KlipsError
from openswan.daemon.wanted import Wanted
from openswan.engine.events import Interface, NetworkState
from openswan.host import devices, tun
from openswan.host.netlink import changes, network_state
from openswan.host.resolvconf import ResolvConf
from openswan.host.routes import Routes
from openswan.klips.engine import Klips
from openswan.plane.commands import AttachDevice, DetachDevice, MoveDevice, SetMtu
from openswan.plane.manual import ManualPlan
from openswan.plane.orders import Wire, Wiring
from openswan.policy.onlink import Links, OnLink

DETACHED_MTU = 1500
"""Of an ipsecN that has never stood on anything, octets."""


class Interfaces:
    """Those of one gateway. `tell` hears what the network looks like after every change."""

    def __init__(
        self,
        wanted: Wanted,
        klips: Klips,
        routes: Routes,
        tell: Callable[[NetworkState], None],
        log: Callable[[str, bool], None],
    ) -> None:
        self._wanted = wanted
        self._klips = klips
        self._routes = routes
        self._tell = tell
        self._log = log
        self._attached: dict[str, tun.Plan] = {}
        self._index: dict[str, int] = {}
        """The kernel's numbers of them; 0: deleted by somebody, and not made anew yet."""
        self._by_hand: dict[str, str] = {}
        self._network = self._seen = NetworkState((), ())
        self._around = OnLink()
        """The nets of links, whatever routers are within them."""
        self._complained: frozenset[str] = frozenset()
        self._strangers: dict[str, str] = {}
        """Virtual interfaces beside those of interfaces=, and the physical ones they stand on."""
        self._resolvers = ResolvConf()

    def all(self) -> tuple[Interface, ...]:
        """The host's interfaces with their ipsecN."""
        return self._network.interfaces

    def mtu_of(self, interface: str) -> int:
        """Octets; 1500 for one that is not there."""
        return next((each.mtu for each in self._network.interfaces if each.name == interface), 1500)

    def device_of(self, plan: ManualPlan) -> str:
        """The ipsecN of a manually keyed conn; HostError: none."""
        for each in self._network.interfaces:
            if each.virtual and any(address == plan.me for address, _ in each.addresses):
                return each.virtual
        raise HostError(f"{plan.me} is no address of an interface that has an ipsecN")

    # -- the network --------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """See what there is, for the first time."""
        self._take(await network_state(devices.is_virtual))

    async def follow(self, changed: Callable[[], None]) -> None:
        """Follow every change, which `changed` hears of first; when netlink fails, say so and try again."""
        while True:
            try:
                async for _ in changes(lambda: self._around):
                    changed()
                    self._heal()
                    state = await network_state(devices.is_virtual)
                    if state != self._seen:
                        self._take(state)
            except (HostError, KlipsError, OSError) as why:
                self._log(f"watching the network: {why}", True)
            await asyncio.sleep(1.0)

    def look_at_resolvers(self) -> None:
        """Tell when this host has other DNS servers than before."""
        servers = self._resolvers.servers()
        if servers != self._network.resolvers:
            self._network = replace(self._network, resolvers=servers)
            self._tell(self._network)

    def _take(self, state: NetworkState) -> None:
        """Give interfaces their ipsecN, make those there are to be, and tell pluto."""
        self._seen = state
        self._around = OnLink(Links(state.links.direct))
        prefer = (
            end.host.address
            for conn in self._wanted.connections or ()
            for end in (conn.left, conn.right)
            if end.host.address is not None
        )
        assigned = devices.assign(self._wanted.interfaces, state.interfaces, state.defaults, prefer, self._by_hand)
        for line in assigned.complaints:
            if line not in self._complained:
                self._log(line, True)
        self._complained = frozenset(assigned.complaints)
        before = {each.name: each.mtu for each in self._network.interfaces}
        self._network = replace(state, interfaces=assigned.interfaces, resolvers=self._resolvers.servers())
        named = {plan.name for plan in assigned.plans}
        mtus = {each.name: each.mtu for each in assigned.interfaces}
        plans = list(assigned.plans)
        plans += [
            tun.Plan(name, below, mtus[below])
            for name, below in self._strangers.items()
            if below in mtus and name not in named
        ]
        for name in self._attached.keys() - {plan.name for plan in plans}:
            # What it stood on has gone; it stays, so that nothing it was to carry finds another way.
            self._have(tun.Plan(name, "", 0))
        plans = [replace(plan, mtu=self._wanted.override_mtu or plan.mtu) if plan.physical else plan for plan in plans]
        for plan in plans:
            self._have(plan)
        virtual = {plan.physical: plan.mtu for plan in plans}
        for each in assigned.interfaces:
            if before.get(each.name) != each.mtu:
                addresses = tuple(address for address, _ in each.addresses)
                self._klips.execute(SetMtu(each.name, each.mtu, virtual.get(each.name, each.mtu), addresses))
        self._tell(self._network)

    def beside(self, name: str, physical: str) -> None:
        """Have one more, for strangers; when it cannot be, what was to go through it is dropped."""
        self._strangers = {name: physical}
        try:
            self._take(self._seen)
        except (HostError, KlipsError, OSError) as why:
            self._log(f"{name} for strangers cannot be had: {why}", True)

    def _have(self, plan: tun.Plan) -> None:
        old = self._attached.get(plan.name)
        if old is not None and old.physical == plan.physical and plan.mtu in (0, old.mtu):
            return
        mtu = plan.mtu or (old.mtu if old else 0) or DETACHED_MTU
        if old is None:
            self._attach(plan.name, plan.physical, mtu)
        if old is None or old.physical != plan.physical:
            self._klips.execute(MoveDevice(plan.name, plan.physical, plan.mtu))
            self._log(f"KLIPS {plan.name} on {plan.physical or 'no interface'} mtu {mtu}", False)
        if below := next((each for each in self._network.interfaces if each.name == plan.physical), None):
            addresses = tuple(address for address, _ in below.addresses)
            self._klips.execute(SetMtu(plan.physical, below.mtu, mtu, addresses))
        plan = replace(plan, mtu=mtu)
        self._attached[plan.name] = plan
        self._configure(plan)

    def _attach(self, name: str, physical: str, mtu: int) -> None:
        queues = tun.open_queues(name, self._klips.workers)
        self._klips.execute(AttachDevice(name, physical, queues, mtu))
        self._index[name] = tun.index_of(name)

    def _configure(self, plan: tun.Plan) -> None:
        for line in tun.configure(plan.name, plan.mtu):
            self._log(line, True)
        self._routes.setup(plan.name, [each.name for each in self._network.interfaces])

    def _heal(self) -> None:
        """Make those anew that somebody else has deleted; what was to go through them is dropped until then."""
        for name, plan in self._attached.items():
            if self._index[name] and self._index[name] == tun.index_of(name):
                continue
            if self._index[name]:
                self._index[name] = 0
                self._klips.execute(DetachDevice(name))
                self._log(f"KLIPS {name} is gone: it is made anew", True)
            self._attach(name, plan.physical, plan.mtu)
            self._klips.execute(MoveDevice(name, plan.physical, self.mtu_of(plan.physical) if plan.physical else 0))
            self._configure(plan)

    # -- by hand ------------------------------------------------------------------------------------------------------

    def wire(self, order: Wire) -> None:
        """tncfg: put a virtual interface on a physical one, or take it off."""
        wiring, virtual, physical = order.wiring, order.virtual, order.physical
        present = {each.name for each in self._seen.interfaces}
        if wiring is Wiring.ATTACH:
            if physical not in present:
                raise KlipsError(f"there is no interface {physical}")
            taken = next((name for name, below in self._by_hand.items() if below == physical and name != virtual), "")
            if taken:
                raise KlipsError(f"{taken} stands on {physical} already")
            self._by_hand[virtual] = physical
        elif wiring is Wiring.CREATE:
            if virtual in self._attached:
                raise KlipsError(f"{virtual} exists already")
            self._by_hand[virtual] = ""
        elif wiring is Wiring.CLEAR:
            self._by_hand |= dict.fromkeys(self._attached, "")
        elif virtual not in self._attached:
            raise KlipsError(f"there is no {virtual}: ipsec tncfg --create {virtual} makes it")
        elif wiring is Wiring.DETACH:
            self._by_hand[virtual] = ""
        else:
            self._delete(virtual)
            return
        self._take(self._seen)

    def _delete(self, name: str) -> None:
        users = sum(row.device == name for row in self._klips.eroutes())
        if users:
            raise KlipsError(f"{name} is in use by {users} eroutes: delete them first")
        if name not in self._by_hand or name in {virtual for virtual, _ in self._wanted.interfaces}:
            raise KlipsError(f"ipsec.conf asks for {name}: it can be detached, not deleted")
        del self._by_hand[name], self._attached[name]
        self._klips.execute(DetachDevice(name))
        tun.remove_tun(name)
        self._take(self._seen)

    # -- the end ------------------------------------------------------------------------------------------------------

    def detach(self) -> None:
        """Close their queues; they stay."""
        for name in self._attached:
            if self._index[name]:
                self._klips.execute(DetachDevice(name))

    def remove(self) -> None:
        """Take them away."""
        for name in self._attached:
            try:
                tun.remove_tun(name)
            except HostError as why:
                self._log(str(why), True)
