# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole gateway in one loop: pluto, the packet engine, the guard, routes, sockets and devices wired together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openswan.base.address import Address
from openswan.base.errors import HostError, IpsecError, KlipsError, WireError
from openswan.base.log import Rc
from openswan.config.secretsfile import load_secrets
from openswan.daemon import autostart
from openswan.daemon.keying import Keying
from openswan.daemon.klipsdebug import KlipsDebug, TracedKlips
from openswan.daemon.manual import PREFIX, Manual
from openswan.daemon.queries import Queries
from openswan.engine.effects import DelGuard, Effect, SetGuard
from openswan.engine.events import Datagram, EngineEvent, NetworkState, SecretsRead, SendFailed, WhackGone, WhackRequest
from openswan.engine.pluto import Pluto
from openswan.engine.settings import Settings
from openswan.host import clock, devices, tun
from openswan.host.conntrack import Conntrack
from openswan.host.ctlsock import ControlServer
from openswan.host.entropy import SystemRng
from openswan.host.explain import explain
from openswan.host.files import read_certificates
from openswan.host.guard.guard import Guard
from openswan.host.icmpsock import IcmpEar
from openswan.host.ikesock import OuterSockets, open_pass_socket
from openswan.host.netlink import changes, network_state
from openswan.host.perform import Parts, Performer
from openswan.host.reactor import Reactor
from openswan.host.resolver import Resolver
from openswan.host.routes import Routes
from openswan.host.rtnetlink import Rtnetlink
from openswan.host.updown import Updown, World
from openswan.plane.commands import AttachDevice, AttachPass, DetachDevice, MoveDevice, SetMtu
from openswan.plane.events import SaExpired
from openswan.plane.manual import ManualPlan, make_plan
from openswan.plane.orders import Wire, Wiring, plain_to_order
from openswan.policy.connection import Connection
from openswan.policy.manual import ManualConn
from openswan.wire.whack import decode_request

LETTING_GO = ("unroute", "delete")
"""Requests that end a connection's protection, also when a daemon before this one began it."""
DETACHED_MTU = 1500
"""Of an ipsecN that has never stood on anything, octets."""
STALE = 600.0
"""Seconds after which guard and routes of a road warrior that has not come back since a restart are given up."""


@dataclass(frozen=True, slots=True)
class Places:
    """Files of one gateway."""

    rundir: Path
    control: Path
    secrets: Path
    ipsec_d: Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """What command line and config setup ask for."""

    places: Places
    settings: Settings = field(default_factory=Settings)
    interfaces: tuple[tuple[str, str], ...] = ()
    listen: tuple[Address, ...] = ()
    """Use only these local addresses; empty: all."""
    override_mtu: int = 0
    """Of ipsecN, octets; 0: the physical interface's."""
    connections: tuple[Connection, ...] | None = None
    """What to load and bring up by ourselves; None: nothing, whack will tell."""
    manual: tuple[ManualConn, ...] = ()
    """Manually keyed conns of ipsec.conf."""


class Gateway:
    """One daemon. `run` returns when it has ended cleanly; HostError or KlipsError when it cannot begin."""

    def __init__(self, wanted: Wanted, log: Callable[[str, bool], None]) -> None:
        self._wanted = wanted
        self._log = log
        self._keep_guard = True
        self._guarded: set[str] = set()
        self._attached: dict[str, tun.Plan] = {}
        self._by_hand: dict[str, str] = {}
        self._assigned: frozenset[str] = frozenset()
        self._beating = False
        self._network = self._seen = NetworkState((), ())
        self._complained: frozenset[str] = frozenset()
        self.control = ControlServer(wanted.places.control, self._request, self._gone)

    async def run(self, ready: Callable[[], None], signals: bool = True) -> None:
        """Bring everything up, call `ready` once whack is answered, serve until told to stop, take it all down.

        `signals`: SIGTERM, SIGINT and SIGHUP are ours (only the main thread can have them).
        """
        loop = asyncio.get_running_loop()
        places, settings = self._wanted.places, self._wanted.settings
        self._klips = TracedKlips()
        self._debug = self._klips.debug = KlipsDebug(self._log, self._klips.drops)
        self._keying = Keying(
            self._klips, self._log, lambda: self._network.interfaces, self._wire, self._debug.change, clock.now
        )
        self._guard = Guard.open(rundir=places.rundir, ports=(settings.ike_port, settings.natt_port), log=self._log)
        # A start that fails leaves things as they were: guarded if a predecessor had guarded them.
        self._keep_guard = bool(self._guard.entries())
        self._routes = Routes(log=self._log)
        self._updown = Updown(World(self._routes, self._guard))
        self._manual = Manual(self._keying, self._perform, self._updown.run, self._log, self._device_of)
        self._tasks: set[asyncio.Task[None]] = set()
        self._performer = Performer(self._parts(), self._post)
        self._performer.sockets = OuterSockets(
            lambda local, remote, data: self._reactor.post(Datagram(local, remote, data)),
            lambda local, remote, why: self._reactor.post(SendFailed(local, remote, why)),
            self._performer.attach,
            self._performer.detach,
            settings.ike_port,
            settings.natt_port,
            self._klips.workers,
        )
        self._pluto = Pluto(SystemRng(), settings, clock.calendar_of)
        self._icmp = IcmpEar(self._post)
        self._reactor = Reactor(self._pluto, self._perform, self._log)
        tables = {"klipsdebug": (self._debug.text, self._debug.rows)}
        self._queries = Queries(self._klips, self._explain, self._guard.counters, tables)
        try:
            self._klips.start()
            self._attach_pass()
            loop.add_reader(self._klips.event_fd(), self._klips_events)
            self._listen_to_icmp()
            self._take_network(await network_state(devices.is_virtual))
            self._autostart()
            if self._performer.in_use:
                raise HostError(self._performer.in_use[0])
            self._keep_guard = True
            self._guard.start()
            self._routes.start()
            watching = loop.create_task(self._follow_network())
            await self.control.serve()
            if signals:
                self._take_signals()
            ready()
            await self._reactor.run()
            watching.cancel()
        finally:
            await self._end()

    def _parts(self) -> Parts:
        places = self._wanted.places
        return Parts(
            engine=self._klips,
            guard=self._guard,
            control=self.control,
            run_updown=self._updown.run,
            resolve=Resolver().look_up,
            read_secrets=lambda client: SecretsRead(*load_secrets(places.secrets), client),
            read_certificates=lambda client: read_certificates(places.ipsec_d, client),
            flush_conntrack=Conntrack().flush,
            log=self._log,
            shutdown=self._shutdown,
            interface_mtu=self._mtu_of,
            listen_only=self._wanted.listen,
        )

    # -- events -------------------------------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, SetGuard):
            self._guarded.add(effect.connection)
        elif isinstance(effect, DelGuard):
            self._guarded.discard(effect.connection)
        self._performer(effect)

    def _post(self, event: EngineEvent) -> None:
        self._reactor.post(event)

    def _klips_events(self) -> None:
        events = []
        for event in self._klips.poll_events():
            if not (isinstance(event, SaExpired) and self._keying.expired(event.said, event.hard)):
                events.append(event)
        self._reactor.post_all(events)

    def _request(self, client: int, line: bytes) -> None:
        """One whack request: the packet engine's tables are answered here, everything else is pluto's."""
        try:
            verb, arguments = decode_request(line)
        except WireError as why:
            self.control.reply(client, Rc.WHACK_PROBLEM, f"whack error: {why}")
            self.control.finish(client)
            return
        if self._queries.knows(verb):
            for code, text in self._queries.answer(verb, arguments):
                self.control.reply(client, code, text)
            self.control.finish(client)
            return
        if verb == "klips":
            try:
                self._keying.carry_out(plain_to_order(arguments))
            except IpsecError as why:
                self.control.reply(client, Rc.WHACK_PROBLEM, str(why))
            self.control.finish(client)
            self._beat()
            return
        if verb == "manual":
            self._start(self._manual_request(client, arguments))
            return
        if verb in LETTING_GO:
            self._let_go(str(arguments.get("name")))
        self._reactor.post(WhackRequest(client, verb, arguments))

    def _explain(self, src: Address, dst: Address, protocol: int, port: int) -> tuple[list[str], dict[str, Any]]:
        netlink = Rtnetlink()
        try:
            return explain(src, dst, protocol, port, self._klips.eroutes(), self._guard, netlink)
        finally:
            netlink.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _manual_request(self, client: int, arguments: dict[str, Any]) -> None:
        await self._manual.request(arguments, lambda code, text: self.control.reply(client, code, text))
        self.control.finish(client)
        self._beat()

    async def _manual_start(self) -> None:
        """What ipsec.conf marks with auto=manual comes up with the daemon."""
        ours = [address for each in self._network.interfaces for address, _ in each.addresses]
        for conn in self._wanted.manual:
            if conn.start:
                try:
                    await self._manual.up(make_plan(conn, ours))
                except IpsecError as why:
                    self._log(f'"{conn.name}": {why}', True)

    def _device_of(self, plan: ManualPlan) -> str:
        for each in self._network.interfaces:
            if each.virtual and any(address == plan.me for address, _ in each.addresses):
                return each.virtual
        raise HostError(f"{plan.me} is no address of an interface that has an ipsecN")

    def _beat(self) -> None:
        """Once a second, as long as there is something to look at that often."""
        if not self._beating and (self._keying.timed or self._debug.flags):
            self._beating = True
            asyncio.get_running_loop().call_later(1.0, self._tick)

    def _tick(self) -> None:
        self._beating = False
        self._keying.tick()
        self._debug.tick(clock.now())
        self._beat()

    def _gone(self, client: int) -> None:
        self._reactor.post(WhackGone(client))

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._sigterm)
        line = 'Pluto ignores SIGHUP -- perhaps you want "whack --listen"'
        loop.add_signal_handler(signal.SIGHUP, self._log, line, False)

    def _sigterm(self) -> None:
        self._reactor.post(WhackRequest(autostart.SELF, "shutdown", {"keep_guard": True}))

    # -- interfaces ---------------------------------------------------------------------------------------------------

    async def _follow_network(self) -> None:
        """Tell pluto of every change; when netlink fails, say so and try again rather than go blind."""
        while True:
            try:
                async for _ in changes():
                    self._guard.settle(self._routes.homes())
                    state = await network_state(devices.is_virtual)
                    if state != self._seen:
                        self._take_network(state)
            except (HostError, KlipsError, OSError) as why:
                self._log(f"watching the network: {why}", True)
            await asyncio.sleep(1.0)

    def _take_network(self, state: NetworkState) -> None:
        """Give interfaces their ipsecN, make those there are to be, and tell pluto."""
        self._seen = state
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
        self._network = NetworkState(assigned.interfaces, state.defaults)
        self._assigned = frozenset(plan.name for plan in assigned.plans)
        for name in self._attached.keys() - self._assigned:
            # What it stood on has gone; it stays, so that nothing it was to carry finds another way.
            self._have_device(tun.Plan(name, "", 0))
        plans = [
            replace(plan, mtu=self._wanted.override_mtu or plan.mtu) if plan.physical else plan
            for plan in assigned.plans
        ]
        for plan in plans:
            self._have_device(plan)
        virtual = {plan.physical: plan.mtu for plan in plans}
        for each in assigned.interfaces:
            if before.get(each.name) != each.mtu:
                addresses = tuple(address for address, _ in each.addresses)
                self._klips.execute(SetMtu(each.name, each.mtu, virtual.get(each.name, each.mtu), addresses))
        self._reactor.post(self._network)

    def _have_device(self, plan: tun.Plan) -> None:
        old = self._attached.get(plan.name)
        if old is not None and old.physical == plan.physical and plan.mtu in (0, old.mtu):
            return
        mtu = plan.mtu or (old.mtu if old else 0) or DETACHED_MTU
        if old is None:
            queues = tun.open_queues(plan.name, self._klips.workers)
            self._klips.execute(AttachDevice(plan.name, plan.physical, queues, mtu))
        if old is None or old.physical != plan.physical:
            self._klips.execute(MoveDevice(plan.name, plan.physical, plan.mtu))
            self._log(f"KLIPS {plan.name} on {plan.physical or 'no interface'} mtu {mtu}", False)
        if below := next((each for each in self._network.interfaces if each.name == plan.physical), None):
            addresses = tuple(address for address, _ in below.addresses)
            self._klips.execute(SetMtu(plan.physical, below.mtu, mtu, addresses))
        plan = replace(plan, mtu=mtu)
        self._attached[plan.name] = plan
        for line in tun.configure(plan.name, plan.mtu):
            self._log(line, True)
        self._routes.setup(plan.name, [each.name for each in self._network.interfaces])

    def _wire(self, order: Wire) -> None:
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
            self._delete_device(virtual)
            return
        self._take_network(self._seen)

    def _delete_device(self, name: str) -> None:
        users = sum(row.device == name for row in self._klips.eroutes())
        if users:
            raise KlipsError(f"{name} is in use by {users} eroutes: delete them first")
        if name not in self._by_hand or name in {virtual for virtual, _ in self._wanted.interfaces}:
            raise KlipsError(f"ipsec.conf asks for {name}: it can be detached, not deleted")
        del self._by_hand[name], self._attached[name]
        self._klips.execute(DetachDevice(name))
        tun.remove_tun(name)
        self._take_network(self._seen)

    def _mtu_of(self, interface: str) -> int:
        return next((each.mtu for each in self._network.interfaces if each.name == interface), 1500)

    def _listen_to_icmp(self) -> None:
        try:
            self._icmp.open()
        except HostError as why:
            self._log(f"routers that say a packet is too big go unheard: {why}", True)

    def _attach_pass(self) -> None:
        for version in (4, 6):
            try:
                with open_pass_socket(version) as sock:
                    self._klips.execute(AttachPass(version, sock.fileno()))
            except (HostError, KlipsError) as why:
                self._log(f"packets that may pass in clear have no way out: {why}", True)

    # -- beginning and end --------------------------------------------------------------------------------------------

    def _autostart(self) -> None:
        connections = self._wanted.connections
        if connections is None:
            return
        # One guard transaction for all of them, which is in force before anything is routed by the tasks that follow.
        with self._guard.batch():
            self._reactor.post_all(autostart.requests(connections))
        self._start(self._manual_start())
        names = {each.name for each in connections} | {PREFIX + each.name for each in self._wanted.manual}
        keep = {held for held in self._guard.entries() if held.partition("[")[0] in names}
        self._guard.prune(keep | self._guarded)
        self._tell_kept()
        asyncio.get_running_loop().call_later(STALE, self._prune, names)

    def _let_go(self, connection: str) -> None:
        """Undo what a daemon before this one left for a connection and its instances: guards, and unused routes."""
        held = self._guard.entries()
        left = {name for name in held.keys() - self._guarded if name.partition("[")[0].partition("/")[0] == connection}
        left |= {connection} & (held.keys() - self._guarded)
        if left:
            used = {entry.key.dst for name in held.keys() - left for entry in held[name].entries}
            self._guard.prune(held.keys() - left)
            self._tell_kept()
            self._routes.prune({entry.key.dst for name in left for entry in held[name].entries} - used)

    def _tell_kept(self) -> None:
        """The status shows what stands, whoever put it there."""
        self._pluto.brain.router.kept = self._guard.entries().keys() - self._guarded

    def _prune(self, names: set[str]) -> None:
        for name in self._guard.prune(names | self._guarded):
            self._log(f'"{name}" has not come back: its traffic is guarded no more', False)
        self._tell_kept()
        self._routes.prune()

    def _shutdown(self, keep_guard: bool) -> None:
        self._keep_guard = keep_guard
        self._reactor.stop()

    async def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._klips.event_fd())
        self._icmp.close()
        await self._performer.finish()
        if self._performer.sockets:
            self._performer.sockets.close()
        await self.control.close()
        for name in self._attached:
            self._klips.execute(DetachDevice(name))
        self._klips.stop()
        if not self._keep_guard:
            self._routes.teardown()
            for name in self._attached:
                try:
                    tun.remove_tun(name)
                except HostError as why:
                    self._log(str(why), True)
        self._routes.close()
        # The guard goes last, when nothing is left that it might have to stop.
        self._guard.close(self._keep_guard)
